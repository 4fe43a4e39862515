"""The QB-LIF neuron: leak, integrate, quantize to a saturated burst, reset."""

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.logic import delayed, plane_sum, times_constant, tree
from hw.neurons.config import NeuronConfig
from hw.neurons.constants import constants_layout
from qblif.network.nodes import Leak, Limits


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

    A synaptic current (docs/design.md, LIF family) adds a cycle between 1 and 2, ``J = (a_s * J >> p_s) + current``,
    which takes ``synaptic`` and replaces the current; its limits add another. Limits of the membrane add a cycle at the
    end, before ``next_membrane``.

    Only the burst saturates, and the states at their limits: the widths of ``config`` are proved for its weights, so
    nothing else can overflow. Throughput: one neuron per cycle. Latency: ``config.burst_latency`` cycles from ``sum``
    to ``burst``, ``config.write_latency`` to ``next_membrane``. The state is taken ``state_latency`` = 2 cycles after
    ``sum``, and ``constants`` ``constants_latency`` = 1 cycle after it.
    """

    state_latency = 2
    constants_latency = 1

    def __init__(self, config: NeuronConfig) -> None:
        self.config = config
        ports = {
            "advance": In(1),
            "sum": In(signed(config.accumulator_bits)),
            "first": In(1),
            "skips": In(skips_layout(config)),
            "constants": In(constants_layout(config)),
            "membrane": In(signed(config.membrane_bits)),
            "burst": Out(unsigned(config.burst_bits)),
            "next_membrane": Out(signed(config.membrane_bits)),
        }
        if config.current_leak is not None:
            ports["synaptic"] = In(signed(config.synaptic_bits))
            ports["next_synaptic"] = Out(signed(config.synaptic_bits))
        super().__init__(ports)

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
        entering, membrane, first = self._synaptic(m, current, self.membrane, first_2)
        leaked = leaked_value(membrane, config.leak)
        rounded = Signal(range(-(2**config.potential_bits >> fraction) - 1, (2**config.potential_bits >> fraction) + 2))
        m.d.comb += rounded.eq((potential + config.rounding) >> fraction)
        with m.If(self.advance):
            m.d.sync += [
                taken_sum.eq(self.sum),
                first_1.eq(self.first),
                current.eq(scaled + current_in),
                first_2.eq(first_1),
                potential.eq(entering + Mux(first, 0, leaked)),
                self.burst.eq(Mux(rounded < 0, 0, Mux(rounded > ceiling, ceiling, rounded))),
                settled.eq(potential),
            ]
        left = settled - (self.burst << fraction)
        if config.reset == "hard":
            left = Mux(self.burst.any(), 0, settled)
        if config.membrane_limits is None:
            m.d.comb += self.next_membrane.eq(left)
        else:
            with m.If(self.advance):
                m.d.sync += self.next_membrane.eq(limited_value(left, config.membrane_limits))
        return m

    def _synaptic(self, m: Module, current: Value, membrane: Value, first: Value) -> tuple[Value, Value, Value]:
        """What enters the membrane, and the membrane and ``first`` at the same time: the synaptic current, or, for
        neurons without one, the arriving current."""
        config = self.config
        if config.current_leak is None:
            return current, membrane, first

        summed = Signal(signed(config.summed_bits), reset_less=True)
        with m.If(self.advance):
            m.d.sync += summed.eq(current + Mux(first, 0, leaked_value(self.synaptic, config.current_leak)))
        synaptic, cycles = summed, 1
        if config.current_limits is not None:
            limited = Signal(signed(config.synaptic_bits), reset_less=True)
            with m.If(self.advance):
                m.d.sync += limited.eq(limited_value(summed, config.current_limits))
            synaptic, cycles = limited, 2
        left = config.write_latency - self.state_latency - cycles
        m.d.comb += self.next_synaptic.eq(delayed(m, synaptic, left, "synaptic_held", self.advance))
        held = delayed(m, membrane, cycles, "membrane_held", self.advance)
        return synaptic, held, delayed(m, first, cycles, "first_held", self.advance)


def leaked_value(state: Value, leak: Leak) -> Value:
    """``(a * V) >> p``."""
    return times_constant(state, leak.multiplier) >> leak.shift


def limited_value(value: Value, limits: Limits) -> Value:
    """``value`` clamped to ``limits``."""
    low, high = limits
    return Mux(value < low, low, Mux(value > high, high, value))
