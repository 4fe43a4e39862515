"""Skip buffer: bursts of an identity connection wait here for the neurons that they enter."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.configuration import SkipConfig
from hw.logic import counter
from hw.scanner import bursts_layout


class SkipBuffer(wiring.Component):
    """A queue of ``depth`` beats, proved deep enough by :func:`hw.configure.skip_config`.

    Its source sends into this queue and into the layers between at the same time. By the time the target can work
    on a position the source is ``depth`` beats ahead at most, so the queue is never what all wait for.

    Throughput: one beat a cycle. Latency: ``latency`` = 3 cycles.

    Ports:
        arriving, leaving: ``bursts_layout(group, burst_bits)``.
    """

    latency = 3

    def __init__(self, config: SkipConfig) -> None:
        self.config = config
        layout = bursts_layout(config.stream.group, config.stream.burst_bits)
        super().__init__({"arriving": In(stream.Signature(layout)), "leaving": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = max(2, self.config.depth)
        m.submodules.queue = queue = Memory(
            shape=self.arriving.payload.shape(), depth=depth, init=[], attrs={"ram_style": self.config.memory}
        )
        write, read = queue.write_port(), queue.read_port()
        level = Signal(range(depth + 1))
        fetched = Signal()
        fetching = Signal()
        m.d.comb += [
            self.arriving.ready.eq(level != depth),
            write.en.eq(self.arriving.valid & self.arriving.ready),
            write.data.eq(self.arriving.payload),
            write.addr.eq(counter(m, "write_address", depth, write.en)[0]),
            read.en.eq(~fetched | ~self.leaving.valid | self.leaving.ready),
            fetching.eq(read.en & (level != 0)),
            read.addr.eq(counter(m, "read_address", depth, fetching)[0]),
        ]
        m.d.sync += level.eq(level + write.en - fetching)
        with m.If(read.en):
            m.d.sync += fetched.eq(fetching)
        with m.If(~self.leaving.valid | self.leaving.ready):
            m.d.sync += [self.leaving.valid.eq(fetched), self.leaving.payload.eq(read.data)]
        return m
