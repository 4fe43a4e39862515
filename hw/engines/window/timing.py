"""Exact timing of the window engine, see :mod:`hw.timing`."""

from collections.abc import Callable, Iterator

from hw.engines.engine import EngineInput
from hw.engines.window.config import ConstantConfig
from hw.engines.window.matrix import matrix_latency
from hw.neurons.config import QueueConfig
from hw.neurons.skip_queue import SkipTiming
from hw.timing import LONG_AGO, CurrentConsumer, PipelineClock


class MatrixTiming:
    """Matrix and hand-over; ``worked`` counts its slices."""

    def __init__(self, config: ConstantConfig, neurons: CurrentConsumer) -> None:
        self.config, self.neurons = config, neurons
        self.latency = matrix_latency(config)
        self.clock = PipelineClock()
        self.worked = 0
        self.last = LONG_AGO
        self.free = LONG_AGO

    def slice(self, offered: int) -> int:
        """A slice that is offered from cycle ``offered`` on; returns the cycle in which it is taken."""
        self.worked += 1
        self.last = max(self.clock.local(offered), self.last + 1)
        return self.clock.wall(self.last)

    def hand_on(self) -> None:
        """Hand on the sum that the last slice completed; while nothing takes it, the matrix stalls."""
        ready = self.last + self.latency
        valid = self.clock.wall(ready)
        if self.config.hands_over:
            taken = max(valid, self.free)
            self.free = self.neurons.feed(taken + 1) + 1
        else:
            taken = self.neurons.feed(valid)
        self.clock.wait(ready, taken)


class PassingTiming:
    """A stream register whose beats are slices."""

    def __init__(self, config: ConstantConfig, matrix: MatrixTiming) -> None:
        self.config, self.matrix = config, matrix
        self.left = (LONG_AGO, LONG_AGO)
        self.slice = 0

    def offer(self, at: int) -> int:
        """A beat; it completes at most one sum."""
        taken = max(at, self.left[0] + 1)
        self.left = (self.left[1], self.matrix.slice(max(taken, self.left[1]) + 1))
        self.slice = (self.slice + 1) % self.config.slices
        if not self.slice:
            self.matrix.hand_on()
        return taken

    arrive = offer

    def advance(self) -> bool:
        """Always False: the sums of all beats that have arrived are already computed."""
        return False

    def release(self, at: int) -> None:
        """The ring is free from cycle ``at`` on."""
        self.matrix.free = at


class SlidingTiming:
    """A stream register, and the steps of a sliding window."""

    def __init__(self, config: ConstantConfig, matrix: MatrixTiming) -> None:
        self.config, self.matrix = config, matrix
        self.beats = config.arriving.beats_per_position
        self.beat = 0
        self.left = (LONG_AGO, LONG_AGO)
        self.stepped = LONG_AGO
        self.sums_left = 0
        self.released = LONG_AGO
        self.steps = self._steps()
        self.inside, self.closes = next(self.steps)

    def offer(self, at: int) -> int:
        """A beat, and all sums that can be computed once it has arrived."""
        taken = self.arrive(at)
        while self.advance():
            pass
        return taken

    def arrive(self, at: int) -> int:
        """A beat enters the register, and leaves it with the step that takes its position."""
        taken = max(at, self.left[0] + 1)
        offered = max(taken, self.left[1]) + 1
        self.beat = (self.beat + 1) % self.beats
        left = offered if self.beat else self._step(offered)
        self.left = (self.left[1], left)
        return taken

    def advance(self) -> bool:
        """Compute the next sum, and make the steps over padding before it; False if a position is missing."""
        while not self.sums_left:
            if self.inside:
                return False
            self._step(LONG_AGO)
        offered = self.stepped + 1
        for _ in range(self.config.slices):
            self.released = self.matrix.slice(offered)
        self.matrix.hand_on()
        self.sums_left -= 1
        return True

    def release(self, at: int) -> None:
        """The ring is free from cycle ``at`` on."""
        self.matrix.free = at

    def _step(self, offered: int) -> int:
        """The next step, with a position that is offered from cycle ``offered`` on; returns the step's cycle."""
        self.stepped = max(offered, self.stepped + 1, self.released)
        self.sums_left = self.config.sums if self.closes else 0
        self.inside, self.closes = next(self.steps)
        return self.stepped

    def _steps(self) -> Iterator[tuple[bool, bool]]:
        """For every step, forever: whether it takes a position, and whether it completes a window."""
        rows, columns = self.config.rows, self.config.columns
        while True:
            for y, row_closes in enumerate(rows.closes):
                for x, column_closes in enumerate(columns.closes):
                    yield y < rows.extent and x < columns.extent, row_closes and column_closes


class RowQueueTiming:
    """A row queue in front of an engine."""

    def __init__(self, config: QueueConfig, engine: EngineInput) -> None:
        self.queue, self.engine = SkipTiming(config), engine

    def offer(self, at: int) -> int:
        """A beat, and all sums that can be computed once it has arrived."""
        return self._pass_on(at, self.engine.offer)

    def arrive(self, at: int) -> int:
        """A beat enters the queue, and leaves it as soon as the engine takes it."""
        return self._pass_on(at, self.engine.arrive)

    def advance(self) -> bool:
        """As the engine does."""
        return self.engine.advance()

    def release(self, at: int) -> None:
        """The ring is free from cycle ``at`` on."""
        self.engine.release(at)

    def _pass_on(self, at: int, taken_by_engine: Callable[[int], int]) -> int:
        taken = self.queue.offer(at)
        self.queue.take(taken_by_engine(self.queue.available()))
        return taken
