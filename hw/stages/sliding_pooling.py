"""Pooling over windows that overlap, lie apart or reach into padding: a line buffer and a combiner."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hw.engines.engine import Expectation
from hw.features import Features
from hw.logic import counter
from hw.memory import Inventory, MemoryShape, inventory, under
from hw.rows_ahead import RowsAhead
from hw.schedule import Schedule
from hw.stages.pooled import UNIT, PooledPlan, PooledStage, pooling_ports, shared
from hw.stages.stage import Room, StageCycles, StageTiming, Surroundings
from hw.timing import LONG_AGO, Consumer
from hw.windows.config import WindowConfig
from hw.windows.receptive_field import ReceptiveField, ReceptiveFieldTiming
from qblif.network.checks import IntArray
from qblif.network.nodes import Pooling

FIELD = "receptive_field"
"""The line buffer in the stage's unit."""


@dataclass(frozen=True, kw_only=True)
class SlidingPoolingPlan(PooledPlan):
    """How such a pooling is built; ``memory``: memory style of the line buffer."""

    type: ClassVar[str] = "sliding_pooling"
    held: ClassVar[str] = "field"


@dataclass(frozen=True, kw_only=True)
class SlidingPoolingStage(PooledStage):
    """The configuration of a :class:`SlidingPoolingUnit`; ``field``: its line buffer."""

    type: ClassVar[str] = SlidingPoolingPlan.type
    field: WindowConfig

    @classmethod
    def builds(cls, node: object, schedule: Schedule) -> bool:
        return isinstance(node, Pooling) and not node.tiles

    @classmethod
    def derived(cls, node: Pooling, plan: SlidingPoolingPlan, around: Surroundings) -> Self:
        stream = around.streams[node.source]
        # The line buffer reads a window once per timestep. Here every beat of a position counts as a timestep, so that
        # the places of a window arrive one after another.
        beat_by_beat = dataclasses.replace(stream, folds=1, steps=stream.beats_per_position, beats=1)
        field = WindowConfig(source=beat_by_beat, window=node.window, folds=1, rows_kept=0, memory=plan.memory)
        return cls(**shared(node, around), field=field.kept())

    @classmethod
    def proposals(cls, node: Pooling, room: Room) -> Iterator[SlidingPoolingPlan]:
        yield SlidingPoolingPlan(name=node.name, memory="block")

    @property
    def latency(self) -> int:
        return ReceptiveField.latency + Combiner.latency

    def memories(self) -> Inventory:
        return under(f"{self.part(UNIT)}.{FIELD}", inventory(self.field.field_memory))

    def choosable_memories(self) -> dict[str, MemoryShape]:
        return {SlidingPoolingPlan.held: self.field.field_memory.shape}

    def features(self) -> Features:
        return Features(
            stage=1,
            field=1,
            field_padding=int(self.window.padded),
            pooling=self.output.group * self.output.burst_bits,
            stream=self.stream.group * self.stream.burst_bits,
        )

    def rows_ahead(self, found: Mapping[str, RowsAhead]) -> RowsAhead | None:
        before = found.get(self.source)
        return None if before is None else self.field.rows_ahead(before)

    def expected_cycles(self, expectation: Expectation) -> StageCycles:
        return StageCycles(arrival=self.stream.beats_per_inference, array=0, neurons=self.beats_read)

    @property
    def beats_read(self) -> int:
        """Cycles per inference in which windows are read, plus the idle cycles between rows of windows."""
        beats = self.output.beats_per_inference * self.window.area
        return beats + self.field.height * ReceptiveField.row_gap

    def most_cycles(self) -> int:
        return self.stream.beats_per_inference + self.beats_read

    def timing(self, reader: Consumer | None, bursts: Mapping[str, IntArray]) -> StageTiming:
        assert reader is not None
        area, results = self.window.area, self.field.width * self.stream.beats_per_position
        rows = itertools.repeat([(area - 1, LONG_AGO, 1)] * results)
        return StageTiming(inlets=(ReceptiveFieldTiming(self.field, CombinerTiming(reader), rows),))

    def unit(self) -> "SlidingPoolingUnit":
        return SlidingPoolingUnit(self)


class SlidingPoolingUnit(wiring.Component):
    """``line buffer -> combiner``: every window is read place by place, once for each beat of a position.

    Throughput: one place of a window per cycle, so a result takes as many cycles as a window has places. Latency: the
    sum of its parts' latencies, from the beat that completes the rows that a window needs, for windows of one place.

    Ports:
        arriving: ``bursts_layout(group, burst_bits)`` of ``config.stream``.
        leaving: ``bursts_layout(group, burst_bits)`` of ``config.output``.
    """

    def __init__(self, config: SlidingPoolingStage) -> None:
        self.config = config
        super().__init__(pooling_ports(config))

    @property
    def latency(self) -> int:
        return self.config.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules[FIELD] = field = ReceptiveField(self.config.field)
        m.submodules.combiner = combiner = Combiner(self.config)
        connect(m, flipped(self.arriving), field.arriving)
        connect(m, field.leaving, combiner.arriving)
        connect(m, combiner.leaving, flipped(self.leaving))
        return m


class Combiner(wiring.Component):
    """The sum or the maximum of as many beats as a window has places.

    Throughput: one beat per cycle. Latency: ``latency`` = 1 cycle from a window's last beat to its result. While a
    result is not taken, the last beat of the next window waits.

    Ports:
        arriving: ``bursts_layout(group, burst_bits)`` of ``config.stream``.
        leaving: ``bursts_layout(group, burst_bits)`` of ``config.output``.
    """

    latency = 1

    def __init__(self, config: SlidingPoolingStage) -> None:
        self.config = config
        super().__init__(pooling_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        so_far = Signal(self.leaving.payload.shape(), reset_less=True)
        combined = Signal.like(so_far)
        free = ~self.leaving.valid | self.leaving.ready
        taken = self.arriving.valid & self.arriving.ready
        place, last = counter(m, "place", config.window.area, taken)
        m.d.comb += self.arriving.ready.eq(~last | free)
        for index in range(config.stream.group):
            burst, before = self.arriving.payload[index], so_far[index]
            more = before + burst if config.kind == "sum" else Mux(before > burst, before, burst)
            m.d.comb += combined[index].eq(Mux(place == 0, burst, more))
        with m.If(taken):
            m.d.sync += so_far.eq(combined)
        with m.If(free):
            m.d.sync += [self.leaving.valid.eq(taken & last), self.leaving.payload.eq(combined)]
        return m


class CombinerTiming:
    """Exact timing of a :class:`Combiner`."""

    def __init__(self, reader: Consumer) -> None:
        self.reader = reader
        self.last = LONG_AGO
        self.free = LONG_AGO

    def accumulate(self, offered: int | None, after_first: int, after_busy: int, cost: int) -> int:
        """The beats of one window; only ``after_first`` counts, since each beat takes one cycle."""
        first = self.last + 1 if offered is None else max(offered, self.last + 1)
        self.last = max(first + after_first, self.free)
        self.free = self.reader.offer(self.last + 1)
        return self.last
