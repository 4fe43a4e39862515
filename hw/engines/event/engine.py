"""Event engine: turns a stream of bursts into the accumulated currents of a layer's neurons, event by event."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped
from amaranth.utils import ceil_log2

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
from hw.engines.event.config import ProjectionConfig, queue_places
from hw.engines.event.costs import accumulation_cycles, passing_costs, sampled_cycles, window_costs
from hw.engines.event.coverage import scanner_points
from hw.engines.event.handover import Handover
from hw.engines.event.queued import QueuedScanner, bank_name
from hw.engines.event.scanner import EventScanner
from hw.engines.event.synapse_array import SynapseArray, array_latency
from hw.engines.event.timing import FieldTiming, StreamRegisterTiming, array_timing
from hw.engines.event.weights import from_stream_order, unpack_weights
from hw.features import Features
from hw.memory import Inventory, MemoryShape, MemoryStyle, inventory, under
from hw.plan_fields import ADDED
from hw.rows_ahead import RowsAhead
from hw.stream_register import StreamRegister
from hw.timing import CurrentConsumer
from hw.windows.config import WindowConfig
from hw.windows.receptive_field import ReceptiveField
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.projections import Conv2d, Dense
from qblif.streams import BurstStream

FIELD, SCANNER, ARRAY = "receptive_field", "scanner", "array"
"""Submodules of the engine that have memories."""
DEEPEST_QUEUE = 1024
"""Places of a bank's queue; a plan with more is refused: LUT RAM of that depth costs more than the engine."""
LUT_INPUTS = (4, 6)
"""Inputs of the LUTs of all chips."""
MOST_IDLE_LANES = 64
"""Lanes without a neuron; a plan with this many or more is refused as a mistake."""


@dataclass(frozen=True, kw_only=True)
class EventPlan:
    """How an event engine is built.

    Attributes:
        lanes: P, neurons that accumulate at the same time.
        folds: passes over the source that cover all channels, ``ceil(channels / lanes)``.
        banks: E, events per cycle; the channels of every incoming beat are dealt out to this many weight memories.
        weight_memory: memory style of the weights.
        field_memory: memory style of the receptive field's line buffer, if there is one.
        lut_inputs: inputs of the chip's LUTs, if every bit of a weight is a constant in one LUT, addressed by the
            row; 0: the weights are in memories. Yosys makes about two LUTs per bit of such a memory.
    """

    type: ClassVar[str] = "event"
    queued: ClassVar[bool] = False
    lanes: int
    folds: int
    banks: int
    weight_memory: MemoryStyle
    field_memory: MemoryStyle
    lut_inputs: int = field(default=0, metadata=ADDED)

    def with_memories(self, styles: Mapping[str, MemoryStyle], number: int = 0) -> Self:
        """The same plan with other memory styles for ``weights`` or ``field``; these names end in the engine's number
        (:func:`hw.engines.engine.numbered`)."""
        return dataclasses.replace(
            self,
            weight_memory=styles.get(numbered("weights", number), self.weight_memory),
            field_memory=styles.get(numbered("field", number), self.field_memory),
        )

    def check(self, layer: str, channels: int, source: BurstStream) -> None:
        """Raise UserError unless the plan fits a layer of ``channels`` channels that reads the stream ``source``."""
        if self.folds != -(-channels // self.lanes):
            raise UserError(
                f"layer {layer}: a plan of {self.lanes} lanes and {self.folds} folds does not cover {channels} channels"
            )
        if self.lanes >= channels + MOST_IDLE_LANES:
            raise UserError(f"layer {layer}: a plan of {self.lanes} lanes for {channels} channels leaves them idle")
        if source.merged > 1:
            raise UserError(
                f"layer {layer}: an event engine cannot separate timesteps that share a beat; make a new plan"
            )
        if source.group % self.banks:
            raise UserError(f"layer {layer}: beats of {source.group} channels cannot be dealt to {self.banks} banks")
        if self.lut_inputs and self.weight_memory != "logic":
            raise UserError(f"layer {layer}: weights that are constants in LUTs are not in {self.weight_memory} memory")
        if self.lut_inputs not in (0, *LUT_INPUTS):
            raise UserError(f"layer {layer}: no chip has LUTs of {self.lut_inputs} inputs; make a new plan")


@dataclass(frozen=True, kw_only=True)
class QueuedPlan(EventPlan):
    """How an event engine with a queue per bank is built: banks wait for each other once per accumulation, not once per
    beat."""

    type: ClassVar[str] = "queued"
    queued: ClassVar[bool] = True


class EventEngine(ProjectionConfig, Engine):
    """The configuration of a :class:`ProjectionEngine`, and everything derived from it."""

    @property
    def stream(self) -> BurstStream:
        return self.window.source

    @property
    def adds_per_cycle(self) -> int:
        return self.banks

    @property
    def latency(self) -> int:
        arrival = ReceptiveField.latency if self.window.rows_kept else StreamRegister.latency
        scanner = QueuedScanner if self.queued else EventScanner
        return arrival + scanner.latency + array_latency(self.banks) + Handover.latency

    def component(self) -> "ProjectionEngine":
        return ProjectionEngine(self)

    def memories(self) -> Inventory:
        yield from under(ARRAY, inventory(*self.weight_memories))
        for bank in range(self.banks if self.queued else 0):
            yield from under(SCANNER, under(bank_name(bank), inventory(self.bank_queue)))
        if self.window.rows_kept:
            yield from under(FIELD, inventory(self.window.field_memory))

    def choosable_memories(self) -> dict[str, MemoryShape]:
        found = {} if self.lut_inputs else {"weights": self.bank_memory(0).shape}
        return {**found, "field": self.window.field_memory.shape} if self.window.rows_kept else found

    @property
    def table_depth(self) -> int:
        return self.rows if self.weight_memory == "block" else 0

    @property
    def looks(self) -> int:
        window = self.window
        return window.height * window.width * window.window.area

    def accumulates(self, bursts: IntArray) -> int:
        return additions(bursts, self.window.source, self.window.window, len(self.weights))

    def stored_weights(self, shape: tuple[int, ...]) -> IntArray:
        words = self.constant_words() if self.lut_inputs else self.weight_words
        interleaved = tuple(word for row in zip(*words, strict=True) for word in row)
        unpacked = unpack_weights(
            interleaved,
            shape=(len(self.weights), self.fan_in),
            lanes=self.lanes,
            folds=self.folds,
            bits=self.weight_bits,
        )
        return from_stream_order(unpacked, shape, self.window.source)

    def constant_words(self) -> list[tuple[int, ...]]:
        """The weights of each bank as the truth tables of its LUTs give them."""
        truths = map(self.bank_truths, range(self.banks))
        return [
            tuple(sum((truth >> row & 1) << bit for bit, truth in enumerate(bank)) for row in range(self.rows))
            for bank in truths
        ]

    def figures(self) -> dict[str, Any]:
        return {
            "lanes": self.lanes,
            "folds": self.folds,
            "banks": self.banks,
            "weight_bits": self.weight_bits,
            "weight_memory": self.weight_memory,
            "accumulator_bits": self.accumulator_bits,
        }

    def features(self) -> Features:
        window, source = self.window, self.window.source
        planes, lanes, banks = source.burst_bits, self.lanes, self.banks
        shifted = self.weight_bits + planes - 1
        address = max(2, self.rows) - 1
        features = Features(
            accumulator=lanes * self.accumulator_bits,
            weight_register=lanes * banks * self.weight_bits,
            shifter=lanes * banks * shifted * (planes - 1).bit_length(),
            bank_adder=lanes * (banks - 1) * (shifted + 1),
            scanner=source.group * source.burst_bits,
            scanner_bank=banks * address.bit_length(),
            stream=source.group * source.burst_bits,
        )
        if self.lut_inputs:
            features += Features(rom=lanes * banks * self.weight_bits)
        if self.queued:
            features += Features(queue=banks * ceil_log2(self.bank_queue.depth))
        if window.rows_kept:
            features += Features(field=1, field_padding=int(window.window.padded))
        return features

    def rows_ahead(self, before: RowsAhead) -> RowsAhead:
        return self.window.rows_ahead(before)

    def rows_done(self, row: int) -> int:
        return sum(self.window.released[:row])

    def expected_cycles(self, expectation: Expectation) -> EngineCycles:
        window = self.window
        windows = window.height * window.width * self.folds
        key = (window.source, window.window, self.banks, self.merged_steps, self.queued)
        known = expectation.sampled(self.source, key, lambda inputs: sampled_cycles(self, inputs))
        if known is not None:
            array = known * self.folds * expectation.scale(self.source)
        else:
            array = windows * sum(
                accumulation_cycles(window.words, window.source.group, self.banks, density, self.queued)
                for density in expectation.densities(self.source)
            )
        if window.rows_kept:
            array += window.height * ReceptiveField.row_gap
        return EngineCycles(arrival=window.source.beats_per_inference, array=array)

    def most_cycles(self) -> int:
        source = self.window.source
        planes = self.window.words * source.group * source.burst_bits
        turns = self.repeats * (self.lanes + 8)
        return source.beats_per_inference + self.window.sums * (2 * planes + turns)

    def coverage(self, name: str, run: ComputedRun) -> list[CoverPoint]:
        return scanner_points(name, self, run)

    def timing(self, neurons: CurrentConsumer, bursts: IntArray) -> tuple[EngineInput, WorkTiming]:
        array = array_timing(self, neurons)
        if self.window.rows_kept:
            return FieldTiming(self.window, array, window_costs(bursts, self)), array
        return StreamRegisterTiming(array, in_order(passing_costs(bursts, self))), array


def in_order(costs: IntArray) -> Iterator[tuple[Any, bool]]:
    """Cost of every beat, see :func:`hw.engines.event.costs.passing_costs`, and whether it closes an accumulation."""
    for accumulation in costs.reshape(-1, *costs.shape[2:]).tolist():
        for cost in accumulation[:-1]:
            yield cost, False
        yield accumulation[-1], True


def window_config(projection: Dense | Conv2d, plan: EventPlan, source: BurstStream) -> WindowConfig:
    """The windows of a projection, and the number of source rows kept for them."""
    window = WindowConfig(
        source=source,
        window=projection.window((source.height, source.width)),
        folds=plan.folds,
        rows_kept=0,
        memory=plan.field_memory,
    )
    passes = source.height * source.width == 1 and window.height * window.width == 1 and window.window.area == 1
    if passes and plan.folds == 1 and (source.folds == 1 or source.steps == 1):
        return window
    return window.kept()


def event_engine(
    projection: Dense | Conv2d,
    plan: EventPlan,
    source: BurstStream,
    *,
    layer: str,
    cores: int,
    merged_steps: int,
    repeats: int,
    accumulator_bits: int,
) -> EventEngine:
    """The engine of a projection from the stream ``source`` into ``layer``; raises UserError if the plan does not fit.
    The other arguments are those of :class:`hw.engines.event.config.ProjectionConfig`."""
    plan.check(layer, len(projection.weights), source)
    window = window_config(projection, plan, source)
    places = queue_places(window.window, source, merged_steps)
    if plan.queued and places > DEEPEST_QUEUE:
        raise UserError(f"layer {layer}: no queue has {places} places; make a new plan")
    engine = EventEngine(
        source=projection.source,
        window=window,
        lanes=plan.lanes,
        folds=plan.folds,
        cores=cores,
        banks=plan.banks,
        merged_steps=merged_steps,
        repeats=repeats,
        weight_bits=projection.weight_bits,
        weights=projection.full_weights,
        weight_memory=plan.weight_memory,
        lut_inputs=plan.lut_inputs,
        accumulator_bits=accumulator_bits,
        queued=plan.queued,
    )
    if engine.lut_inputs and engine.rows > 1 << engine.lut_inputs:
        raise UserError(
            f"layer {layer}: {engine.rows} rows of weights do not fit a LUT of {engine.lut_inputs} inputs; "
            f"make a new plan"
        )
    return engine


class ProjectionEngine(wiring.Component):
    """``receptive field or register -> event scanner -> synapse array -> hand-over``, in neuron-major order.

    Loop nest: window -> fold -> timestep -> events. Throughput: E events per cycle, or P / M cycles per sum if that
    takes longer. Latency: ``latency`` cycles from the closing beat of an accumulation with one event to its first
    currents.

    Ports:
        bursts: the source's bursts.
        currents: ``sums_layout(cores, accumulator_bits)``.
        working: the scanner works in this cycle; for taps.
    """

    def __init__(self, config: EventEngine) -> None:
        self.config = config
        super().__init__(engine_ports(config))

    @property
    def latency(self) -> int:
        return self.config.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        if config.window.rows_kept:
            m.submodules[FIELD] = arrival = ReceptiveField(config.window)
        else:
            m.submodules.arrival = arrival = StreamRegister(self.bursts.payload.shape())
        scanner: Any = QueuedScanner(config) if config.queued else EventScanner(config)
        m.submodules[SCANNER] = scanner
        m.submodules[ARRAY] = array = SynapseArray(config)
        m.submodules.handover = handover = Handover(
            lanes=config.lanes, cores=config.cores, bits=config.accumulator_bits, repeats=config.repeats
        )
        connect(m, flipped(self.bursts), arrival.arriving)
        connect(m, arrival.leaving, scanner.bursts)
        connect(m, scanner.events, array.events)
        connect(m, array.sums, handover.sums)
        connect(m, handover.currents, flipped(self.currents))
        m.d.comb += self.working.eq(scanner.working)
        return m
