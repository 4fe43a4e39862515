"""Fork: one stream of bursts for several readers."""

from collections.abc import Sequence

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.timing import Consumer


class Fork(wiring.Component):
    """Sends every beat to each of ``branches`` readers as soon as that reader is ready; the slowest one sets the pace.

    Throughput: one beat per cycle. Latency: ``latency`` = 0.

    Ports:
        arriving: stream of ``payload``.
        leaving: the same beats for each reader; an array of streams.
    """

    latency = 0

    def __init__(self, payload: ShapeLike, branches: int) -> None:
        self.branches = branches
        flow = stream.Signature(payload)
        super().__init__({"arriving": In(flow), "leaving": Out(flow).array(branches)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given = Signal(self.branches)
        served = Signal(self.branches)
        m.d.comb += self.arriving.ready.eq(served.all())
        for index in range(self.branches):
            branch = self.leaving[index]
            m.d.comb += [
                branch.valid.eq(self.arriving.valid & ~given[index]),
                branch.payload.eq(self.arriving.payload),
                served[index].eq(given[index] | branch.ready),
            ]
            m.d.sync += given[index].eq(self.arriving.valid & served[index] & ~self.arriving.ready)
        return m


class ForkTiming:
    """Exact timing of a :class:`Fork`."""

    def __init__(self, readers: Sequence[Consumer]) -> None:
        self.readers = readers

    def offer(self, at: int) -> int:
        return max(reader.offer(at) for reader in self.readers)
