"""A register in a stream."""

from amaranth.hdl import Module, ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamRegister(wiring.Component):
    """Holds one beat, so that no logic behind it sees a block RAM's slow output.

    ``ready`` passes through. Throughput: one beat a cycle. Latency: ``latency`` = 1 cycle.

    Ports:
        arriving, leaving: streams of ``payload``.
    """

    latency = 1

    def __init__(self, payload: ShapeLike) -> None:
        super().__init__({"arriving": In(stream.Signature(payload)), "leaving": Out(stream.Signature(payload))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.arriving.ready.eq(~self.leaving.valid | self.leaving.ready)
        with m.If(self.arriving.ready):
            m.d.sync += [self.leaving.valid.eq(self.arriving.valid), self.leaving.payload.eq(self.arriving.payload)]
        return m
