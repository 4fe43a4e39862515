"""Readout: turns the last layer's sums into logits and names the class."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.configuration import ReadoutConfig
from hw.constants import constants_memory
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
        advance = Signal()
        taken = Signal()
        index, lanes_end = counter(m, "lane", self.lanes_total, taken)
        next_index = Mux(lanes_end, 0, index + 1)
        rows, begun = constants_memory(m, config, advance=advance, taken=taken, row=index, next_row=next_index)
        constants = rows[0]
        m.d.comb += [
            advance.eq(~self.results.valid | self.results.ready),
            self.currents.ready.eq(advance & begun),
            taken.eq(self.currents.valid & self.currents.ready),
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
        scaled = taken_sum << constants.exponent if config.exponent_bits else taken_sum
        with m.If(advance):
            m.d.sync += [
                taken_valid.eq(taken & (index < config.classes)),
                taken_class.eq(index),
                taken_sum.eq(self.currents.payload[0]),
                logit_valid.eq(taken_valid),
                logit_class.eq(taken_class),
                logit.eq(times_constant(scaled, config.repeats) + constants.bias),
                self.results.valid.eq(logit_valid),
                result.logit.eq(logit),
                result.last.eq(logit_class == config.classes - 1),
            ]
            with m.If(logit_valid & leads):
                m.d.sync += [best.eq(logit), result.winner.eq(logit_class)]
        return m
