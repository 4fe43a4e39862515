"""Readout: turns the last layer's sums into logits and names the class."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.configuration import ReadoutConfig
from hw.logic import counter, times_constant
from hw.synapse_array import sums_layout


def result_layout(config: ReadoutConfig) -> data.StructLayout:
    """Payload of the network's output: one beat a class, in order.

    ``logit``: L of this class; ``winner``: first class with the largest logit so far, so on the beat with
    ``last`` it is the network's answer.
    """
    return data.StructLayout(
        {"logit": signed(config.logit_bits), "winner": unsigned(bits_for(config.classes - 1)), "last": 1}
    )


class Readout(wiring.Component):
    """``L = repeats * (sum << e) + bias`` and its first maximum (docs/design.md, integer form).

    The bias is that of all timesteps together. Throughput: one class a cycle. Latency: ``latency`` = 3 cycles
    from a sum to its beat. Sums of lanes beyond the last class are dropped.

    Ports:
        currents: ``sums_layout(1, accumulator_bits)``, ``lanes_total`` beats an inference.
        results: ``result_layout(config)``.
    """

    latency = 3

    def __init__(self, config: ReadoutConfig, *, lanes_total: int) -> None:
        self.config, self.lanes_total = config, lanes_total
        super().__init__(
            {
                "currents": In(stream.Signature(sums_layout(1, config.accumulator_bits))),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, result = self.config, self.results.payload
        constants_layout = data.StructLayout(
            {
                "bias": signed(max(bits_for(value, require_sign_bit=True) for value in config.bias)),
                "exponent": unsigned(bits_for(max(config.exponent))),
            }
        )
        m.submodules.constants = memory = Memory(
            shape=constants_layout,
            depth=max(2, config.classes),
            init=[{"bias": b, "exponent": e} for b, e in zip(config.bias, config.exponent, strict=True)],
            attrs={"ram_style": "logic"},
        )
        constants = memory.read_port()

        advance = Signal()
        taken = Signal()
        index, _ = counter(m, "lane", self.lanes_total, taken)
        m.d.comb += [
            advance.eq(~self.results.valid | self.results.ready),
            self.currents.ready.eq(advance),
            taken.eq(self.currents.valid & advance),
            constants.en.eq(advance),
            constants.addr.eq(index),
        ]

        taken_valid = Signal()
        taken_class = Signal(range(config.classes), reset_less=True)
        taken_sum = Signal(signed(config.accumulator_bits), reset_less=True)
        logit_valid = Signal()
        logit_class = Signal(range(config.classes), reset_less=True)
        logit = Signal(signed(config.logit_bits), reset_less=True)
        best = Signal(signed(config.logit_bits), reset_less=True)
        leads = Signal()
        m.d.comb += leads.eq((logit_class == 0) | (logit > best))
        with m.If(advance):
            m.d.sync += [
                taken_valid.eq(taken & (index < config.classes)),
                taken_class.eq(index),
                taken_sum.eq(self.currents.payload[0]),
                logit_valid.eq(taken_valid),
                logit_class.eq(taken_class),
                logit.eq(times_constant(taken_sum << constants.data.exponent, config.repeats) + constants.data.bias),
                self.results.valid.eq(logit_valid),
                result.logit.eq(logit),
                result.last.eq(logit_class == config.classes - 1),
            ]
            with m.If(logit_valid & leads):
                m.d.sync += [best.eq(logit), result.winner.eq(logit_class)]
        return m
