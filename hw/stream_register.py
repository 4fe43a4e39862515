"""A register in a stream."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamRegister(wiring.Component):
    """A buffer for two beats: on both sides every signal, ``ready`` included, ends in a register here.

    Throughput: one beat per cycle. Latency: ``latency`` = 1 cycle.

    Ports:
        arriving, leaving: streams of ``payload``.
    """

    latency = 1

    def __init__(self, payload: ShapeLike) -> None:
        super().__init__({"arriving": In(stream.Signature(payload)), "leaving": Out(stream.Signature(payload))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held = Signal(self.arriving.payload.shape(), reset_less=True)
        spare = Signal.like(held, name="spare")
        spare_full = Signal()
        m.d.comb += [self.arriving.ready.eq(~spare_full), self.leaving.payload.eq(held)]
        with m.If(~self.leaving.valid | self.leaving.ready):
            m.d.sync += [
                self.leaving.valid.eq(spare_full | self.arriving.valid),
                held.eq(Mux(spare_full, spare, self.arriving.payload)),
                spare_full.eq(0),
            ]
        with m.Elif(self.arriving.ready):
            m.d.sync += [spare.eq(self.arriving.payload), spare_full.eq(self.arriving.valid)]
        return m
