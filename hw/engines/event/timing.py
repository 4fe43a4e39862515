"""Exact timing of the event engine, see :mod:`hw.timing`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from hw.engines.event.config import ProjectionConfig
from hw.engines.event.costs import WindowCosts
from hw.engines.event.scanner import EventScanner
from hw.engines.event.synapse_array import array_latency
from hw.timing import LONG_AGO, CurrentConsumer, PipelineClock
from hw.windows.config import WindowConfig
from hw.windows.receptive_field import ReceptiveFieldTiming

Cost = TypeVar("Cost")
"""The cost of a beat: its cycles, or with queues its cycles in each bank."""


class ArrayTiming(ABC, Generic[Cost]):
    """Scanner, synapse array and hand-over of one layer.

    Attributes:
        worked: cycles in which the scanner works.
        last: the step in which the last beat was taken.
        covered: the last step that is known to be one of work.
        free: the cycle from which the hand-over's ring is free.
    """

    def __init__(self, projection: ProjectionConfig, neurons: CurrentConsumer) -> None:
        self.neurons = neurons
        # From the last step of a scan to its sums.
        self.latency = EventScanner.latency - 1 + array_latency(projection.banks)
        self.clock = PipelineClock()
        self.worked = 0
        self.last = LONG_AGO
        self.covered = LONG_AGO
        self.free = LONG_AGO

    @abstractmethod
    def take(self, offered: int, cost: Cost, closes: bool) -> int:
        """The scanner takes a beat that is offered from cycle ``offered`` on; returns the cycle in which it does."""

    @abstractmethod
    def accumulate(self, offered: int | None, after_first: int, after_busy: int, cost: int) -> int:
        """A whole accumulation; ``offered``: the cycle from which its first beat is available, None if it always is.
        Returns the cycle in which the last beat is taken."""

    def _first(self, offered: int | None, earliest: int) -> int:
        """The step in which a beat is taken that could be in step ``earliest``."""
        return earliest if offered is None else max(self.clock.local(offered), earliest)

    def _work(self, first: int, end: int) -> None:
        """Account for a scan from step ``first`` to step ``end``."""
        self.worked += max(0, end - max(self.covered, first - 1))
        self.covered = max(self.covered, end)

    def _hand_on(self, at: int, end: int) -> int:
        """Hand on the sums of a scan that ends in step ``end``; while the ring still turns, scanner and array stall.
        Returns the cycle of step ``at``."""
        taken = self.clock.wall(at)
        ready = end + self.latency
        handed = max(self.clock.wall(ready), self.free)
        self.clock.wait(ready, handed)
        self.free = self.neurons.feed(handed + 1) + 1
        return taken


class SharedTiming(ArrayTiming[int]):
    """All banks work on the same beat; ``busy``: the last step in which one is scanned."""

    def __init__(self, projection: ProjectionConfig, neurons: CurrentConsumer) -> None:
        super().__init__(projection, neurons)
        self.busy = LONG_AGO

    def take(self, offered: int, cost: int, closes: bool) -> int:
        at = self._first(offered, self.last + 1)
        if cost:
            at = max(at, self.busy)
            self.busy = at + cost
        self.last = at
        self._work(at, at + cost)
        return self._hand_on(at, self.busy) if closes else self.clock.wall(at)

    def accumulate(self, offered: int | None, after_first: int, after_busy: int, cost: int) -> int:
        first = self._first(offered, self.last + 1)
        self.last = max(first + after_first, self.busy + after_busy)
        self.busy = self.last + cost
        self._work(first, self.busy)
        return self._hand_on(self.last, self.busy)


class QueuedTiming(ArrayTiming[Sequence[int]]):
    """Every bank has a queue; ``ends``: the last steps in which the two accumulations before this one are scanned."""

    def __init__(self, projection: ProjectionConfig, neurons: CurrentConsumer) -> None:
        super().__init__(projection, neurons)
        self.beats = projection.window.words * projection.merged_steps
        self.ends = (LONG_AGO, LONG_AGO)
        self.banks = [LONG_AGO] * projection.banks

    def take(self, offered: int, cost: Sequence[int], closes: bool) -> int:
        at = self.last = self._first(offered, max(self.last, self.ends[0]) + 1)
        self.banks = [
            max(end, at + 1, self.ends[1]) + planes if planes else end
            for end, planes in zip(self.banks, cost, strict=True)
        ]
        end = max(self.banks)
        self._work(at, max(at, end))
        return self._end(at, end) if closes else self.clock.wall(at)

    def accumulate(self, offered: int | None, after_first: int, after_busy: int, cost: int) -> int:
        first = self._first(offered, max(self.last, self.ends[0]) + 1)
        self.last = first + self.beats - 1
        end = max(first + after_first, self.ends[1] + after_busy)
        self._work(first, end)
        return self._end(self.last, end)

    def _end(self, at: int, end: int) -> int:
        self.ends = (self.ends[1], end)
        return self._hand_on(at, end)


def array_timing(projection: ProjectionConfig, neurons: CurrentConsumer) -> SharedTiming | QueuedTiming:
    """The timing of an engine's scanner, array and hand-over."""
    return QueuedTiming(projection, neurons) if projection.queued else SharedTiming(projection, neurons)


class StreamRegisterTiming(Generic[Cost]):
    """A stream register in front of a scanner that reads the source without a line buffer."""

    def __init__(self, array: ArrayTiming[Cost], costs: Iterator[tuple[Cost, bool]]) -> None:
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

    def __init__(self, window: WindowConfig, array: ArrayTiming[Any], costs: WindowCosts) -> None:
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
