"""Exact timing of the event engine, see :mod:`hw.timing`."""

from collections.abc import Iterator

from hw.engines.event.config import ProjectionConfig
from hw.engines.event.costs import WindowCosts
from hw.engines.event.scanner import EventScanner
from hw.engines.event.synapse_array import array_latency
from hw.timing import LONG_AGO, CurrentConsumer, PipelineClock
from hw.windows.config import WindowConfig
from hw.windows.receptive_field import ReceptiveFieldTiming


class ArrayTiming:
    """Scanner, synapse array and hand-over of one layer. ``worked`` counts the cycles in which the scanner works."""

    def __init__(self, projection: ProjectionConfig, neurons: CurrentConsumer) -> None:
        self.neurons = neurons
        self.latency = EventScanner.latency - 1 + array_latency(projection.banks)
        self.clock = PipelineClock()
        self.worked = 0
        self.last = LONG_AGO
        self.busy = LONG_AGO
        self.covered = LONG_AGO
        self.free = LONG_AGO

    def take(self, offered: int, cost: int, closes: bool) -> int:
        """The scanner takes a beat that is offered from cycle ``offered`` on; returns the cycle in which it does."""
        at = max(self.clock.local(offered), self.last + 1)
        if not cost:
            self.worked += at > self.covered
            self.last, self.covered = at, max(self.covered, at)
            return self.clock.wall(at)
        at = max(at, self.busy)
        self._scan(at, at, cost)
        return self._close(at, cost) if closes else self.clock.wall(at)

    def accumulate(self, offered: int | None, after_first: int, after_busy: int, cost: int) -> int:
        """A whole accumulation; ``offered``: the cycle from which its first beat is available, None if it always is.
        Returns the cycle in which the last beat is taken."""
        first = self.last + 1 if offered is None else max(self.clock.local(offered), self.last + 1)
        at = max(first + after_first, self.busy + after_busy)
        self._scan(first, at, cost)
        return self._close(at, cost)

    def _scan(self, first: int, at: int, cost: int) -> None:
        """Account for a scan that begins with a beat at ``first`` and ends ``cost`` steps after the one at ``at``."""
        self.worked += at + cost - max(self.covered, first - 1)
        self.last, self.busy = at, at + cost
        self.covered = self.busy

    def _close(self, at: int, cost: int) -> int:
        """Hand the sums on; while the ring still turns, scanner and array stall."""
        taken = self.clock.wall(at)
        ready = at + cost + self.latency
        handed = max(self.clock.wall(ready), self.free)
        self.clock.wait(ready, handed)
        self.free = self.neurons.feed(handed + 1) + 1
        return taken


class StreamRegisterTiming:
    """A stream register in front of a scanner that reads the source without a line buffer."""

    def __init__(self, array: ArrayTiming, costs: Iterator[tuple[int, bool]]) -> None:
        self.array, self.costs = array, costs
        self.left = (LONG_AGO, LONG_AGO)

    def offer(self, at: int) -> int:
        """A beat; it completes at most one sum."""
        taken = max(at, self.left[0] + 1)
        cost, closes = next(self.costs)
        self.left = (self.left[1], self.array.take(max(taken, self.left[1]) + 1, cost, closes))
        return taken

    arrive = offer

    def advance(self) -> bool:
        """Always False: the sums of all beats that have arrived are already computed."""
        return False

    def release(self, at: int) -> None:
        """The ring is free from cycle ``at`` on."""
        self.array.free = at


class FieldTiming(ReceptiveFieldTiming):
    """A line buffer in front of a scanner."""

    def __init__(self, window: WindowConfig, array: ArrayTiming, costs: WindowCosts) -> None:
        super().__init__(window, array, rows_of_costs(window, costs))
        self.array = array

    def release(self, at: int) -> None:
        """The ring is free from cycle ``at`` on."""
        self.array.free = at


def rows_of_costs(window: WindowConfig, costs: WindowCosts) -> Iterator[list[tuple[int, int, int]]]:
    """Costs of every accumulation of each row of windows, in the order window -> fold -> accumulation."""
    shape = (-1, window.width, costs.closing.shape[-1])
    fields = (costs.after_first, costs.after_busy, costs.closing)
    for row in zip(*(field.reshape(shape).tolist() for field in fields), strict=True):
        yield [one for each in zip(*row, strict=True) for _ in range(window.folds) for one in zip(*each, strict=True)]
