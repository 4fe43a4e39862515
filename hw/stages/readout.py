"""The readout: an engine for its projection, and a component that turns its sums into logits and a class."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.coverage import ComputedRun, CoverPoint
from hw.engines.engine import Engine, Expectation
from hw.engines.event.engine import EventPlan
from hw.engines.registry import EnginePlan, engine_of
from hw.engines.window.proposals import window_plans
from hw.features import Features
from hw.layouts import sums_layout
from hw.logic import counter, times_constant
from hw.memory import Inventory, MemoryDeclaration, MemoryShape, MemoryStyle, inventory, under
from hw.neurons.constants import constants_declaration, constants_features, constants_memory
from hw.rows_ahead import RowsAhead
from hw.schedule import Schedule
from hw.stages.stage import Edge, Room, Site, Stage, StageCycles, StagePlan, StageTiming, Surroundings
from hw.timing import Consumer
from hw.widths import Widths, proved_widths
from qblif.network.bounds import layer_bounds
from qblif.network.checks import IntArray
from qblif.network.nodes import Readout


@dataclass(frozen=True, kw_only=True)
class ReadoutPlan(StagePlan):
    """How the readout is built.

    Attributes:
        name: name of the readout.
        engine: plan of its projection's engine.
        constants_memory: memory style of biases and exponents.
        widths: as in :class:`hw.stages.population.PopulationPlan`.
    """

    type: ClassVar[str] = "readout"
    name: str
    engine: EnginePlan
    constants_memory: MemoryStyle
    widths: Widths | None = None

    def memories(self) -> dict[str, MemoryStyle]:
        return {"field": self.engine.field_memory}

    def with_memories(self, styles: Mapping[str, MemoryStyle]) -> Self:
        return dataclasses.replace(self, engine=self.engine.with_memories(styles))

    def tables(self) -> dict[str, MemoryStyle]:
        return {"weights": self.engine.weight_memory, "constants": self.constants_memory}


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadoutStage(Stage):
    """The readout; its engine computes its sums, ``readout`` configures the computation of logits and class."""

    type: ClassVar[str] = ReadoutPlan.type
    name: str
    engines: tuple[Engine, ...]
    readout: "ReadoutConfig"
    output: None = None

    @classmethod
    def builds(cls, node: object, schedule: Schedule) -> bool:
        return isinstance(node, Readout) and schedule == "position_major"

    @classmethod
    def derived(cls, node: Readout, plan: ReadoutPlan, around: Surroundings) -> Self:
        network = around.network
        projection = network.weighted_projection(node.name)
        source = around.streams[projection.source]
        widths = proved_widths(network, node, around.schedule) if plan.widths is None else plan.widths
        engine = engine_of(
            projection,
            plan.engine,
            source,
            layer=node.name,
            cores=1,
            merged_steps=source.timesteps,
            repeats=1,
            accumulator_bits=widths.accumulator,
        )
        readout = ReadoutConfig(
            classes=len(node.bias),
            repeats=network.timesteps // network.steps(projection.source),
            bias=tuple((node.bias * network.timesteps).tolist()),
            exponent=tuple(node.exponent.tolist()),
            constants_memory=plan.constants_memory,
            bias_bits=widths.bias,
            exponent_bits=widths.exponent,
            accumulator_bits=widths.accumulator,
            logit_bits=widths.current,
        )
        return cls(name=node.name, engines=(engine,), readout=readout)

    @classmethod
    def proposals(cls, node: Readout, room: Room) -> Iterator[ReadoutPlan]:
        for engine in cls._engine_plans(node, room):
            yield ReadoutPlan(name=node.name, engine=engine, constants_memory=room.constants, widths=room.widths)

    @classmethod
    def _engine_plans(cls, node: Readout, room: Room) -> Iterator[EnginePlan]:
        """Plans of its engine that are worth trying."""
        source = room.streams[0]
        for lanes in room.lanes if source.merged == 1 else ():
            folds = math.ceil(node.shape[0] / lanes)
            for banks in room.banks[0]:
                yield EventPlan(lanes=lanes, folds=folds, banks=banks, weight_memory="block", field_memory="block")
        if room.lut is not None and len(room.streams) == 1 and room.schedule == "position_major":
            yield from window_plans(
                room.network.weighted_projection(node.name),
                source,
                lanes=room.lanes,
                limit=room.limit,
                lut=room.lut,
                merged_steps=source.timesteps,
            )

    @property
    def engine(self) -> Engine:
        """The only engine."""
        return self.engines[0]

    @property
    def edges(self) -> tuple[Edge, ...]:
        return (Edge(source=self.engine.source, target=self.name, inlet=0),)

    @property
    def latency(self) -> int:
        return self.engine.latency + ReadoutUnit.latency

    def memories(self) -> Inventory:
        yield from self.engine_memories()
        yield from under(self.name, inventory(self.readout.constants))

    def choosable_memories(self) -> dict[str, MemoryShape]:
        return self.engine.choosable_memories()

    def features(self) -> Features:
        features = self.engine.features() + Features(stage=1, readout=self.readout.logit_bits)
        return features + constants_features(self.readout)

    def rows_ahead(self, found: Mapping[str, RowsAhead]) -> RowsAhead | None:
        return self.engine.rows_ahead(found[self.engine.source]) if self.engine.source in found else None

    def expected_cycles(self, expectation: Expectation) -> StageCycles:
        cycles = self.engine.expected_cycles(expectation)
        sums = self.engine.folds * (self.engine.lanes + self.engine.hands_over)
        return StageCycles(arrival=cycles.arrival, array=cycles.array, neurons=float(sums))

    def most_cycles(self) -> int:
        return self.engine.most_cycles()

    def timing(self, reader: Consumer | None, bursts: Mapping[str, IntArray]) -> StageTiming:
        readout = ReadoutTiming(self.readout.classes, self.engine.lanes, self.engine.folds)
        arrival, work = self.engine.timing(readout, bursts[self.engine.source])
        return StageTiming(inlets=(arrival,), work=(work,), finished=readout.finished)

    def coverage(self, run: ComputedRun) -> list[CoverPoint]:
        return [*super().coverage(run), *class_points(self.name, run)]

    def assemble(self, site: Site, arriving: Sequence[Any]) -> None:
        [engine] = self.add_engines(site)
        site.connect(arriving[0], engine.bursts)
        site.watch(f"arriving_{self.name}", engine.bursts)
        readout = site.add(self.name, self.unit())
        site.connect(engine.currents, readout.currents)
        site.results(readout.results)

    def unit(self) -> Any:
        """The component that turns sums into logits: a component with the streams ``currents`` and ``results``."""
        return ReadoutUnit(self.readout, lanes_total=self.engine.lanes * self.engine.folds)

    def figures(self) -> dict[str, Any]:
        return {**self.engine.figures(), "cores": 1, "group": 1, "potential_bits": self.readout.logit_bits}


def class_points(name: str, run: ComputedRun) -> list[CoverPoint]:
    """Which class won, and whether another had the same logit."""
    logits = run.logits
    classes = np.arange(logits.shape[1])
    won = logits.argmax(axis=1)[:, np.newaxis] == classes
    tied = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1) > 1
    bounds = layer_bounds(run.network, run.network.readout).membrane
    losers = {
        str(label): "another class's logit is larger for every input, by interval analysis"
        for label in classes
        if bounds.high[label] < bounds.low.max()
    }
    return [
        CoverPoint(
            place=name,
            kind="class",
            bins=tuple(str(label) for label in classes),
            hits=won.astype(np.int64),
            unreachable=losers,
        ),
        CoverPoint(
            place=name,
            kind="first place",
            bins=("alone", "tied"),
            hits=np.stack([~tied, tied], 1).astype(np.int64),
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class ReadoutConfig:
    """The configuration of a :class:`Readout`; ``bias`` (of all timesteps) and ``exponent``: (classes,).

    ``repeats``: how often the sum counts (direct input into the readout: T).
    """

    classes: int
    repeats: int
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    constants_memory: MemoryStyle
    bias_bits: int
    exponent_bits: int
    accumulator_bits: int
    logit_bits: int

    @property
    def constants(self) -> MemoryDeclaration:
        """Biases and exponents, class after class."""
        return constants_declaration(self, per_word=1)


def result_layout(config: ReadoutConfig) -> data.StructLayout:
    """Payload of the network's output: one beat per class, in order.

    ``logit``: L of this class; ``winner``: first class with the largest logit so far, so on the beat with
    ``last`` it is the network's answer.
    """
    return data.StructLayout(
        {"logit": signed(config.logit_bits), "winner": unsigned(bits_for(config.classes - 1)), "last": 1}
    )


class ReadoutUnit(wiring.Component):
    """``L = repeats * (sum << e) + bias`` and its first maximum (docs/design.md, integer form).

    The bias covers all timesteps together. Throughput: one class per cycle. Latency: ``latency`` = 3 cycles
    from a sum to its beat. Sums of lanes beyond the last class are dropped.

    Ports:
        currents: ``sums_layout(1, accumulator_bits)``, ``lanes_total`` beats per inference.
        results: ``result_layout(config)``.
    """

    latency = 3

    def __init__(self, config: ReadoutConfig, *, lanes_total: int) -> None:
        self.config, self.lanes_total = config, lanes_total
        super().__init__(
            {
                "currents": In(stream.Signature(sums_layout(1, config.accumulator_bits))),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, result = self.config, self.results.payload
        advance = Signal()
        taken = Signal()
        index, lanes_end = counter(m, "lane", self.lanes_total, taken)
        next_index = Mux(lanes_end, 0, index + 1)
        rows, begun = constants_memory(m, config, advance=advance, taken=taken, row=index, next_row=next_index)
        constants = rows[0]
        m.d.comb += [
            advance.eq(~self.results.valid | self.results.ready),
            self.currents.ready.eq(advance & begun),
            taken.eq(self.currents.valid & self.currents.ready),
        ]

        taken_valid = Signal()
        taken_class = Signal(range(config.classes), reset_less=True)
        taken_sum = Signal(signed(config.accumulator_bits), reset_less=True)
        logit_valid = Signal()
        logit_class = Signal(range(config.classes), reset_less=True)
        logit = Signal(signed(config.logit_bits), reset_less=True)
        best = Signal(signed(config.logit_bits), reset_less=True)
        leads = Signal()
        m.d.comb += leads.eq((logit_class == 0) | (logit > best))
        scaled = taken_sum << constants.exponent if config.exponent_bits else taken_sum
        with m.If(advance):
            m.d.sync += [
                taken_valid.eq(taken & (index < config.classes)),
                taken_class.eq(index),
                taken_sum.eq(self.currents.payload[0]),
                logit_valid.eq(taken_valid),
                logit_class.eq(taken_class),
                logit.eq(times_constant(scaled, config.repeats) + constants.bias),
                self.results.valid.eq(logit_valid),
                result.logit.eq(logit),
                result.last.eq(logit_class == config.classes - 1),
            ]
            with m.If(logit_valid & leads):
                m.d.sync += [best.eq(logit), result.winner.eq(logit_class)]
        return m


class ReadoutTiming:
    """Exact timing of a :class:`Readout`; ``finished`` lists the cycle in which each inference's class leaves."""

    def __init__(self, classes: int, lanes: int, folds: int) -> None:
        self.classes, self.lanes, self.beats = classes, lanes, lanes * folds
        self.taken = 0
        self.finished: list[int] = []

    def feed(self, valid: int) -> int:
        """A turn of the ring from cycle ``valid`` on; returns the cycle in which its last beat is taken."""
        last_class = self.classes - 1 - self.taken
        if 0 <= last_class < self.lanes:
            self.finished.append(valid + last_class + ReadoutUnit.latency)
        self.taken = (self.taken + self.lanes) % self.beats
        return valid + self.lanes - 1
