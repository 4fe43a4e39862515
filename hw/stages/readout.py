"""The readout: an engine for its projection, and a component that turns its sums into logits and a class."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from hw.coverage import ComputedRun, CoverPoint
from hw.divisors import divisors
from hw.engines.engine import Engine, Expectation
from hw.engines.event.engine import EventPlan
from hw.engines.registry import EnginePlan, engine_of
from hw.engines.window.proposals import window_plans
from hw.features import Features
from hw.memory import Inventory, MemoryShape, MemoryStyle, inventory, under
from hw.neurons.constants import constants_features
from hw.plan_fields import ADDED
from hw.rows_ahead import RowsAhead
from hw.schedule import Schedule
from hw.stages.readout_unit import ReadoutConfig, ReadoutTiming, ReadoutUnit, readout_latency, tournament_rounds
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
