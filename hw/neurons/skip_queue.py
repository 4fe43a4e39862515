"""Skip queue: bursts wait here until the parallel path has caught up."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import bursts_layout
from hw.logic import counter
from hw.neurons.config import QueueConfig
from hw.timing import LONG_AGO


class SkipQueue(wiring.Component):
    """A queue of ``depth`` beats, proved deep enough by :func:`hw.stages.queues.queue_depth`.

    Its source sends into this queue and into the layers in between at the same time. When the target can work on a
    position, the source is at most ``depth`` beats ahead, so a full queue never causes a deadlock.

    Throughput: one beat per cycle. Latency: ``latency`` = 3 cycles.

    Ports:
        arriving, leaving: ``bursts_layout(group, burst_bits)``.
    """

    latency = 3

    def __init__(self, config: QueueConfig) -> None:
        self.config = config
        layout = bursts_layout(config.stream.group, config.stream.burst_bits)
        super().__init__({"arriving": In(stream.Signature(layout)), "leaving": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.config.queue.shape.depth
        m.submodules[self.config.queue.name] = queue = self.config.queue.memory()
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


class SkipTiming:
    """Exact timing of a :class:`SkipQueue`."""

    def __init__(self, config: QueueConfig) -> None:
        self.depth = config.queue.shape.depth
        self.entered: list[int] = []
        self.fetched: list[int] = []
        self.moved: list[int] = []
        self.left: list[int] = []

    def offer(self, at: int) -> int:
        number = len(self.entered)
        taken = at if number < self.depth else max(at, self._fetch(number - self.depth) + 1)
        self.entered.append(taken)
        return taken

    def available(self) -> int:
        """The cycle from which the next beat is offered."""
        return self._move(len(self.left)) + 1

    def take(self, at: int) -> None:
        """The next beat is taken."""
        self.left.append(at)

    def _fetch(self, number: int) -> int:
        while len(self.fetched) <= number:
            index = len(self.fetched)
            before = max(self.fetched[-1] + 1, self._move(index - 1)) if index else LONG_AGO
            self.fetched.append(max(self.entered[index] + 1, before))
        return self.fetched[number]

    def _move(self, number: int) -> int:
        while len(self.moved) <= number:
            index = len(self.moved)
            self.moved.append(max(self._fetch(index) + 1, self.left[index - 1] if index else LONG_AGO))
        return self.moved[number]
