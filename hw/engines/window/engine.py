"""Window engine: a layer's currents from whole windows at a time, with the weights as constants in logic."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hw.coverage import ComputedRun, CoverPoint
from hw.engines.engine import (
    Engine,
    EngineCycles,
    EngineInput,
    Expectation,
    WorkTiming,
    additions,
    engine_ports,
    numbered,
)
from hw.engines.event.handover import Handover
from hw.engines.event.weights import from_stream_order
from hw.engines.window.config import ConstantConfig
from hw.engines.window.coverage import slice_points
from hw.engines.window.matrix import Matrix, matrix_latency
from hw.engines.window.passing import PassingSlices
from hw.engines.window.sliding import SlidingWindow
from hw.engines.window.timing import MatrixTiming, PassingTiming, RowQueueTiming, SlidingTiming
from hw.features import Features
from hw.memory import Inventory, MemoryShape, MemoryStyle, inventory, under
from hw.neurons.skip_queue import SkipQueue
from hw.rows_ahead import RowsAhead
from hw.stream_register import StreamRegister
from hw.timing import CurrentConsumer
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.projections import Conv2d, Dense
from qblif.streams import BurstStream

SLIDING = "sliding"
"""The submodule of the engine that has a line buffer."""
ROW_QUEUE = "row_queue"
"""The submodule in which a row of the source waits."""
MOST_WINDOW_BITS = 16_384
"""Bits of a window's registers; a plan with more is refused as a mistake."""


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """How a window engine is built.

    Attributes:
        lanes: P, neurons whose sums are computed at the same time.
        folds: passes over every window that cover all channels, ``ceil(channels / lanes)``.
        planes: bit-planes of every burst that are taken at the same time.
        lut_inputs: inputs of the chip's LUTs.
        table_inputs: inputs of a table: so many, or one or two more, since multiplexers join LUTs.
        slides: whole windows are taken at a time; otherwise the beats of a source that is the only window.
        row_queue: a queue for one row of the source stands in front, for a source that sends row by row with pauses.
        field_memory: memory style of the line buffer and of the row queue, if there are such.
    """

    type: ClassVar[str] = "window"
    weight_memory: ClassVar[MemoryStyle] = "logic"
    lanes: int
    folds: int
    planes: int
    lut_inputs: int
    table_inputs: int
    slides: bool
    row_queue: bool
    field_memory: MemoryStyle

    def with_memories(self, styles: Mapping[str, MemoryStyle], number: int = 0) -> Self:
        """The same plan with another memory style for ``field``; its name ends in the engine's number."""
        return dataclasses.replace(self, field_memory=styles.get(numbered("field", number), self.field_memory))


class WindowEngine(ConstantConfig, Engine):
    """The configuration of a :class:`WindowProjection`, and everything derived from it."""

    @property
    def adds_per_cycle(self) -> int:
        return self.matrix.inputs

    @property
    def stream(self) -> BurstStream:
        return self.arriving

    @property
    def skips_silence(self) -> bool:
        return False

    @property
    def latency(self) -> int:
        front = SlidingWindow.latency if self.slides else PassingSlices.latency
        before = StreamRegister.latency + self.row_queue * SkipQueue.latency
        return before + front + matrix_latency(self) + self.hands_over * Handover.latency

    @property
    def work_left(self) -> int:
        return self.sums * self.slices - 1 if self.slides else 0

    def component(self) -> "WindowProjection":
        return WindowProjection(self)

    def memories(self) -> Inventory:
        if self.slides and self.lines:
            yield from under(SLIDING, inventory(self.line_buffer))
        if self.row_queue:
            yield from under(ROW_QUEUE, inventory(self.waiting_row.queue))

    def choosable_memories(self) -> dict[str, MemoryShape]:
        return {"field": self.line_buffer.shape} if self.slides and self.lines else {}

    @property
    def table_depth(self) -> int:
        return 0

    @property
    def looks(self) -> int:
        return self.windows * self.window.area

    def accumulates(self, bursts: IntArray) -> int:
        return additions(bursts, self.arriving, self.window, len(self.weights))

    def stored_weights(self, shape: tuple[int, ...]) -> IntArray:
        source, matrix = self.arriving, self.matrix
        bits = matrix.read_back().reshape(matrix.phases, matrix.lanes, -1, self.planes)
        weights = bits[..., 0]
        if (bits != weights[..., np.newaxis] << np.arange(self.planes)).any():
            raise ValueError(f"the constants of {self.source} are not the same for every bit-plane")
        if not self.slides:
            merged = weights.transpose(1, 0, 2).reshape(matrix.lanes, self.words, source.merged, -1)
            weights = merged[:, :, 0].reshape(matrix.lanes, -1)
        lanes = weights.reshape(self.folds * self.lanes, -1)
        return from_stream_order(lanes[: len(self.weights)], shape, source)

    def figures(self) -> dict[str, Any]:
        return {
            "lanes": self.lanes,
            "folds": self.folds,
            "banks": self.adds_per_cycle,
            "planes": self.planes,
            "weight_bits": self.weight_bits,
            "weight_memory": WindowPlan.weight_memory,
            "accumulator_bits": self.accumulator_bits,
        }

    def features(self) -> Features:
        source, matrix = self.arriving, self.matrix
        found = matrix.features(self.lut_inputs) + Features(
            stream=source.group * source.burst_bits, tree_register=matrix.inputs
        )
        if self.slices > 1:
            found += Features(tree=self.lanes * self.accumulator_bits)
        if self.hands_over:
            found += Features(ring=self.lanes * self.accumulator_bits)
        if self.row_queue:
            found += Features(stream=source.group * source.burst_bits)
        if self.slides:
            rows, columns = self.window.rows, self.window.columns
            choices = self.plane_groups * source.timesteps
            found += Features(
                window=rows.kernel * columns.span * self.position_bits,
                selector=matrix.inputs * (choices - 1),
                tree_register=self.position_bits * (source.beats_per_position - 1) // source.beats_per_position,
            )
        return found

    def rows_ahead(self, before: RowsAhead) -> RowsAhead:
        return lambda row: before(min(self.rows.ends[row], self.arriving.height - 1))

    def rows_done(self, row: int) -> int:
        return min(self.rows.ends[row - 1] + 1, self.arriving.height) if row else 0

    def expected_cycles(self, expectation: Expectation) -> EngineCycles:
        return EngineCycles(arrival=self.arriving.beats_per_inference, array=self.cycles)

    @property
    def cycles(self) -> int:
        """Cycles per inference while nothing has to wait."""
        if not self.slides:
            return self.arriving.beats_per_inference
        steps = self.rows.steps * self.columns.steps
        return steps + self.windows * (self.sums * self.slices - 1)

    def most_cycles(self) -> int:
        turns = self.repeats * (self.lanes + 8)
        return self.arriving.beats_per_inference + self.cycles + self.windows * self.sums * turns

    def coverage(self, name: str, run: ComputedRun) -> list[CoverPoint]:
        return slice_points(name, self, run)

    def timing(self, neurons: CurrentConsumer, bursts: IntArray) -> tuple[EngineInput, WorkTiming]:
        matrix = MatrixTiming(self, neurons)
        front = SlidingTiming(self, matrix) if self.slides else PassingTiming(self, matrix)
        return (RowQueueTiming(self.waiting_row, front) if self.row_queue else front), matrix


def window_engine(
    projection: Dense | Conv2d,
    plan: WindowPlan,
    source: BurstStream,
    *,
    layer: str,
    cores: int,
    merged_steps: int,
    repeats: int,
    accumulator_bits: int,
) -> WindowEngine:
    """The engine of a projection from the stream ``source`` into ``layer``; raises UserError if the plan does not fit.
    The other arguments are those of :class:`hw.engines.window.config.ConstantConfig`."""
    engine = unchecked_engine(
        projection,
        plan,
        source,
        cores=cores,
        merged_steps=merged_steps,
        repeats=repeats,
        accumulator_bits=accumulator_bits,
    )
    reason = unfit(engine)
    if reason is not None:
        raise UserError(f"layer {layer}: a window engine {reason}; make a new plan")
    return engine


def unchecked_engine(
    projection: Dense | Conv2d,
    plan: WindowPlan,
    source: BurstStream,
    *,
    cores: int,
    merged_steps: int,
    repeats: int,
    accumulator_bits: int,
) -> WindowEngine:
    """As :func:`window_engine`, whether the plan fits or not."""
    return WindowEngine(
        source=projection.source,
        arriving=source,
        window=projection.window((source.height, source.width)),
        slides=plan.slides,
        row_queue=plan.row_queue,
        lanes=plan.lanes,
        folds=plan.folds,
        planes=plan.planes,
        lut_inputs=plan.lut_inputs,
        table_inputs=plan.table_inputs,
        cores=cores,
        merged_steps=merged_steps,
        repeats=repeats,
        weight_bits=projection.weight_bits,
        weights=projection.full_weights,
        field_memory=plan.field_memory,
        accumulator_bits=accumulator_bits,
    )


def unfit(engine: ConstantConfig) -> str | None:
    """Why a plan does not fit its layer; None if it does."""
    source, channels = engine.arriving, len(engine.weights)
    if engine.folds != -(-channels // engine.lanes):
        return f"of {engine.lanes} lanes and {engine.folds} folds does not cover {channels} channels"
    if engine.lanes >= channels + engine.folds:
        return f"of {engine.lanes} lanes for {channels} channels leaves lanes idle"
    if source.burst_bits % engine.planes:
        return f"cannot take {engine.planes} of {source.burst_bits} bit-planes at a time"
    if engine.lut_inputs not in (4, 6) or not 0 <= engine.table_inputs - engine.lut_inputs <= 2:
        return f"has no tables of {engine.table_inputs} inputs from LUTs of {engine.lut_inputs}"
    if not engine.slides:
        if engine.row_queue:
            return "takes beat by beat what would wait in its row queue"
        whole = engine.window.area == source.height * source.width and engine.windows == 1
        if not whole or engine.folds > 1 or engine.planes != source.burst_bits:
            return "takes beat by beat only all bit-planes of a source that is the only window, in one fold"
        if source.steps > 1 and source.height * source.width * source.folds > 1:
            return "cannot take beat by beat a source whose timesteps alternate"
        return None if source.merged in (1, engine.merged_steps) else "cannot separate timesteps that share a beat"
    if min(engine.rows.ends[0], engine.columns.ends[0]) < 0:
        return "has no windows that lie in the padding"
    if engine.lines and engine.columns.steps == 1:
        return "has no windows over a single column"
    bits = engine.window.rows.kernel * engine.window.columns.span * engine.position_bits
    return f"has no windows of {bits:,} bits" if bits > MOST_WINDOW_BITS else None


class WindowProjection(wiring.Component):
    """``row queue -> register -> sliding window or passing slices -> matrix -> hand-over``, in neuron-major order.

    Loop nest: window -> fold -> timestep -> slices. Throughput: one slice per cycle, whatever the bursts are, or P / M
    cycles per sum if that takes longer. Latency: ``latency`` cycles from the beat that completes a window to its first
    currents, for sums of one slice.

    Ports:
        bursts: the source's bursts.
        currents: ``sums_layout(cores, accumulator_bits)``.
        working: a slice is taken in this cycle; for taps.
    """

    def __init__(self, config: WindowEngine) -> None:
        self.config = config
        super().__init__(engine_ports(config))

    @property
    def latency(self) -> int:
        return self.config.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.arrival = arrival = StreamRegister(self.bursts.payload.shape())
        front: Any = SlidingWindow(config) if config.slides else PassingSlices(config)
        m.submodules[SLIDING if config.slides else "passing"] = front
        m.submodules.matrix = matrix = Matrix(config)
        if config.row_queue:
            m.submodules[ROW_QUEUE] = waiting = SkipQueue(config.waiting_row)
            connect(m, flipped(self.bursts), waiting.arriving)
            connect(m, waiting.leaving, arrival.arriving)
        else:
            connect(m, flipped(self.bursts), arrival.arriving)
        connect(m, arrival.leaving, front.arriving)
        connect(m, front.slices, matrix.slices)
        m.d.comb += self.working.eq(front.slices.valid & front.slices.ready)
        if not config.hands_over:
            connect(m, matrix.sums, flipped(self.currents))
            return m
        m.submodules.handover = handover = Handover(
            lanes=config.lanes, cores=config.cores, bits=config.accumulator_bits, repeats=config.repeats
        )
        connect(m, matrix.sums, handover.sums)
        connect(m, handover.currents, flipped(self.currents))
        return m
