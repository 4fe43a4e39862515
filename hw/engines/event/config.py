"""What the parts of the event engine are built from: the windows that it reads, and its weights, lanes and banks."""

from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

from amaranth.hdl import signed
from amaranth.lib import data

from hw.engines.event.weights import pack_weights
from hw.layouts import bursts_layout
from hw.memory import MemoryDeclaration, MemoryStyle
from hw.rows_ahead import RowsAhead
from qblif.network.checks import IntArray
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """The windows that a projection looks through; a dense one has a single window as large as its source.

    Attributes:
        source: the stream that comes in.
        kernel: height and width of a window.
        stride, padding: as in :class:`qblif.network.projections.Conv2d`.
        folds: how often every window is read.
        rows_kept: source rows that the line buffer holds; 0 where nothing is kept and the beats pass as they come.
        memory: what the line buffer is kept in.
    """

    source: BurstStream
    kernel: tuple[int, int]
    stride: int
    padding: int
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
    def height(self) -> int:
        """Windows above each other."""
        return (self.source.height + 2 * self.padding - self.kernel[0]) // self.stride + 1

    @property
    def width(self) -> int:
        """Windows beside each other."""
        return (self.source.width + 2 * self.padding - self.kernel[1]) // self.stride + 1

    @property
    def words(self) -> int:
        """Beats of one timestep of one window, all folds of the source."""
        return self.kernel[0] * self.kernel[1] * self.source.folds * self.source.beats

    @property
    def sums(self) -> int:
        """Accumulations of one inference where every timestep of a source is accumulated on its own."""
        return self.height * self.width * self.folds * self.source.steps

    def first_row(self, y: int) -> int:
        """The first source row that windows from row ``y`` of windows downward look at."""
        return min(max(y * self.stride - self.padding, 0), self.source.height)

    @cached_property
    def released(self) -> tuple[int, ...]:
        """Source rows that no window needs any more after each row of windows."""
        firsts = [0, *(self.first_row(y) for y in range(1, self.height)), self.source.height]
        return tuple(after - before for before, after in pairwise(firsts))

    @cached_property
    def needed(self) -> tuple[int, ...]:
        """Source rows that must be there, from the first unreleased one on, before each row of windows is read."""
        result, first = [], 0
        for y, released in enumerate(self.released):
            end = min(y * self.stride - self.padding + self.kernel[0], self.source.height)
            # Nothing begins before its source does, though windows may lie in the padding alone.
            result.append(max(1 if y == 0 else 0, end - first, released))
            first += released
        return tuple(result)

    def rows_ahead(self, before: RowsAhead) -> RowsAhead:
        """Rows that must have been sent before a row of windows can be read; none for windows in the padding alone."""

        def sent(row: int) -> int:
            last = sum(self.released[:row]) + self.needed[row] - 1
            return before(last) if last >= 0 else 0

        return sent


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectionConfig:
    """What the parts of a :class:`hw.engines.event.engine.ProjectionEngine` are built from.

    Attributes:
        source: name of the node whose bursts come in.
        window: the windows it reads.
        lanes, folds, cores, banks: P, passes, M and E as in :class:`hw.engines.event.engine.EventPlan`.
        merged_steps: timesteps that are accumulated into one sum (readout: all; populations: 1).
        repeats: how often each sum is handed on (direct input: once for every timestep).
        weight_bits: B.
        weights: int64 (channels, fan-in) in stream order.
        weight_memory: what they are kept in.
        accumulator_bits: proved width of every partial sum.
    """

    source: str
    window: WindowConfig
    lanes: int
    folds: int
    cores: int
    banks: int
    merged_steps: int
    repeats: int
    weight_bits: int
    weights: IntArray
    weight_memory: MemoryStyle
    accumulator_bits: int

    @property
    def rows(self) -> int:
        """Weight rows of one bank."""
        return self.folds * self.window.words * self.window.source.group // self.banks

    @cached_property
    def weight_words(self) -> tuple[tuple[int, ...], ...]:
        """The weight memory of each bank: the rows of every fold, dealt out to the banks one after the other."""
        words = pack_weights(
            self.weights,
            lanes=self.lanes,
            folds=self.folds,
            rows=self.rows * self.banks // self.folds,
            bits=self.weight_bits,
        )
        return tuple(words[bank :: self.banks] for bank in range(self.banks))

    @property
    def row_layout(self) -> data.ArrayLayout:
        """One row of weights, one for each lane."""
        return data.ArrayLayout(signed(self.weight_bits), self.lanes)

    @property
    def weight_memories(self) -> tuple[MemoryDeclaration, ...]:
        """The weights of each bank."""
        return tuple(
            MemoryDeclaration(
                name=f"weights_{bank}",
                depth=self.rows,
                layout=self.row_layout,
                style=self.weight_memory,
                words=partial(self._bank_words, bank),
            )
            for bank in range(self.banks)
        )

    def _bank_words(self, bank: int) -> tuple[int, ...]:
        return self.weight_words[bank]
