"""Addition of the currents of several projections into one population."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.engines.engine import SideTiming
from hw.layouts import sums_layout
from hw.logic import tree
from hw.neurons.skip_queue import SkipTiming
from hw.timing import CurrentConsumer


class CurrentAdder(wiring.Component):
    """Adds the currents of several engines, neuron by neuron (docs/design.md, integer form: the sum over projections).

    Throughput: one beat per cycle, as soon as every engine offers one. Latency: ``latency`` = 0; the neuron cores begin
    with a register.

    Ports:
        arriving: ``sums_layout(cores, bits)`` of each engine; an array of streams.
        leaving: their sum, ``sums_layout(cores, bits)``; ``bits`` is proved for it.
    """

    latency = 0

    def __init__(self, engines: int, cores: int, bits: int) -> None:
        self.engines, self.cores = engines, cores
        flow = stream.Signature(sums_layout(cores, bits))
        super().__init__({"arriving": In(flow).array(engines), "leaving": Out(flow)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        arriving = [self.arriving[index] for index in range(self.engines)]
        complete = Cat(one.valid for one in arriving).all()
        m.d.comb += self.leaving.valid.eq(complete)
        for core in range(self.cores):
            m.d.comb += self.leaving.payload[core].eq(tree([one.payload[core] for one in arriving]))
        for one in arriving:
            m.d.comb += one.ready.eq(complete & self.leaving.ready)
        return m


class Side:
    """An engine that waits for another one: its queue, its timing, and the cycle from which each sum is available."""

    def __init__(self, queue: SkipTiming) -> None:
        self.queue = queue
        self.engine: SideTiming | None = None
        self.valid: list[int] = []

    def feed(self, valid: int) -> int:
        """The engine's ring could turn from cycle ``valid`` on; when it does depends on the other engines."""
        self.valid.append(valid)
        return valid

    def next_sum(self) -> int:
        """The cycle from which the next sum is available; the engine advances as far as this requires."""
        assert self.engine is not None
        while not self.valid:
            if not self.engine.advance():
                self.queue.take(self.engine.arrive(self.queue.available()))
        return self.valid.pop()


class CurrentsTiming:
    """Exact timing of added currents: the rings of all engines turn together, once the last one has its sums."""

    def __init__(self, sides: Sequence[Side], neurons: CurrentConsumer) -> None:
        self.sides, self.neurons = sides, neurons

    def feed(self, valid: int) -> int:
        """As in :class:`hw.timing.CurrentConsumer`, for the engine that all others wait for."""
        taken = self.neurons.feed(max([valid, *(side.next_sum() for side in self.sides)]))
        for side in self.sides:
            assert side.engine is not None
            side.engine.release(taken + 1)
        return taken
