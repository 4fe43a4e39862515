"""The QB-LIF neuron: leak, integrate, quantize to a saturated burst, reset."""

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.logic import plane_sum, times_constant, tree
from hw.neurons.config import NeuronConfig
from hw.neurons.constants import constants_layout


def skips_layout(config: NeuronConfig) -> data.StructLayout:
    """The burst that each identity skip brings to one neuron: ``skip_0``, ``skip_1``, ..."""
    return data.StructLayout(
        {f"skip_{index}": unsigned(skip.stream.burst_bits) for index, skip in enumerate(config.skips)}
    )


class NeuronCore(wiring.Component):
    """One neuron per cycle through a pipeline that advances when ``advance`` is 1 (arXiv 2604.25688, our reading)::

        cycle 0   take ``sum`` and ``first``; skipped = sum of weight * burst over the identity skips
              1   current   = (sum << exponent) + bias + skipped      takes ``constants``
              2   potential = (a * V >> p) + current, V = 0 if first  takes ``membrane``
              3   burst     = clamp((potential + r) >> F, 0, K)
              4   gives ``burst`` and ``next_membrane``:
                      potential - (burst << F)      soft reset
                      0 if burst > 0 else potential hard reset

    Only the burst saturates: the widths of ``config`` are proved for its weights, so nothing else can overflow.
    Throughput: one neuron per cycle. Latency: ``latency`` = 4 cycles from ``sum`` to ``burst``. ``membrane`` is taken
    ``membrane_latency`` = 2 cycles after ``sum``, and ``constants`` ``constants_latency`` = 1 cycle after it.
    """

    latency = 4
    membrane_latency = 2
    constants_latency = 1

    def __init__(self, config: NeuronConfig) -> None:
        self.config = config
        super().__init__(
            {
                "advance": In(1),
                "sum": In(signed(config.accumulator_bits)),
                "first": In(1),
                "skips": In(skips_layout(config)),
                "constants": In(constants_layout(config)),
                "membrane": In(signed(config.membrane_bits)),
                "burst": Out(unsigned(config.burst_bits)),
                "next_membrane": Out(signed(config.membrane_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        fraction, ceiling = config.fraction_bits, config.burst_ceiling

        taken_sum = Signal(signed(config.accumulator_bits), reset_less=True)
        current = Signal(signed(config.current_bits), reset_less=True)
        potential = Signal(signed(config.potential_bits), reset_less=True)
        settled = Signal(signed(config.potential_bits), reset_less=True)
        first_1 = Signal(reset_less=True)
        first_2 = Signal(reset_less=True)

        current_in: Value = self.constants.bias
        if config.skips:
            weighted = [plane_sum(self.skips[f"skip_{i}"], skip.weight) for i, skip in enumerate(config.skips)]
            skipped = Signal(tree(weighted).shape(), name="skipped", reset_less=True)
            with m.If(self.advance):
                m.d.sync += skipped.eq(tree(weighted))
            current_in = current_in + skipped

        scaled = taken_sum << self.constants.exponent if config.exponent_bits else taken_sum
        leaked = times_constant(self.membrane, config.leak.multiplier) >> config.leak.shift
        rounded = Signal(range(-(2**config.potential_bits >> fraction) - 1, (2**config.potential_bits >> fraction) + 2))
        m.d.comb += rounded.eq((potential + config.rounding) >> fraction)
        with m.If(self.advance):
            m.d.sync += [
                taken_sum.eq(self.sum),
                first_1.eq(self.first),
                current.eq(scaled + current_in),
                first_2.eq(first_1),
                potential.eq(current + Mux(first_2, 0, leaked)),
                self.burst.eq(Mux(rounded < 0, 0, Mux(rounded > ceiling, ceiling, rounded))),
                settled.eq(potential),
            ]
        if config.reset == "soft":
            m.d.comb += self.next_membrane.eq(settled - (self.burst << fraction))
        else:
            m.d.comb += self.next_membrane.eq(Mux(self.burst.any(), 0, settled))
        return m
