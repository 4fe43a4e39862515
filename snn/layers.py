"""Layers that own projections: spiking populations and the readout.

A layer runs in one of two forms. It starts in the float form; :func:`snn.quantization.begin` moves it to the
integer form, in which its forward pass computes exactly what the hardware computes (docs/design.md).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.nodes import Leak
from snn.bursts import Bursts
from snn.decay import Decay, Limits, check_limits, limiting, unchanged
from snn.dynamics import Neuron
from snn.exactness import exact_below, plain_sums
from snn.projections import QuantProjection, per_channel
from snn.quantizers import choose_grid, quantize_weights, round_through
from snn.ranges import check_range
from snn.state import Remembering


def check_bursts(sources: list[Bursts]) -> None:
    """Raise UserError unless all sources are bursts."""
    for source in sources:
        if not isinstance(source, Bursts):
            raise UserError(f"a layer takes bursts, not {type(source).__name__}; Encoder makes them of samples")


class Layer(Remembering):
    """The common part of populations and the readout: their incoming projections, and the grid of the integer form.

    ``fraction_bits`` is -1 in the float form. ``choosing`` makes the next forward pass choose the grid; F is then
    ``given_fraction_bits`` unless that is None. Otherwise F is what the weights need and ``guard_bits`` more, so that
    states which leak slowly do not lose their leak to the rounding.
    """

    fraction_bits: Tensor
    exponent: Tensor

    def __init__(self, *projections: QuantProjection, guard_bits: int = 0) -> None:
        super().__init__()
        check_range("guard_bits", guard_bits)
        for projection in projections:
            self._check_projection(projection)
        self.projections = nn.ModuleList(projections)
        self.guard_bits = guard_bits
        self.choosing = False
        self.given_fraction_bits: int | None = None
        self.register_buffer("fraction_bits", torch.tensor(-1))
        self.register_buffer("exponent", torch.zeros(len(projections[0].shift), dtype=torch.long))

    def _check_projection(self, projection: object) -> None:
        """Raise UserError unless it is one."""
        if not isinstance(projection, QuantProjection):
            raise UserError(f"{type(self).__name__} takes QuantLinear or QuantConv2d, not {type(projection).__name__}")

    @property
    def quantized(self) -> bool:
        """Whether the layer runs in the integer form."""
        return int(self.fraction_bits) >= 0

    @property
    def resolution(self) -> float:
        """2^-F, one unit of the integer form."""
        return 2.0 ** -int(self.fraction_bits)

    def incoming(self, sources: list[Bursts]) -> list[tuple[QuantProjection, Bursts]]:
        """The projections from other layers, each with its source."""
        pairs = list(zip(self.projections, sources, strict=False))
        return [(projection, source) for projection, source in pairs if isinstance(projection, QuantProjection)]

    def synapses(self, sources: list[Bursts], scale: Tensor) -> list[tuple[QuantProjection, Bursts]]:
        """All projections, each with its source; that of a recurrent one, which comes last, has no counts."""
        del scale
        return self.incoming(sources)

    def grid(self, sources: list[Bursts], scale: Tensor) -> tuple[int, Tensor]:
        """F and e that suit the current folded weights."""
        synapses = self.synapses(sources, scale)
        weights = [projection.folded(source.scale, scale).weight.flatten(1) for projection, source in synapses]
        rows, bits = torch.cat(weights, dim=1), synapses[0][0].weight_bits
        if self.given_fraction_bits is not None:
            return choose_grid(rows, bits, self.given_fraction_bits)
        fraction_bits, exponent = choose_grid(rows, bits)
        return fraction_bits + self.guard_bits, exponent + self.guard_bits

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
    """A population of neurons with its projections.

    Args:
        projection: the projection from the first source into the neurons.
        neuron: the neurons.
        shortcut: a second projection (residual networks), for ``forward``'s second source.
        recurrent: a projection of the neurons' own bursts of the previous timestep, without BatchNorm. The neurons are
            then computed timestep by timestep. Its bias is a part of theirs, also at the first timestep.
        guard_bits: fraction bits beyond those that the weights need.

    With a second source but no shortcut, the skip is the identity, weighted ``g_skip / s``. Recurrent projections from
    later layers are not supported here.
    """

    def __init__(
        self,
        projection: QuantProjection,
        neuron: Neuron,
        *,
        shortcut: QuantProjection | None = None,
        recurrent: QuantProjection | None = None,
        guard_bits: int = 0,
    ) -> None:
        super().__init__(*[part for part in (projection, shortcut) if part is not None], guard_bits=guard_bits)
        if not isinstance(neuron, Neuron):
            raise UserError(f"SpikingLayer takes neurons such as QBLIF, not {type(neuron).__name__}")
        if recurrent is not None:
            self._check_projection(recurrent)
            if recurrent.gain is not None:
                raise UserError("a recurrent projection has no BatchNorm of its own; make it with batch_norm=False")
            if len(recurrent.shift) != len(projection.shift):
                raise UserError(
                    f"a recurrent projection gives {len(recurrent.shift)} channels to {len(projection.shift)}"
                )
        self.neuron, self.recurrent = neuron, recurrent

    def forward(self, bursts: Bursts, skip: Bursts | None = None) -> Bursts:
        sources = [bursts] if skip is None else [bursts, skip]
        check_bursts(sources)
        identity = skip if len(self.projections) == 1 else None
        if self.choosing:
            self.fix_grid(sources, self.neuron.scale)
        counts, scale = (self._integer_form if self.quantized else self._float_form)(sources, identity)
        return replace(self.own_bursts(bursts, scale), counts=counts)

    def own_bursts(self, source: Bursts, scale: Tensor) -> Bursts:
        """What the neurons send, without the counts."""
        return Bursts(
            counts=source.counts[:0],
            scale=self.neuron.amplitude(scale),
            ceiling=self.neuron.burst_ceiling,
            timesteps=source.timesteps,
        )

    def synapses(self, sources: list[Bursts], scale: Tensor) -> list[tuple[QuantProjection, Bursts]]:
        recurrent = [] if self.recurrent is None else [(self.recurrent, self.own_bursts(sources[0], scale))]
        return [*self.incoming(sources), *recurrent]

    def _float_form(self, sources: list[Bursts], identity: Bursts | None) -> tuple[Tensor, Tensor]:
        current = self.float_current(sources)
        if identity is not None:
            current = current + identity.counts * identity.scale
        if not self.neuron.initialised:
            self.neuron.initialise(current)
        feedback, scale = None, self.neuron.scale
        if self.recurrent is not None:
            current = current + per_channel(self.recurrent.shift, current)
            feedback = self._feedback(self.recurrent, self.recurrent.weight * self.neuron.amplitude(scale))
        return self.neuron(current, sources[0].timesteps, feedback=feedback, memory=self.memory), scale

    def _integer_form(self, sources: list[Bursts], identity: Bursts | None) -> tuple[Tensor, Tensor]:
        feedback, scale = None, self.neuron.scale
        current = self.integer_current(sources, scale)
        if identity is not None:
            current = current + identity.counts * self.identity_weight(identity, scale)
        if self.recurrent is not None:
            own = self.own_bursts(sources[0], scale)
            current = current + per_channel(self.integer_bias(self.recurrent, own, scale), current)
            feedback = self._feedback(self.recurrent, self.integer_weight(self.recurrent, own, scale))
        bits = int(self.fraction_bits)
        with plain_sums(current.device.type):
            counts = self.neuron(current, sources[0].timesteps, bits, feedback=feedback, memory=self.memory)
        return counts, scale

    @staticmethod
    def _feedback(recurrent: QuantProjection, weight: Tensor) -> Callable[[Tensor], Tensor]:
        """What the bursts of a timestep add to the currents of the next, by the recurrent projection."""

        def feedback(counts: Tensor) -> Tensor:
            current = recurrent.apply_weight(counts.unsqueeze(0), weight).squeeze(0)
            if current.shape != counts.shape:
                raise UserError(
                    f"a recurrent projection gives {tuple(current.shape[1:])} currents to {tuple(counts.shape[1:])} "
                    "neurons"
                )
            return current

        return feedback

    def identity_weight(self, skip: Bursts, scale: Tensor) -> Tensor:
        """Weight of an identity skip in burst units, a whole multiple of 2^-F."""
        return round_through(skip.scale / scale / self.resolution) * self.resolution


class ReadoutLayer(Layer):
    """Sums its currents over time and never fires: ``L[t] = leak(L[t-1]) + W * o[t] + b``, limited.

    Args:
        projection: the projection into the classes.
        leak: what a timestep leaves of L; None for a plain sum.
        learn_leak: whether that leak is trained (:class:`snn.decay.Decay`).
        limits: limits of L, in units of the logits; the integer form rounds them to its grid.
        maximum: whether the result is the largest L so far, class by class, instead of the last.
        per_step: whether it gives the results of all timesteps, (T, batch, classes), or the last, (batch, classes).
        guard_bits: as in :class:`SpikingLayer`.
    """

    def __init__(
        self,
        projection: QuantProjection,
        *,
        leak: Leak | None = None,
        learn_leak: bool = False,
        limits: Limits | None = None,
        maximum: bool = False,
        per_step: bool = False,
        guard_bits: int = 0,
    ) -> None:
        super().__init__(projection, guard_bits=guard_bits)
        check_limits("limits", limits)
        if learn_leak and leak is None:
            raise UserError("a readout without leak has none to learn; leak=Leak(...) is where it begins")
        self.decay = None if leak is None else Decay(leak, learn=learn_leak)
        self.limits, self.maximum, self.per_step = limits, maximum, per_step

    @property
    def leak(self) -> Leak | None:
        """The leak of the integer form; None if L does not leak."""
        leak = None if self.decay is None else self.decay.leak
        return None if leak is None or leak.keeps else leak

    def span(self, timesteps: int) -> float:
        """About how many timesteps a result sums over: all of them, or the time constant of the leak."""
        if self.leak is None:
            return timesteps
        return min(timesteps, 1 / (1 - self.leak.multiplier / 2**self.leak.shift))

    def forward(self, bursts: Bursts) -> Tensor:
        check_bursts([bursts])
        one = torch.ones_like(bursts.scale)
        if self.choosing:
            self.fix_grid([bursts], one)
        current = self.integer_current([bursts], one) if self.quantized else self.float_current([bursts])
        plain = self.decay is None and self.limits is None and not self.maximum
        if plain and not self.per_step and self.memory is None:
            return current.sum(0) * (bursts.timesteps / len(current))
        results = self._results(current, bursts.timesteps)
        return results if self.per_step else results[-1]

    def _results(self, current: Tensor, timesteps: int) -> Tensor:
        """The result of every timestep, (T, batch, classes), of currents (T or 1, batch, classes)."""
        bits = int(self.fraction_bits) if self.quantized else None
        leaked = unchanged if self.decay is None else self.decay.at(bits)
        limited = limiting(self.limits, None, bits)
        before = (None if self.memory is None else self.memory.before()) or {}
        total, arriving, sums = before.get("L"), current.unbind(0), list[Tensor]()
        for step in range(timesteps):
            entering = arriving[step if len(arriving) > 1 else 0]
            total = limited(entering if total is None else leaked(total) + entering)
            sums.append(total)
        results = torch.stack(sums)
        if self.maximum:
            results = results.cummax(0).values
            results = results if "largest" not in before else torch.maximum(results, before["largest"])
        if self.memory is not None:
            self.memory.after({"L": sums[-1], **({"largest": results[-1]} if self.maximum else {})})
        return results
