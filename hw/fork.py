"""Fork: one stream of bursts for several readers."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Fork(wiring.Component):
    """Gives every beat to each of ``branches`` readers, to each as soon as it is ready, and waits for the slowest.

    Throughput: one beat a cycle. Latency: ``latency`` = 0.

    Ports:
        arriving: stream of ``payload``.
        branch_0, branch_1, ...: the same beats.
    """

    latency = 0

    def __init__(self, payload: ShapeLike, branches: int) -> None:
        self.branches = branches
        ports = {f"branch_{index}": Out(stream.Signature(payload)) for index in range(branches)}
        super().__init__({"arriving": In(stream.Signature(payload)), **ports})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given = Signal(self.branches)
        served = Signal(self.branches)
        m.d.comb += self.arriving.ready.eq(served.all())
        for index in range(self.branches):
            branch = getattr(self, f"branch_{index}")
            m.d.comb += [
                branch.valid.eq(self.arriving.valid & ~given[index]),
                branch.payload.eq(self.arriving.payload),
                served[index].eq(given[index] | branch.ready),
            ]
            m.d.sync += given[index].eq(self.arriving.valid & served[index] & ~self.arriving.ready)
        return m
