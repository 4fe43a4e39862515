"""Projections, and the layers that own them: spiking populations and the readout.

A layer runs in one of two forms. It starts in the float form; :func:`snn.quantization.begin` moves it to the
integer form, in which its forward pass computes exactly what the hardware computes (docs/design.md).
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.window import PerAxis, make_window
from snn.bursts import Bursts
from snn.exactness import exact_below, plain_sums
from snn.neuron import QBLIF
from snn.quantizers import choose_grid, quantize_weights, round_through
from snn.ranges import check


@dataclass(frozen=True, kw_only=True)
class FoldedProjection:
    """W' and b' of a projection in units of the target's scale (float, differentiable)."""

    weight: Tensor
    bias: Tensor


class Projection(nn.Module):
    """Weights followed by BatchNorm: ``I = g * (W * o - mu) / sqrt(var + eps) + c``; without it ``I = W * o + c``.

    Args:
        weight: initial float weights, (channels, ...).
        weight_bits: signed bits B of the quantized weights, 2 to 16.
        batch_norm: whether to normalise; all timesteps share one set of statistics.
        affine: whether g and c are trained; otherwise they are 1 and 0.
    """

    gain: nn.Parameter | None
    mean: Tensor
    variance: Tensor
    momentum = 0.1
    epsilon = 1e-5

    def __init__(self, weight: Tensor, *, weight_bits: int, batch_norm: bool, affine: bool) -> None:
        super().__init__()
        check("weight_bits", weight_bits)
        self.weight = nn.Parameter(weight)
        self.weight_bits = weight_bits
        channels = len(weight)
        self.gain = nn.Parameter(torch.ones(channels), requires_grad=affine) if batch_norm else None
        self.shift = nn.Parameter(torch.zeros(channels), requires_grad=affine)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def apply_weight(self, bursts: Tensor, weight: Tensor) -> Tensor:
        """The plain sum of products ``weight * bursts``: (steps, batch, *in) -> (steps, batch, *out)."""
        raise TypeError(f"{type(self).__name__} does not say how it projects")

    @property
    def float_types(self) -> set[torch.dtype]:
        """Types of the floats that sums are computed from."""
        return {
            part.dtype for part in (self.weight, self.gain, self.shift, self.mean, self.variance) if part is not None
        }

    def misfit(self, expected: str, bursts: Tensor, advice: str) -> UserError:
        """The error for ``bursts``, (steps, batch, *in), whose shape does not fit the weights."""
        return UserError(f"{type(self).__name__} takes {expected}, not {tuple(bursts.shape[2:])}; {advice}")

    def float_current(self, bursts: Bursts) -> Tensor:
        """Currents of the training form; with batch statistics while training."""
        current = self.apply_weight(bursts.counts * bursts.scale, self.weight)
        if self.gain is None:
            return current + per_channel(self.shift, current)
        normalised = nn.functional.batch_norm(
            current.flatten(0, 1),
            self.mean,
            self.variance,
            self.gain,
            self.shift,
            training=self.training,
            momentum=self.momentum,
            eps=self.epsilon,
        )
        return normalised.unflatten(0, current.shape[:2])

    @torch.no_grad()
    def update_statistics(self, bursts: Bursts) -> None:
        """Track the float currents' mean and variance, outside the gradient, as float training does."""
        if self.gain is None:
            return
        current = self.apply_weight(bursts.counts * bursts.scale, self.weight)
        torch.batch_norm_update_stats(current.flatten(0, 1), self.mean, self.variance, self.momentum)

    def folded(self, source_scale: Tensor, target_scale: Tensor) -> FoldedProjection:
        """Fold BatchNorm's running statistics and both scales: the absorbable scale of arXiv 2604.25688."""
        factor: Tensor = torch.ones_like(self.shift)
        offset: Tensor = self.shift
        if self.gain is not None:
            factor = self.gain / torch.sqrt(self.variance + self.epsilon)
            offset = self.shift - factor * self.mean
        rows = (factor * source_scale / target_scale).view(-1, *[1] * (self.weight.dim() - 1))
        return FoldedProjection(weight=self.weight * rows, bias=offset / target_scale)


class QuantLinear(Projection):
    """All-to-all projection of (features,) populations."""

    kind = "dense"

    def __init__(
        self, inputs: int, outputs: int, *, weight_bits: int = 4, batch_norm: bool = True, affine: bool = True
    ) -> None:
        check("neurons", (inputs, outputs))
        weight = torch.empty(outputs, inputs)
        nn.init.kaiming_uniform_(weight, a=5**0.5)
        super().__init__(weight, weight_bits=weight_bits, batch_norm=batch_norm, affine=affine)

    def apply_weight(self, bursts: Tensor, weight: Tensor) -> Tensor:
        inputs = self.weight.shape[1]
        if bursts.shape[2:] != (inputs,):
            raise self.misfit(f"({inputs},) neurons", bursts, "Flatten() makes (C*H*W,) of (C, H, W)")
        return nn.functional.linear(bursts, weight)


class QuantConv2d(Projection):
    """Convolution of (C, H, W) populations. In evaluation it unfolds and multiplies, so that its sums are exact.

    Args:
        inputs, outputs: channels; ``groups`` divides both.
        kernel, stride, padding, dilation: one number, or two for rows and columns.
        groups: groups of channels, as in ``torch.nn.Conv2d``; ``inputs`` for a depthwise convolution.
    """

    kind = "conv2d"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: PerAxis,
        *,
        stride: PerAxis = 1,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        weight_bits: int = 4,
        batch_norm: bool = True,
        affine: bool = True,
    ) -> None:
        check("neurons", (inputs, outputs))
        for name, value in {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}.items():
            check(name, value)
        check("groups", groups)
        if inputs % groups or outputs % groups:
            raise UserError(f"groups {groups} do not divide {inputs} and {outputs} channels")
        window = make_window(kernel, stride, padding, dilation, name="QuantConv2d")
        rows, columns = window.rows, window.columns
        weight = torch.empty(outputs, inputs // groups, rows.kernel, columns.kernel)
        nn.init.kaiming_uniform_(weight, a=5**0.5)
        super().__init__(weight, weight_bits=weight_bits, batch_norm=batch_norm, affine=affine)
        self.window, self.groups = window, groups
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.sizes: dict[str, Any] = {
            "stride": (rows.stride, columns.stride),
            "padding": (rows.padding, columns.padding),
            "dilation": (rows.dilation, columns.dilation),
        }

    def apply_weight(self, bursts: Tensor, weight: Tensor) -> Tensor:
        inputs = self.weight.shape[1] * self.groups
        if bursts.dim() != 5 or bursts.shape[2] != inputs:
            raise self.misfit(f"({inputs}, H, W) neurons", bursts, "convolutions stand before Flatten()")
        images = bursts.flatten(0, 1)
        if self.training:
            current = nn.functional.conv2d(images, weight, groups=self.groups, **self.sizes)
        else:
            # Fast convolution algorithms transform their operands and round; a plain sum of products does not.
            columns = nn.functional.unfold(images, weight.shape[2:], **self.sizes).unflatten(1, (self.groups, -1))
            sums = weight.flatten(1).unflatten(0, (self.groups, -1)) @ columns
            current = sums.flatten(1, 2).unflatten(2, self.window.windows(*images.shape[2:]))
        return current.unflatten(0, bursts.shape[:2])


def check_bursts(sources: list[Bursts]) -> None:
    """Raise UserError unless all sources are bursts."""
    for source in sources:
        if not isinstance(source, Bursts):
            raise UserError(f"a layer takes bursts, not {type(source).__name__}; Encoder makes them of samples")


def per_channel(values: Tensor, current: Tensor) -> Tensor:
    """(channels,) values shaped to broadcast over (steps, batch, channels, ...)."""
    return values.view(-1, *[1] * (current.dim() - 3))


class Layer(nn.Module):
    """The common part of populations and the readout: their incoming projections, and the grid of the integer form.

    ``fraction_bits`` is -1 in the float form. ``choosing`` makes the next forward pass choose the grid; F is then
    ``given_fraction_bits`` unless that is None.
    """

    fraction_bits: Tensor
    exponent: Tensor

    def __init__(self, *projections: Projection) -> None:
        super().__init__()
        for projection in projections:
            if not isinstance(projection, Projection):
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

    def incoming(self, sources: list[Bursts]) -> list[tuple[Projection, Bursts]]:
        pairs = list(zip(self.projections, sources, strict=False))
        return [(projection, source) for projection, source in pairs if isinstance(projection, Projection)]

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

    def exponent_of(self, projection: Projection) -> Tensor:
        """The channels' exponents, shaped to broadcast over the projection's weights."""
        return self.exponent.to(projection.weight.dtype).view(-1, *[1] * (projection.weight.dim() - 1))

    def integer_weight(self, projection: Projection, source: Bursts, scale: Tensor) -> Tensor:
        """Quantized weights in burst units: whole multiples of 2^(e-F)."""
        step = torch.exp2(self.exponent_of(projection)) * self.resolution
        return quantize_weights(projection.folded(source.scale, scale).weight / step, projection.weight_bits) * step

    def integer_bias(self, projection: Projection, source: Bursts, scale: Tensor) -> Tensor:
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

    def __init__(self, projection: Projection, neuron: QBLIF, *, shortcut: Projection | None = None) -> None:
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


class Readout(Layer):
    """Sums its currents over time: ``L = sum_t (W * o[t] + b)``, (batch, classes). It never fires."""

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)

    def forward(self, bursts: Bursts) -> Tensor:
        check_bursts([bursts])
        one = torch.ones_like(bursts.scale)
        if self.choosing:
            self.fix_grid([bursts], one)
        current = self.integer_current([bursts], one) if self.quantized else self.float_current([bursts])
        return current.sum(0) * (bursts.timesteps / len(current))
