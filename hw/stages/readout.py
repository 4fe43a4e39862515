"""The readout: an engine for its projection, and a component that turns its sums into logits and a class."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.coverage import ComputedRun, CoverPoint
from hw.divisors import divisors
from hw.engines.engine import Engine, Expectation, numbered
from hw.engines.event.engine import EventPlan
from hw.engines.registry import EnginePlan, engine_of
from hw.engines.window.proposals import window_plans
from hw.features import Features
from hw.layouts import sums_layout
from hw.logic import counter, delayed, times_constant
from hw.memory import Inventory, MemoryDeclaration, MemoryShape, MemoryStyle, inventory, under
from hw.neurons.constants import constants_declaration, constants_features, constants_memory
from hw.plan_fields import ADDED
from hw.rows_ahead import RowsAhead
from hw.schedule import Schedule
from hw.stages.stage import Edge, Room, Site, Stage, StageCycles, StagePlan, StageTiming, Surroundings
from hw.timing import Consumer
from hw.widths import Widths, proved_widths
from qblif.errors import UserError
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
        classes_per_beat: C, classes in one beat of the results; divides the lanes and the classes.
    """

    type: ClassVar[str] = "readout"
    name: str
    engine: EnginePlan
    constants_memory: MemoryStyle
    widths: Widths | None = None
    classes_per_beat: int = field(default=1, metadata=ADDED)

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
        if math.gcd(plan.engine.lanes, len(node.bias)) % plan.classes_per_beat:
            raise UserError(
                f"layer {node.name}: {plan.engine.lanes} lanes and {len(node.bias)} classes cannot leave in beats of "
                f"{plan.classes_per_beat} classes; make a new plan"
            )
        engine = engine_of(
            projection,
            plan.engine,
            source,
            layer=node.name,
            cores=plan.classes_per_beat,
            merged_steps=source.timesteps,
            repeats=1,
            accumulator_bits=widths.accumulator,
        )
        readout = ReadoutConfig(
            classes=len(node.bias),
            classes_per_beat=plan.classes_per_beat,
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
            together = divisors(math.gcd(engine.lanes, node.shape[0]))
            possible = [classes for classes in together if classes <= room.most_classes]
            able = [classes for classes in possible if engine.folds * (engine.lanes // classes + 1) <= room.limit]
            yield ReadoutPlan(
                name=node.name,
                engine=engine,
                constants_memory=room.constants,
                widths=room.widths,
                classes_per_beat=able[0] if able and not room.prompt else possible[-1],
            )

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
        return self.engine.latency + readout_latency(self.readout)

    @property
    def delay(self) -> int:
        return self.latency + self.engine.work_left + self.engine.lanes // self.readout.classes_per_beat - 1

    def memories(self) -> Inventory:
        yield from self.engine_memories()
        yield from under(self.name, inventory(self.readout.constants))

    def choosable_memories(self) -> dict[str, MemoryShape]:
        return self.engine.choosable_memories()

    def features(self) -> Features:
        together, bits = self.readout.classes_per_beat, self.readout.logit_bits
        features = self.engine.features() + Features(stage=1, readout=together * bits)
        waiting = together * bits * tournament_rounds(self.readout)
        features += Features(tree=2 * bits * (together - 1), tree_register=waiting)
        return features + constants_features(self.readout)

    def rows_ahead(self, found: Mapping[str, RowsAhead]) -> RowsAhead | None:
        return self.engine.rows_ahead(found[self.engine.source]) if self.engine.source in found else None

    def expected_cycles(self, expectation: Expectation) -> StageCycles:
        cycles = self.engine.expected_cycles(expectation)
        beats = self.engine.lanes // self.readout.classes_per_beat
        sums = self.engine.folds * (beats + self.engine.hands_over)
        return StageCycles(arrival=cycles.arrival, array=cycles.array, neurons=float(sums))

    def most_cycles(self) -> int:
        return self.engine.most_cycles()

    def timing(self, reader: Consumer | None, bursts: Mapping[str, IntArray]) -> StageTiming:
        readout = ReadoutTiming(self.readout, self.engine.lanes, self.engine.folds)
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
        together = self.readout.classes_per_beat
        return {
            **self.engine.figures(),
            "cores": together,
            "group": together,
            "potential_bits": self.readout.logit_bits,
        }


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

    ``repeats``: how often the sum counts (direct input into the readout: T); ``classes_per_beat``: C.
    """

    classes: int
    classes_per_beat: int = 1
    repeats: int
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    constants_memory: MemoryStyle
    bias_bits: int
    exponent_bits: int
    accumulator_bits: int
    logit_bits: int

    @property
    def beats(self) -> int:
        """Beats of a result."""
        return self.classes // self.classes_per_beat

    @property
    def constants(self) -> MemoryDeclaration:
        """Biases and exponents, beat after beat."""
        return constants_declaration(self, per_word=self.classes_per_beat)


def result_layout(config: ReadoutConfig) -> data.StructLayout:
    """Payload of the network's output: the classes in order, C in each beat.

    ``logit``: L of this class, or, if C > 1, ``logits``: those of C classes, the first one lowest; ``winner``: first
    class with the largest logit so far, so on the beat with ``last`` it is the network's answer.
    """
    one, together = signed(config.logit_bits), config.classes_per_beat
    logits = {"logit": one} if together == 1 else {"logits": data.ArrayLayout(one, together)}
    return data.StructLayout({**logits, "winner": unsigned(bits_for(config.classes - 1)), "last": 1})


def logits_of(result: Any) -> list[Value]:
    """The logits in a beat of :func:`result_layout`."""
    return [result.logit] if "logit" in result.shape().members else list(result.logits)


class ReadoutUnit(wiring.Component):
    """``L = repeats * (sum << e) + bias`` and its first maximum (docs/design.md, integer form).

    ::

        sums --> register | logits | rounds of comparisons of two | largest so far --> results
        cycle       1         2          2 + rounds                   3 + rounds

    The bias covers all timesteps together. Throughput: C classes per cycle, without a gap between results. Latency:
    ``latency`` cycles from a sum to its beat. Sums of lanes beyond the last class are dropped.

    Ports:
        currents: ``sums_layout(C, accumulator_bits)``, ``lanes_total / C`` beats per inference.
        results: ``result_layout(config)``.
    """

    def __init__(self, config: ReadoutConfig, *, lanes_total: int) -> None:
        self.config, self.lanes_total = config, lanes_total
        super().__init__(
            {
                "currents": In(stream.Signature(sums_layout(config.classes_per_beat, config.accumulator_bits))),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    @property
    def latency(self) -> int:
        return readout_latency(self.config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, result = self.config, self.results.payload
        together, beats = config.classes_per_beat, config.beats
        advance = Signal()
        taken = Signal()
        index, lanes_end = counter(m, "lane", self.lanes_total // together, taken)
        next_index = Mux(lanes_end, 0, index + 1)
        rows, begun = constants_memory(m, config, advance=advance, taken=taken, row=index, next_row=next_index)
        m.d.comb += [
            advance.eq(~self.results.valid | self.results.ready),
            self.currents.ready.eq(advance & begun),
            taken.eq(self.currents.valid & self.currents.ready),
        ]

        def registers(name: str, bits: int) -> list[Signal]:
            """A signed register for each class of a beat."""
            names = [numbered(name, place) for place in range(together)]
            return [Signal(signed(bits), name=one, reset_less=True) for one in names]

        taken_valid = Signal()
        taken_class = Signal(range(max(2, beats)), reset_less=True)
        taken_sums = registers("taken_sum", config.accumulator_bits)
        logit_valid = Signal()
        logit_class = Signal(range(max(2, beats)), reset_less=True)
        logits = registers("logit", config.logit_bits)
        scaled = [
            taken_sum << constants.exponent if config.exponent_bits else taken_sum
            for taken_sum, constants in zip(taken_sums, rows, strict=True)
        ]
        with m.If(advance):
            m.d.sync += [
                taken_valid.eq(taken & (index < beats)),
                taken_class.eq(index),
                *(taken_sum.eq(self.currents.payload[place]) for place, taken_sum in enumerate(taken_sums)),
                logit_valid.eq(taken_valid),
                logit_class.eq(taken_class),
                *(
                    logit.eq(times_constant(current, config.repeats) + constants.bias)
                    for logit, current, constants in zip(logits, scaled, rows, strict=True)
                ),
            ]

        # The classes of a beat meet in pairs, round after round; of equal ones the lower one stays.
        best = Signal(signed(config.logit_bits), reset_less=True)
        leads = Signal()
        rounds = tournament_rounds(config)
        left: list[tuple[Value, Value]] = [(Const(place), logit) for place, logit in enumerate(logits)]
        valid = logit_valid
        for number in range(rounds):
            left = [
                self._meet(m, left[first : first + 2], advance, f"{number}_{first // 2}")
                for first in range(0, len(left), 2)
            ]
            valid, before = Signal(name=f"met_valid_{number}"), valid
            with m.If(advance):
                m.d.sync += valid.eq(before)
        [(place, largest)] = left
        beat = delayed(m, logit_class, rounds, "met_class", advance)
        shown = [delayed(m, logit, rounds, f"met_logit_{place}", advance) for place, logit in enumerate(logits)]
        winner = beat if together == 1 else times_constant(beat, together) + place
        m.d.comb += leads.eq((beat == 0) | (largest > best))
        with m.If(advance):
            m.d.sync += [
                self.results.valid.eq(valid),
                *(given.eq(logit) for given, logit in zip(logits_of(result), shown, strict=True)),
                result.last.eq(beat == beats - 1),
            ]
            with m.If(valid & leads):
                m.d.sync += [best.eq(largest), result.winner.eq(winner)]
        return m

    def _meet(self, m: Module, pair: list[tuple[Value, Value]], advance: Value, name: str) -> tuple[Value, Value]:
        """Place and logit of the better one of two classes, or of a class that is alone, one cycle later."""
        place = Signal(range(self.config.classes_per_beat), name=f"place_{name}", reset_less=True)
        largest = Signal(signed(self.config.logit_bits), name=f"largest_{name}", reset_less=True)
        (low, low_logit), (high, high_logit) = pair[0], pair[-1]
        wins = high_logit > low_logit
        with m.If(advance):
            m.d.sync += [place.eq(Mux(wins, high, low)), largest.eq(Mux(wins, high_logit, low_logit))]
        return place, largest


def tournament_rounds(config: ReadoutConfig) -> int:
    """Rounds in which the largest logit of a beat is found."""
    return (config.classes_per_beat - 1).bit_length()


def readout_latency(config: ReadoutConfig) -> int:
    """Cycles from a sum to its beat in a :class:`ReadoutUnit`."""
    return 3 + tournament_rounds(config)


class ReadoutTiming:
    """Exact timing of a :class:`ReadoutUnit`; ``finished`` lists the cycle in which each inference's class leaves."""

    def __init__(self, config: ReadoutConfig, lanes: int, folds: int) -> None:
        self.config, self.turn = config, lanes // config.classes_per_beat
        self.beats = self.turn * folds
        self.taken = 0
        self.finished: list[int] = []

    def feed(self, valid: int) -> int:
        """A turn of the ring from cycle ``valid`` on; returns the cycle in which its last beat is taken."""
        last_class = self.config.beats - 1 - self.taken
        if 0 <= last_class < self.turn:
            self.finished.append(valid + last_class + readout_latency(self.config))
        self.taken = (self.taken + self.turn) % self.beats
        return valid + self.turn - 1
