"""Recordings of event cameras: the result of a reader, the clock of a camera, and N-MNIST's own format.

Needs only numpy. Everything in a file is either an event, or is counted as left out, or leads to a :class:`FaultError`
that says what is wrong with the file.
"""

import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EVENT = np.dtype([("x", np.uint8), ("y", np.uint8), ("t", np.int64), ("p", np.uint8)])
"""Column, row, microseconds, polarity."""
LONGEST_PAUSE = 2_000_000
"""Microseconds: a camera in use is never silent this long, so a longer step is an error or a restart of its clock."""
JITTER = 10_000
"""Microseconds by which an event may precede the one before it without this being a reset of the clock."""
NMNIST_SIZE = 34
NMNIST_LARGEST = 2**24
"""Bytes; the data set's longest recordings have 50,000."""
NMNIST_PERIOD = 2**23
"""Microseconds after which its clock starts again from 0."""
NMNIST_OVERFLOW_ROW = 240
NMNIST_OVERFLOW = 2**13
"""A word with y = NMNIST_OVERFLOW_ROW is not an event: it makes all later times this many microseconds later."""


class FaultError(Exception):
    """A recording that cannot be used; the message says why, without the file's name."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """``events``: of type :data:`EVENT`, at least one; ``remarks``: counts of what was left out or corrected."""

    events: NDArray[Any]
    remarks: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if len(self.events) == 0:
            raise FaultError("it holds no events")


class Clock:
    """The times of a recording, block by block, from a clock that starts again from 0 after ``period`` microseconds.

    Attributes:
        resets: how often the clock was reset; time then continues from the last event, since the pause is unknown.
    """

    def __init__(self, period: int) -> None:
        self.resets = 0
        self._period = period
        self._last: tuple[int, int] | None = None
        self._seen = 0

    def times(self, stamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Times of the next events in microseconds, without wraps; raises FaultError if they jump forward."""
        if len(stamps) == 0:
            return stamps
        stamp, time = (int(stamps[0]),) * 2 if self._last is None else self._last
        steps = np.diff(stamps, prepend=stamp)
        half = self._period // 2
        passed = (steps + half) % self._period - half
        odd = (passed < -JITTER) | (passed > LONGEST_PAUSE)
        jumps = np.flatnonzero(odd & (steps > 0))
        if len(jumps):
            seconds = steps[jumps[0]] / 1e6
            raise FaultError(f"its clock jumps by {seconds:.1f} s before event {self._seen + int(jumps[0])}")
        passed[odd] = 0
        self.resets += int(odd.sum())
        self._seen += len(stamps)
        times = time + np.cumsum(passed)
        self._last = int(stamps[-1]), int(times[-1])
        return times


def whole_file(path: Path, largest: int) -> bytes:
    """A file's content; raises FaultError if it cannot be read or has more than ``largest`` bytes."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise FaultError("it is not a file")
        if status.st_size > largest:
            raise FaultError(f"it has {status.st_size} bytes, and at most {largest} are read")
        return path.read_bytes()
    except OSError as error:
        raise FaultError(f"it cannot be read: {error.strerror}") from error


def check_inside(x: NDArray[Any], y: NDArray[Any], size: int) -> None:
    """Raise FaultError if an event is outside of ``size`` x ``size`` pixels."""
    outside = np.flatnonzero((x >= size) | (y >= size))
    if len(outside):
        at = outside[0]
        raise FaultError(f"it has an event at x = {x[at]}, y = {y[at]}, outside of {size} x {size} pixels")


def read_nmnist(path: Path) -> Decoded:
    """A .bin file of N-MNIST. Five bytes per event: x, y, then polarity (1 bit) and microseconds (23 bits), big-endian.

    Source: G. Orchard et al., Front. Neurosci. 9:437, 2015, and the reader published with it.

    Raises:
        FaultError: it cannot be read, is empty or damaged.
    """
    content = whole_file(path, NMNIST_LARGEST)
    if len(content) % 5:
        raise FaultError(f"it is cut off: {len(content)} bytes are not a whole number of 5-byte events")
    raw = np.frombuffer(content, dtype=np.uint8).reshape(-1, 5)
    overflow = raw[:, 1] == NMNIST_OVERFLOW_ROW
    x, y, high, middle, low = raw[~overflow].T
    check_inside(x, y, NMNIST_SIZE)
    events = np.empty(len(x), dtype=EVENT)
    events["x"], events["y"], events["p"] = x, y, high >> 7
    clock = Clock(NMNIST_PERIOD)
    stamps = (high & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    events["t"] = clock.times(stamps) + np.cumsum(overflow)[~overflow] * NMNIST_OVERFLOW
    return Decoded(events=events, remarks=Counter({"resets of the clock": clock.resets}))
