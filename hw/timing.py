"""Exact timing of streams: recurrences over hand-offs, no cycle is stepped through.

Every class stands for the component whose file it is in. ``offer(at)`` says that the next beat is offered from cycle
``at`` on and returns the cycle in which it is taken; all that follows from it is worked out at once, so a chain of
components needs no scheduler. Results are always taken, and inferences are offered back to back.
"""

from collections import deque
from typing import Protocol

LONG_AGO = -(2**40)
REMEMBERED = 32
"""Stalls of a pipeline that are kept: what is asked for lies no further back than the stages of a pipeline are long."""


class Consumer(Protocol):
    """The receiving end of a stream."""

    def offer(self, at: int) -> int:
        """Offer the next beat from cycle ``at`` on; returns the cycle in which it is taken."""


class CurrentConsumer(Protocol):
    """What a hand-over's ring turns for."""

    def feed(self, valid: int) -> int:
        """A ring that turns from cycle ``valid`` on; returns the cycle in which its last beat is taken."""


class PipelineClock:
    """Time inside a pipeline that stands still as a whole: ``local`` counts only the cycles in which it moves."""

    def __init__(self) -> None:
        self.frozen = 0
        self.freezes: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        self.forgotten = False

    def wall(self, local: int) -> int:
        """The cycle in which the pipeline makes its step ``local``."""
        offset = self.frozen
        for start, length in reversed(self.freezes):
            if start <= local:
                break
            offset -= length
        else:
            self._check_remembered()
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
        else:
            self._check_remembered()
        return wall - offset

    def wait(self, local: int, until: int) -> None:
        """Stand still before step ``local`` so that it is not made before cycle ``until``."""
        length = until - self.wall(local)
        if length > 0:
            self.forgotten |= len(self.freezes) == REMEMBERED
            self.freezes.append((local, length))
            self.frozen += length

    def _check_remembered(self) -> None:
        """Raise RuntimeError where a step before all remembered freezes is asked for, and there were others."""
        if self.forgotten:
            raise RuntimeError(f"the cycle model remembers {REMEMBERED} stalls of a pipeline, and needs more")
