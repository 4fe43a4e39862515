"""Results whose beats hold several classes, class by class as the host gets them."""

import dataclasses

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.logic import counter
from hw.stages.readout_unit import ReadoutConfig, logits_of, result_layout


def one_by_one(config: ReadoutConfig) -> ReadoutConfig:
    """The same readout with one class per beat."""
    return dataclasses.replace(config, classes_per_beat=1)


class ResultUnpacker(wiring.Component):
    """Sends the classes of every beat one by one; the beat is taken with its last class.

    The winner beside a class is that of the whole beat, so on the beat with ``last`` it is the network's answer.
    Throughput: one class per cycle. Latency: none, everything passes combinationally.

    Ports:
        arriving: ``result_layout(config)``.
        leaving: ``result_layout(one_by_one(config))``.
    """

    def __init__(self, config: ReadoutConfig) -> None:
        self.config = config
        super().__init__(
            {
                "arriving": In(stream.Signature(result_layout(config))),
                "leaving": Out(stream.Signature(result_layout(one_by_one(config)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        arriving, leaving = self.arriving.payload, self.leaving.payload
        sent = Signal()
        place, ends = counter(m, "place", self.config.classes_per_beat, sent)
        m.d.comb += [
            self.leaving.valid.eq(self.arriving.valid),
            self.arriving.ready.eq(self.leaving.ready & ends),
            sent.eq(self.leaving.valid & self.leaving.ready),
            leaving.logit.eq(Array(logits_of(arriving))[place]),
            leaving.winner.eq(arriving.winner),
            leaving.last.eq(arriving.last & ends),
        ]
        return m
