"""Intervals of integers, one per channel. Needs only numpy."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qblif.network.nodes import Leak, Limits


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """Closed integer bounds, one pair per channel: ``low`` and ``high`` of shape (channels,).

    The arrays are int64, or hold Python integers (dtype object) if int64 could wrap.
    """

    low: NDArray[Any]
    high: NDArray[Any]

    @cached_property
    def bits(self) -> int:
        """Smallest signed width that holds every value."""
        return max(signed_bits(int(self.low.min())), signed_bits(int(self.high.max())))

    @property
    def reach(self) -> int:
        """The largest distance of any value from 0."""
        return max(abs(int(self.low.min())), abs(int(self.high.max())))

    @property
    def hull(self) -> "Interval":
        """One interval that contains those of all channels, in Python integers."""
        low, high = int(self.low.min()), int(self.high.max())
        return Interval(low=np.array([low], dtype=object), high=np.array([high], dtype=object))

    def union(self, other: "Interval") -> "Interval":
        """Bounds of the values of both intervals."""
        return Interval(low=np.minimum(self.low, other.low), high=np.maximum(self.high, other.high))

    def equals(self, other: "Interval") -> bool:
        """Whether both have the same bounds."""
        return self.contains(other) and other.contains(self)

    def contains(self, other: "Interval") -> bool:
        """Whether every value of ``other`` is inside."""
        return bool((self.low <= other.low).all() and (self.high >= other.high).all())

    def limited(self, limits: "Limits | None") -> "Interval":
        """Bounds of the values after a clamp to ``limits``."""
        if limits is None:
            return self
        return Interval(low=np.clip(self.low, *limits), high=np.clip(self.high, *limits))

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(low=self.low + other.low, high=self.high + other.high)

    def times(self, factor: int) -> "Interval":
        """Bounds of the values times ``factor``, which is 0 or more."""
        return Interval(low=self.low * factor, high=self.high * factor)

    def leaked(self, leak: "Leak") -> "Interval":
        """Bounds of ``(a * V) >> p``."""
        return Interval(low=self.low * leak.multiplier >> leak.shift, high=self.high * leak.multiplier >> leak.shift)

    @property
    def exact(self) -> "Interval":
        """The same bounds in Python integers."""
        return Interval(low=self.low.astype(object), high=self.high.astype(object))


def signed_bits(value: int) -> int:
    """Smallest two's complement width of ``value``."""
    return (value if value >= 0 else ~value).bit_length() + 1
