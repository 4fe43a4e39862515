"""Layers that own projections: spiking populations and the readout.

A layer runs in one of two forms. It starts in the float form; :func:`snn.quantization.begin` moves it to the
integer form, in which its forward pass computes exactly what the hardware computes (docs/design.md).
"""

from functools import reduce

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from snn.bursts import Bursts
from snn.exactness import exact_below, plain_sums
from snn.neuron import QBLIF
from snn.projections import QuantProjection, per_channel
from snn.quantizers import choose_grid, quantize_weights, round_through


def check_bursts(sources: list[Bursts]) -> None:
    """Raise UserError unless all sources are bursts."""
    for source in sources:
        if not isinstance(source, Bursts):
            raise UserError(f"a layer takes bursts, not {type(source).__name__}; Encoder makes them of samples")


class Layer(nn.Module):
    """The common part of populations and the readout: their incoming projections, and the grid of the integer form.

    ``fraction_bits`` is -1 in the float form. ``choosing`` makes the next forward pass choose the grid; F is then
    ``given_fraction_bits`` unless that is None.
    """

    fraction_bits: Tensor
    exponent: Tensor

    def __init__(self, *projections: QuantProjection) -> None:
        super().__init__()
        for projection in projections:
            if not isinstance(projection, QuantProjection):
                raise UserError(
                    f"{type(self).__name__} takes QuantLinear or QuantConv2d, not {type(projection).__name__}"
                )
        self.projections = nn.ModuleList(projections)
        self.choosing = False
        self.given_fraction_bits: int | None = None
        self.register_buffer("fraction_bits", torch.tensor(-1))
        self.register_buffer("exponent", torch.zeros(len(projections[0].shift), dtype=torch.long))

    @property
    def quantized(self) -> bool:
        """Whether the layer runs in the integer form."""
        return int(self.fraction_bits) >= 0

    @property
    def resolution(self) -> float:
        """2^-F, one unit of the integer form."""
        return 2.0 ** -int(self.fraction_bits)

    def incoming(self, sources: list[Bursts]) -> list[tuple[QuantProjection, Bursts]]:
        pairs = list(zip(self.projections, sources, strict=False))
        return [(projection, source) for projection, source in pairs if isinstance(projection, QuantProjection)]

    def grid(self, sources: list[Bursts], scale: Tensor) -> tuple[int, Tensor]:
        """F and e that suit the current folded weights."""
        incoming = self.incoming(sources)
        weights = [projection.folded(source.scale, scale).weight.flatten(1) for projection, source in incoming]
        return choose_grid(torch.cat(weights, dim=1), incoming[0][0].weight_bits, self.given_fraction_bits)

    def fix_grid(self, sources: list[Bursts], scale: Tensor) -> None:
        """Move to the integer form: choose F and e, and keep them from now on."""
        fraction_bits, exponent = self.grid(sources, scale)
        self.fraction_bits.fill_(fraction_bits)
        self.exponent.copy_(exponent)
        self.choosing = False

    def float_current(self, sources: list[Bursts]) -> Tensor:
        return reduce(torch.add, [p.float_current(source) for p, source in self.incoming(sources)])

    def exponent_of(self, projection: QuantProjection) -> Tensor:
        """The channels' exponents, shaped to broadcast over the projection's weights."""
        return self.exponent.to(projection.weight.dtype).view(-1, *[1] * (projection.weight.dim() - 1))

    def integer_weight(self, projection: QuantProjection, source: Bursts, scale: Tensor) -> Tensor:
        """Quantized weights in burst units: whole multiples of 2^(e-F)."""
        step = torch.exp2(self.exponent_of(projection)) * self.resolution
        return quantize_weights(projection.folded(source.scale, scale).weight / step, projection.weight_bits) * step

    def integer_bias(self, projection: QuantProjection, source: Bursts, scale: Tensor) -> Tensor:
        """Quantized bias in burst units: whole multiples of 2^-F."""
        return round_through(projection.folded(source.scale, scale).bias / self.resolution) * self.resolution

    def integer_current(self, sources: list[Bursts], scale: Tensor) -> Tensor:
        """Currents in burst units, each a whole multiple of 2^-F: the sum that the synapse array computes.

        Raises:
            UserError: the layer's float type is too narrow for exact sums.
        """
        currents = []
        with plain_sums(sources[0].counts.device.type):
            for projection, source in self.incoming(sources):
                exact_below(source.counts.dtype, *projection.float_types)
                if self.training:
                    projection.update_statistics(source)
                current = projection.apply_weight(source.counts, self.integer_weight(projection, source, scale))
                currents.append(current + per_channel(self.integer_bias(projection, source, scale), current))
        return reduce(torch.add, currents)


class SpikingLayer(Layer):
    """A population of QB-LIF neurons with its projections.

    Args:
        projection: the projection from the first source into the neurons.
        neuron: the neurons.
        shortcut: a second projection (residual networks), for ``forward``'s second source.

    With a second source but no shortcut, the skip is the identity, weighted ``s_skip / s``.
    """

    def __init__(self, projection: QuantProjection, neuron: QBLIF, *, shortcut: QuantProjection | None = None) -> None:
        super().__init__(*[part for part in (projection, shortcut) if part is not None])
        if not isinstance(neuron, QBLIF):
            raise UserError(f"SpikingLayer takes QBLIF neurons, not {type(neuron).__name__}")
        self.neuron = neuron

    def forward(self, bursts: Bursts, skip: Bursts | None = None) -> Bursts:
        sources = [bursts] if skip is None else [bursts, skip]
        check_bursts(sources)
        identity = skip if len(self.projections) == 1 else None
        if self.choosing:
            self.fix_grid(sources, self.neuron.scale)
        if self.quantized:
            counts, scale = self._integer_form(sources, identity)
        else:
            current = self.float_current(sources)
            if identity is not None:
                current = current + identity.counts * identity.scale
            counts = self.neuron(current, bursts.timesteps)
            scale = self.neuron.scale
        return Bursts(
            counts=counts,
            scale=scale,
            ceiling=self.neuron.burst_ceiling,
            timesteps=bursts.timesteps,
        )

    def _integer_form(self, sources: list[Bursts], identity: Bursts | None) -> tuple[Tensor, Tensor]:
        scale = self.neuron.scale
        current = self.integer_current(sources, scale)
        if identity is not None:
            current = current + identity.counts * self.identity_weight(identity, scale)
        return self.neuron(current, sources[0].timesteps, int(self.fraction_bits)), scale

    def identity_weight(self, skip: Bursts, scale: Tensor) -> Tensor:
        """Weight of an identity skip in burst units, a whole multiple of 2^-F."""
        return round_through(skip.scale / scale / self.resolution) * self.resolution


class ReadoutLayer(Layer):
    """Sums its currents over time: ``L = sum_t (W * o[t] + b)``, (batch, classes). It never fires."""

    def __init__(self, projection: QuantProjection) -> None:
        super().__init__(projection)

    def forward(self, bursts: Bursts) -> Tensor:
        check_bursts([bursts])
        one = torch.ones_like(bursts.scale)
        if self.choosing:
            self.fix_grid([bursts], one)
        current = self.integer_current([bursts], one) if self.quantized else self.float_current([bursts])
        return current.sum(0) * (bursts.timesteps / len(current))
