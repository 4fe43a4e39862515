"""Exact timing of the hardware's components: recurrences over hand-offs, no cycle is stepped through.

Every class stands for the component of the same name in :mod:`hw`. ``offer(at)`` says that the next beat is offered
from cycle ``at`` on and returns the cycle in which it is taken; all that follows from it is worked out at once, so
a chain of components needs no scheduler. Results are always taken, and inferences are offered back to back.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from gen.planning.costs import WindowCosts
from hw.configuration import NeuronConfig, PoolingConfig, ProjectionConfig, SkipConfig, WindowConfig
from hw.neuron_bank import NeuronBank
from hw.neuron_core import NeuronCore
from hw.pooling import PoolingStage
from hw.readout import Readout
from hw.receptive_field import ReceptiveField
from hw.scanner import EventScanner
from hw.synapse_array import array_latency

LONG_AGO = -(2**40)
REMEMBERED = 32


class Consumer(Protocol):
    """The receiving end of a stream."""

    def offer(self, at: int) -> int:
        """Offer the next beat from cycle ``at`` on; returns the cycle in which it is taken."""


class Neurons(Protocol):
    """What a hand-over's ring turns for."""

    def feed(self, valid: int) -> int:
        """A ring that turns from cycle ``valid`` on; returns the cycle in which its last beat is taken."""


class PipelineClock:
    """Time inside a pipeline that stands still as a whole: ``local`` counts only the cycles in which it moves."""

    def __init__(self) -> None:
        self.frozen = 0
        self.freezes: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    def wall(self, local: int) -> int:
        """The cycle in which the pipeline makes its step ``local``."""
        offset = self.frozen
        for start, length in reversed(self.freezes):
            if start <= local:
                break
            offset -= length
        return local + offset

    def local(self, wall: int) -> int:
        """The first step that the pipeline makes in cycle ``wall`` or later."""
        offset = self.frozen
        for start, length in reversed(self.freezes):
            if wall - offset >= start:
                break
            offset -= length
            if wall - offset >= start:
                return start
        return wall - offset

    def wait(self, local: int, until: int) -> None:
        """Stand still before step ``local`` so that it is not made before cycle ``until``."""
        length = until - self.wall(local)
        if length > 0:
            self.freezes.append((local, length))
            self.frozen += length


class ReadoutTiming:
    """Turns sums into results; ``finished`` lists the cycle in which each inference's class leaves."""

    def __init__(self, classes: int, lanes: int, folds: int) -> None:
        self.classes, self.lanes, self.beats = classes, lanes, lanes * folds
        self.taken = 0
        self.finished: list[int] = []

    def feed(self, valid: int) -> int:
        """A turn of the ring from cycle ``valid`` on; returns the cycle in which its last beat is taken."""
        last_class = self.classes - 1 - self.taken
        if 0 <= last_class < self.lanes:
            self.finished.append(valid + last_class + Readout.latency)
        self.taken = (self.taken + self.lanes) % self.beats
        return valid + self.lanes - 1


class SkipTiming:
    """A queue of bursts that wait for their neurons."""

    def __init__(self, config: SkipConfig) -> None:
        self.depth = max(2, config.depth)
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
        """The cycle from which on the next beat is offered to the neurons."""
        return self._move(len(self.left)) + 1

    def take(self, at: int) -> None:
        """The neurons take the next beat."""
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


class NeuronBankTiming:
    """Neurons of one layer, from the turning ring to the beats that leave."""

    def __init__(self, config: NeuronConfig, repeats: int, skips: Sequence[SkipTiming], reader: Consumer) -> None:
        self.config, self.repeats, self.skips, self.reader = config, repeats, skips, reader
        self.clock = PipelineClock()
        self.pause = max(0, NeuronBank.write_latency - config.slots)
        self.parts = config.group // config.cores
        self.widths = [skip.stream.group // config.cores for skip in config.skips]
        self.accepted = LONG_AGO
        self.resumes = LONG_AGO
        self.taken = LONG_AGO
        self.slot = 0

    def feed(self, valid: int) -> int:
        """A ring that turns ``repeats`` times from cycle ``valid`` on; returns when its last beat is taken."""
        for _ in range(self.repeats):
            for first in range(0, self.config.slots, self.parts):
                self._beat(valid, first)
            self.resumes = self.accepted + 1 + self.pause
        return self.clock.wall(self.accepted)

    def _beat(self, valid: int, first: int) -> None:
        """The neurons of one beat; it leaves a cycle after the last of them."""
        clock = self.clock
        self._accept(valid, first)
        clock.wait(self.accepted + NeuronCore.latency, self.taken)
        if self.skips:
            for slot in range(first + 1, first + self.parts):
                self._accept(valid, slot)
        else:
            self.accepted += self.parts - 1
        self.taken = self.reader.offer(clock.wall(self.accepted + NeuronCore.latency) + 1)

    def _accept(self, valid: int, slot: int) -> None:
        """The cores take the sums of one slot."""
        for skip in self.skips:
            valid = max(valid, skip.available())
        self.accepted = max(self.clock.local(valid), self.accepted + 1, self.resumes)
        for skip, width in zip(self.skips, self.widths, strict=True):
            if slot % width == width - 1:
                skip.take(self.clock.wall(self.accepted))


class ArrayTiming:
    """Scanner, synapse array and hand-over of one layer. ``worked`` counts the cycles in which the scanner works."""

    def __init__(self, projection: ProjectionConfig, neurons: Neurons) -> None:
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


class PoolingTiming:
    """A pooling stage."""

    def __init__(self, config: PoolingConfig, reader: Consumer) -> None:
        self.config, self.reader = config, reader
        self.words = config.stream.beats_per_position
        self.pause = max(0, PoolingStage.write_latency - self.words)
        self.clock = PipelineClock()
        self.accepted = LONG_AGO
        self.taken = LONG_AGO
        self.place = 0

    def offer(self, at: int) -> int:
        config, clock = self.config, self.clock
        position, word = divmod(self.place, self.words)
        y, x = divmod(position, config.stream.width)
        self.place = (self.place + 1) % config.stream.beats_per_inference
        pause = self.pause if word == 0 else 0
        self.accepted = max(clock.local(at), self.accepted + 1 + pause)
        size = config.kernel
        kept = y < config.output.height * size and x < config.output.width * size
        if kept and y % size == size - 1 and x % size == size - 1:
            leaves = self.accepted + PoolingStage.latency - 1
            clock.wait(leaves, self.taken)
            self.taken = self.reader.offer(clock.wall(leaves) + 1)
        return clock.wall(self.accepted)


class ForkTiming:
    """Several readers of one stream."""

    def __init__(self, readers: Sequence[Consumer]) -> None:
        self.readers = readers

    def offer(self, at: int) -> int:
        return max(reader.offer(at) for reader in self.readers)
