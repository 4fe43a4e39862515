"""The configuration of the window engine's parts."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hw.engines.event.weights import stream_order
from hw.engines.window.tables import ConstantMatrix
from hw.layouts import bursts_layout
from hw.memory import MemoryDeclaration, MemoryStyle
from hw.neurons.config import QueueConfig
from qblif.network.checks import IntArray
from qblif.network.window import Axis, Window
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How a window passes over one axis of its source: step by step, also over the padding behind the source.

    Attributes:
        axis: the axis of the window.
        extent: positions of the source.
    """

    axis: Axis
    extent: int

    @property
    def ends(self) -> list[int]:
        """The step at which each window is complete."""
        first = self.axis.span - 1 - self.axis.padding
        return [first + self.axis.stride * number for number in range(self.axis.windows(self.extent))]

    @property
    def steps(self) -> int:
        """Steps over the source and the padding behind it."""
        return max(self.extent, self.ends[-1] + 1)

    @cached_property
    def closes(self) -> list[bool]:
        """For each step, whether it completes a window."""
        ends = set(self.ends)
        return [step in ends for step in range(self.steps)]

    @property
    def distances(self) -> list[int]:
        """For each place of a window, how many steps before the last one its position arrived."""
        axis = self.axis
        return [(axis.kernel - 1 - place) * axis.dilation for place in range(axis.kernel)]


@dataclass(frozen=True, kw_only=True, eq=False)
class ConstantConfig:
    """The configuration of the parts of a :class:`hw.engines.window.engine.WindowProjection`.

    Attributes:
        source: name of the node whose bursts come in.
        arriving: the stream that comes in.
        window: the window that slides over it.
        slides: whole windows are taken at a time; otherwise the beats of a source that is the only window.
        lanes: P, neurons whose sums are computed at the same time.
        folds: passes over every window.
        planes: bit-planes of every burst that are taken at the same time.
        lut_inputs: inputs of the chip's LUTs.
        table_inputs: inputs of a table.
        cores: currents in one beat.
        merged_steps: timesteps that are accumulated into one sum (readout: all; populations: 1).
        repeats: how often each sum is handed on (direct input: once for every timestep).
        weight_bits: B.
        weights: int64, in the order of the network, see :func:`hw.engines.event.weights.stream_order`.
        row_queue: a queue for one row of the source stands in front, for a source that sends row by row with pauses.
        field_memory: memory style of the line buffer and of the row queue.
        accumulator_bits: proved width of every partial sum.
    """

    source: str
    arriving: BurstStream
    window: Window
    slides: bool
    lanes: int
    folds: int
    planes: int
    lut_inputs: int
    table_inputs: int
    cores: int
    merged_steps: int
    repeats: int
    weight_bits: int
    weights: IntArray
    row_queue: bool
    field_memory: MemoryStyle
    accumulator_bits: int

    @property
    def rows(self) -> Scan:
        """The vertical axis."""
        return Scan(axis=self.window.rows, extent=self.arriving.height)

    @property
    def columns(self) -> Scan:
        """The horizontal axis."""
        return Scan(axis=self.window.columns, extent=self.arriving.width)

    @property
    def windows(self) -> int:
        """Windows per inference."""
        return len(self.rows.ends) * len(self.columns.ends)

    @property
    def plane_groups(self) -> int:
        """Slices in which the bit-planes of a timestep are taken."""
        return self.arriving.burst_bits // self.planes

    @property
    def words(self) -> int:
        """Beats of one timestep of a source that is the only window."""
        source = self.arriving
        return source.height * source.width * source.folds * source.beats

    @property
    def sums(self) -> int:
        """Sums of a window."""
        return self.folds * self.arriving.timesteps // self.merged_steps

    @property
    def slices(self) -> int:
        """Slices of a sum."""
        if self.slides:
            return self.plane_groups * self.merged_steps
        return self.words * self.merged_steps // self.arriving.merged

    @property
    def hands_over(self) -> bool:
        """Whether the sums of all lanes leave in several beats, or several times."""
        return self.lanes != self.cores or self.repeats > 1

    @property
    def shifts(self) -> bool:
        """Whether bit-planes of one burst come in several slices, the highest first."""
        return self.slides and self.plane_groups > 1

    @cached_property
    def matrix(self) -> ConstantMatrix:
        """The weights of every slice: phases are folds, or the beats of a source that is the only window."""
        source, planes = self.arriving, self.planes
        scales = 1 << np.arange(planes)
        ordered = stream_order(self.weights, source)
        padded = np.zeros((self.folds * self.lanes, ordered.shape[1]), dtype=np.int64)
        padded[: len(ordered)] = ordered
        if self.slides:
            phases = padded.reshape(self.folds, self.lanes, -1)
        else:
            beats = padded.reshape(self.lanes, self.words, 1, source.group // source.merged)
            phases = np.repeat(beats, source.merged, axis=2).reshape(self.lanes, self.words, -1).transpose(1, 0, 2)
        bits = phases[..., np.newaxis] * scales
        return ConstantMatrix(bits.reshape(*phases.shape[:2], -1), self.table_inputs)

    @property
    def position_bits(self) -> int:
        """Bits of all bursts of one position."""
        return self.arriving.beats_per_position * self.arriving.group * self.arriving.burst_bits

    @property
    def lines(self) -> int:
        """Rows of the source above the current one that the line buffer holds."""
        return self.window.rows.span - 1

    @property
    def line_buffer(self) -> MemoryDeclaration:
        """The line buffer: each word holds one column of the rows above the current one, the nearest row lowest."""
        source = self.arriving
        column = bursts_layout(source.beats_per_position * source.group, source.burst_bits).size * self.lines
        return MemoryDeclaration(name="lines", depth=source.width, layout=column, style=self.field_memory)

    @property
    def waiting_row(self) -> QueueConfig:
        """The queue in which a row of the source waits."""
        source = self.arriving
        depth = source.width * source.beats_per_position
        return QueueConfig(source=self.source, stream=source, depth=depth, memory=self.field_memory)
