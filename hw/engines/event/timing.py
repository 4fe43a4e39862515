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
        """A beat; no more than one sum comes of it."""
        taken = max(at, self.left[0] + 1)
        cost, closes = next(self.costs)
        self.left = (self.left[1], self.array.take(max(taken, self.left[1]) + 1, cost, closes))
        return taken

    arrive = offer

    def advance(self) -> bool:
        """Nothing is left to be computed of what has arrived."""
        return False

    def release(self, at: int) -> None:
        """The ring is free from cycle ``at`` on."""
        self.array.free = at


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
        self.sums = self._sums()

    def offer(self, at: int) -> int:
        """A beat, and all sums that can be computed once it is there."""
        taken = self.arrive(at)
        while self.advance():
            pass
        return taken

    def arrive(self, at: int) -> int:
        """A beat goes into the line buffer."""
        row = len(self.whole)
        taken = at if row < self.window.rows_kept else max(at, self.released[row - self.window.rows_kept] + 1)
        self.word += 1
        if self.word == self.row_words:
            self.word = 0
            self.whole.append(taken)
        return taken

    def advance(self) -> bool:
        """Compute the next sum; False where rows are missing."""
        return next(self.sums)

    def release(self, at: int) -> None:
        """The ring is free from cycle ``at`` on."""
        self.array.free = at

    def _sums(self) -> Iterator[bool]:
        """Row of windows after row of windows, for ever: True with each sum, False as long as rows are missing."""
        done = LONG_AGO
        while True:
            for needed, released in zip(self.window.needed, self.window.released, strict=True):
                rows = len(self.released) + needed
                while len(self.whole) < rows:
                    yield False
                begins = max(done, self.whole[rows - 1] if rows else LONG_AGO)
                offered: int | None = begins + ReceptiveField.latency
                sums = self._row_of_sums()
                for left, (after_first, after_busy, cost) in zip(range(len(sums) - 1, -1, -1), sums, strict=True):
                    done = self.array.accumulate(offered, after_first, after_busy, cost)
                    offered = None
                    if not left:
                        self.released += [done] * released
                    yield True

    def _row_of_sums(self) -> list[tuple[int, int, int]]:
        """Costs of every accumulation of a row of windows, fold after fold."""
        return [
            one
            for window in zip(*next(self.costs), strict=True)
            for _ in range(self.window.folds)
            for one in zip(*window, strict=True)
        ]
