"""Exact timing of the event engine, see :mod:`hw.timing`."""

from collections.abc import Iterator

from hw.engines.event.config import ProjectionConfig, WindowConfig
from hw.engines.event.costs import WindowCosts
from hw.engines.event.receptive_field import ReceptiveField
from hw.engines.event.scanner import EventScanner
from hw.engines.event.synapse_array import array_latency
from hw.timing import LONG_AGO, CurrentConsumer, PipelineClock


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
        """The scanner takes a beat that is offered from cycle ``offered`` on; returns when it does."""
        at = max(self.clock.local(offered), self.last + 1)
        if not cost:
            self.worked += at > self.covered
            self.last, self.covered = at, max(self.covered, at)
            return self.clock.wall(at)
        at = max(at, self.busy)
        self._scan(at, at, cost)
        return self._close(at, cost) if closes else self.clock.wall(at)

    def accumulate(self, offered: int | None, after_first: int, after_busy: int, cost: int) -> int:
        """A whole accumulation; ``offered``: from when on its first beat is there, None if it always is. Returns when
        the last beat is taken."""
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
        """Hand the sums on; where the ring still turns everything here stands still."""
        taken = self.clock.wall(at)
        ready = at + cost + self.latency
        handed = max(self.clock.wall(ready), self.free)
        self.clock.wait(ready, handed)
        self.free = self.neurons.feed(handed + 1) + 1
        return taken


class StreamRegisterTiming:
    """Two places in front of a scanner that takes beats as they come."""

    def __init__(self, array: ArrayTiming, costs: Iterator[tuple[int, bool]]) -> None:
        self.array, self.costs = array, costs
        self.left = (LONG_AGO, LONG_AGO)

    def offer(self, at: int) -> int:
        taken = max(at, self.left[0] + 1)
        cost, closes = next(self.costs)
        self.left = (self.left[1], self.array.take(max(taken, self.left[1]) + 1, cost, closes))
        return taken


class ReceptiveFieldTiming:
    """A line buffer: rows come in, rows of windows are read as soon as what they need is whole."""

    def __init__(self, window: WindowConfig, array: ArrayTiming, costs: WindowCosts) -> None:
        self.window, self.array = window, array
        shape = (-1, window.width, costs.closing.shape[-1])
        fields = (costs.after_first, costs.after_busy, costs.closing)
        self.costs = zip(*(field.reshape(shape).tolist() for field in fields), strict=True)
        self.row_words = window.source.width * window.source.beats_per_position
        self.word = 0
        self.whole: list[int] = []
        self.released: list[int] = []
        self.y = 0
        self.done = LONG_AGO

    def offer(self, at: int) -> int:
        row = len(self.whole)
        taken = at if row < self.window.rows_kept else max(at, self.released[row - self.window.rows_kept] + 1)
        self.word += 1
        if self.word == self.row_words:
            self.word = 0
            self.whole.append(taken)
            self._read()
        return taken

    def _read(self) -> None:
        """Read every row of windows for which the rows are there."""
        while len(self.whole) >= len(self.released) + self.window.needed[self.y]:
            needed = len(self.released) + self.window.needed[self.y]
            begins = max(self.done, self.whole[needed - 1] if needed else LONG_AGO)
            self.done = self._read_row(begins + ReceptiveField.latency)
            self.released += [self.done] * self.window.released[self.y]
            self.y = (self.y + 1) % self.window.height
            if self.y == 0 and len(self.whole) == len(self.released):
                return

    def _read_row(self, offered: int) -> int:
        """One row of windows; returns when its last beat leaves."""
        first: int | None = offered
        left = offered
        for window in zip(*next(self.costs), strict=True):
            sums = list(zip(*window, strict=True))
            for _ in range(self.window.folds):
                for after_first, after_busy, cost in sums:
                    left = self.array.accumulate(first, after_first, after_busy, cost)
                    first = None
        return left
