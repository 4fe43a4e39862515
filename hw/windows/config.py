"""The windows that a stage reads, and the source rows that are kept for them."""

import dataclasses
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Self

from hw.layouts import bursts_layout
from hw.memory import MemoryDeclaration, MemoryStyle
from hw.rows_ahead import RowsAhead
from qblif.network.window import Axis, Window
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """Windows over a source; a dense projection has a single one, as large as its source.

    Attributes:
        source: the stream that comes in.
        window: the window that slides over it.
        folds: how often every window is read.
        rows_kept: source rows that the line buffer holds; 0 if there is no line buffer and beats pass straight through.
        memory: memory style of the line buffer.
    """

    source: BurstStream
    window: Window
    folds: int
    rows_kept: int
    memory: MemoryStyle

    @property
    def field_memory(self) -> MemoryDeclaration:
        """The line buffer."""
        source = self.source
        return MemoryDeclaration(
            name="rows",
            depth=self.rows_kept * source.width * source.beats_per_position,
            layout=bursts_layout(source.group, source.burst_bits),
            style=self.memory,
        )

    @property
    def rows(self) -> Axis:
        """The window's vertical axis."""
        return self.window.rows

    @property
    def columns(self) -> Axis:
        """The window's horizontal axis."""
        return self.window.columns

    @property
    def height(self) -> int:
        """Number of rows of windows."""
        return self.rows.windows(self.source.height)

    @property
    def width(self) -> int:
        """Windows per row."""
        return self.columns.windows(self.source.width)

    @property
    def words(self) -> int:
        """Beats of one timestep of one window, all folds of the source."""
        return self.window.area * self.source.folds * self.source.beats

    @property
    def sums(self) -> int:
        """Accumulations of one inference if every timestep of a source is accumulated separately."""
        return self.height * self.width * self.folds * self.source.steps

    @property
    def released(self) -> tuple[int, ...]:
        """Number of source rows that no window needs any more after each row of windows."""
        return descent(self.rows, self.source.height).released

    @property
    def needed(self) -> tuple[int, ...]:
        """Number of source rows, from the first unreleased one on, that must have arrived before each row of windows is
        read."""
        return descent(self.rows, self.source.height).needed

    @property
    def entries(self) -> tuple[int, ...]:
        """Distance from the first unreleased source row to the first one that a window actually reads, for each row of
        windows: a dilated window may step over the first rows of the source."""
        return descent(self.rows, self.source.height).entries

    def kept(self) -> Self:
        """The same windows with the line buffer that they need: room for the rows of the largest window, and for as
        many more as are released at once, so that rows arrive while others are read."""
        return dataclasses.replace(self, rows_kept=max(self.needed) + max(self.released))

    def rows_ahead(self, before: RowsAhead) -> RowsAhead:
        """Rows that must have been sent before a row of windows can be read; 0 if no source row is needed yet."""

        def sent(row: int) -> int:
            last = sum(self.released[:row]) + self.needed[row] - 1
            return before(last) if last >= 0 else 0

        return sent


@dataclass(frozen=True, kw_only=True)
class Descent:
    """How rows of windows go down the rows of a source, see :class:`WindowConfig`."""

    released: tuple[int, ...]
    needed: tuple[int, ...]
    entries: tuple[int, ...]


@cache
def descent(rows: Axis, height: int) -> Descent:
    """The descent of windows over ``height`` rows: the same for every plan of a layer, so it is computed once."""
    tops = [rows.start(y) for y in range(rows.windows(height))]
    # The first source row that each row of windows and those below it read.
    firsts = [0, *(min(max(top, 0), height) for top in tops[1:]), height]
    released = [after - before for before, after in pairwise(firsts)]
    needed = []
    for y, (top, first) in enumerate(zip(tops, firsts[:-1], strict=True)):
        end = min(top + rows.span, height)
        # Even windows that lie entirely in the padding are not read before the source begins.
        needed.append(max(1 if y == 0 else 0, end - first, released[y]))
    dilation = rows.dilation
    # A window that steps over the whole source reads no row of it.
    entries = [top % dilation if top < 0 and top % dilation < height else 0 for top in tops]
    return Descent(released=tuple(released), needed=tuple(needed), entries=tuple(entries))
