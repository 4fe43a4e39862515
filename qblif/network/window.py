"""Windows of projections and poolings, which slide over the positions of a node. Needs only numpy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qblif.network.checks import LARGEST_EXTENT, IntArray, is_whole, require
from qblif.reading import shown

PerAxis = int | tuple[int, int]
"""One number for rows and one for columns; a single number applies to both."""
MOST_PADDING = 255


def per_axis(value: Any) -> tuple[int, int]:
    """The numbers for rows and for columns, of one number or of two in a tuple or list."""
    return tuple(value) if isinstance(value, list | tuple) else (value, value)


def shortest(value: Any) -> Any:
    """The canonical form of a :data:`PerAxis`: one number if both are the same, otherwise a tuple of two."""
    pair = per_axis(value)
    same = len(pair) == 2 and type(pair[0]) is type(pair[1]) and pair[0] == pair[1]
    return pair[0] if same else pair


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One direction of a sliding window.

    Attributes:
        kernel: number of places in a window.
        stride: positions from one window to the next.
        padding: positions of burst 0 before the source, and the same number after it.
        dilation: positions from one place to the next.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    @property
    def span(self) -> int:
        """Positions from the first place to the last, inclusive."""
        return (self.kernel - 1) * self.dilation + 1

    def windows(self, extent: int) -> int:
        """Number of windows over ``extent`` positions; 0 or less if there are too few positions."""
        return (extent + 2 * self.padding - self.span) // self.stride + 1

    def start(self, window: int) -> int:
        """The position of a window's first place; negative in the padding."""
        return window * self.stride - self.padding

    def seen(self, place: int, windows: int) -> slice:
        """The positions that the first ``windows`` windows read at one place, as a slice of the padded positions."""
        first = place * self.dilation
        return slice(first, first + self.stride * (windows - 1) + 1, self.stride)

    def looks(self, extent: int) -> IntArray:
        """Number of windows that read each of ``extent`` positions."""
        padded = np.zeros(extent + 2 * self.padding, dtype=np.int64)
        for place in range(self.kernel):
            padded[self.seen(place, self.windows(extent))] += 1
        return padded[self.padding :][:extent]


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window over rows and columns."""

    rows: Axis
    columns: Axis

    @property
    def kernel(self) -> tuple[int, int]:
        """Places per column and per row."""
        return self.rows.kernel, self.columns.kernel

    @property
    def stride(self) -> tuple[int, int]:
        """Strides from row to row and from column to column."""
        return self.rows.stride, self.columns.stride

    @property
    def padding(self) -> tuple[int, int]:
        """Rows of padding above and below, and columns of padding on either side."""
        return self.rows.padding, self.columns.padding

    @property
    def dilation(self) -> tuple[int, int]:
        """Dilations from row to row and from column to column."""
        return self.rows.dilation, self.columns.dilation

    @property
    def area(self) -> int:
        """Number of places in the window."""
        return self.rows.kernel * self.columns.kernel

    @property
    def padded(self) -> bool:
        """Whether it may reach into padding."""
        return any(self.padding)

    def windows(self, height: int, width: int) -> tuple[int, int]:
        """Number of rows of windows and of windows per row, over ``height`` times ``width`` positions."""
        return self.rows.windows(height), self.columns.windows(width)

    def views(self, values: IntArray) -> Iterator[IntArray]:
        """The values that all windows read, one place of the window after another; 0 in the padding.

        Args:
            values: values of every position, (count, H, W, ...).

        Yields:
            (count, rows of windows, windows per row, ...) for each place, row by row.
        """
        height, width = self.windows(values.shape[1], values.shape[2])
        around = [(axis.padding, axis.padding) for axis in (self.rows, self.columns)]
        padded = np.pad(values, [(0, 0), *around, *[(0, 0)] * (values.ndim - 3)])
        for row in range(self.rows.kernel):
            for column in range(self.columns.kernel):
                yield padded[:, self.rows.seen(row, height), self.columns.seen(column, width)]


def make_window(
    kernel: PerAxis, stride: PerAxis = 1, padding: PerAxis = 0, dilation: PerAxis = 1, *, name: str
) -> Window:
    """The window of the node or layer ``name``; raises NetworkError if the numbers do not make a valid window."""
    axes: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for quantity, value, least, most in (
        ("kernel", kernel, 1, LARGEST_EXTENT),
        ("stride", stride, 1, LARGEST_EXTENT),
        ("padding", padding, 0, MOST_PADDING),
        ("dilation", dilation, 1, LARGEST_EXTENT),
    ):
        pair = per_axis(value)
        fine = len(pair) == 2 and all(is_whole(number, least, most) for number in pair)
        require(fine, f"{name}: {quantity} {shown(value)} is not {least} to {most}, or two such numbers")
        for axis, number in zip(axes, pair, strict=True):
            axis[quantity] = number
    return Window(rows=Axis(**axes[0]), columns=Axis(**axes[1]))
