"""Exact timing of streams: recurrences over hand-offs instead of a simulation cycle by cycle.

Every timing class models the component in the same file. ``offer(at)`` offers the next beat from cycle ``at`` on and
returns the cycle in which it is taken. Everything that follows from the beat is computed at once, so a chain of
components needs no scheduler. The model assumes that results are always taken and inferences are offered back to back.
"""

from collections import deque
from typing import Protocol

LONG_AGO = -(2**40)
REMEMBERED = 32
"""Stalls of a pipeline that are kept: no query goes back further than the length of a pipeline."""


class Consumer(Protocol):
    """The receiving end of a stream."""

    def offer(self, at: int) -> int:
        """Offer the next beat from cycle ``at`` on; returns the cycle in which it is taken."""


class CurrentConsumer(Protocol):
    """The receiver of the beats of a hand-over's ring."""

    def feed(self, valid: int) -> int:
        """Take all beats of a ring that turns from cycle ``valid`` on; returns the cycle in which the last is taken."""


class PipelineClock:
    """Time inside a pipeline that stalls as a whole: ``local`` counts only the cycles in which it advances."""

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
        """Stall before step ``local`` so that it is not made before cycle ``until``."""
        length = until - self.wall(local)
        if length > 0:
            self.forgotten |= len(self.freezes) == REMEMBERED
            self.freezes.append((local, length))
            self.frozen += length

    def _check_remembered(self) -> None:
        """Raise RuntimeError if stalls were forgotten: called when a step before all remembered stalls is queried."""
        if self.forgotten:
            raise RuntimeError(f"the cycle model remembers {REMEMBERED} stalls of a pipeline, and needs more")
