"""How a population is built: its plan, and the plans that are worth trying."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from hw.divisors import divisors
from hw.engines.engine import numbered
from hw.engines.event.config import queue_places
from hw.engines.event.engine import DEEPEST_QUEUE, EventPlan, QueuedPlan
from hw.engines.registry import EnginePlan
from hw.engines.window.proposals import window_plans
from hw.luts import LutShape
from hw.memory import MemoryStyle
from hw.neurons.plans import NeuronPlan, UnrolledPlan
from hw.stages.stage import Room, StagePlan
from hw.widths import Widths
from qblif.network.nodes import Pooling, Population
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True)
class PopulationPlan(StagePlan):
    """How a population is built.

    Attributes:
        name: name of the population.
        engines: plans of its projections' engines, in the order of the network; all have the same lanes and folds.
        neurons: plan of its neurons.
        widths: fixed widths of registers and constants, so that other networks fit too; None for the widths that are
            proved for this network.
    """

    type: ClassVar[str] = "population"
    name: str
    engines: tuple[EnginePlan, ...]
    neurons: NeuronPlan | UnrolledPlan
    widths: Widths | None = None

    @property
    def engine(self) -> EnginePlan:
        """The first engine; all engines have its lanes and folds."""
        return self.engines[0]

    def memories(self) -> dict[str, MemoryStyle]:
        fields = {numbered("field", number): engine.field_memory for number, engine in enumerate(self.engines)}
        return {**fields, **self.neurons.memories()}

    def with_memories(self, styles: Mapping[str, MemoryStyle]) -> Self:
        engines = tuple(engine.with_memories(styles, number) for number, engine in enumerate(self.engines))
        neurons = self.neurons.with_memories(styles, engines[0].field_memory)
        return dataclasses.replace(self, engines=engines, neurons=neurons)

    def tables(self) -> dict[str, MemoryStyle]:
        weights = {numbered("weights", number): engine.weight_memory for number, engine in enumerate(self.engines)}
        return {**weights, "constants": self.neurons.constants_memory}

    def beat_widths(self, most: int) -> list[int]:
        return self.neurons.beat_widths(self.engine.lanes, most)

    def with_beats_of(self, group: int) -> Self:
        return dataclasses.replace(self, neurons=dataclasses.replace(self.neurons, group=group))

    def regrouped(self, stream: BurstStream, group: int) -> BurstStream:
        beats = dataclasses.replace(self.neurons, group=group).beats(self.engine.lanes, stream.timesteps)
        return dataclasses.replace(stream, **beats)


def population_plans(node: Population, room: Room) -> Iterator[PopulationPlan]:
    """Plans of a population that are worth trying."""
    if all(stream.merged == 1 for stream in room.streams):
        yield from with_event_engines(node, room)
    single = [one.recurrent for one in room.network.projections_into(node.name)] == [False]
    if room.lut is not None and single and room.schedule == "position_major":
        yield from with_window_engine(node, room, room.lut)


def with_event_engines(node: Population, room: Room) -> Iterator[PopulationPlan]:
    """Plans with event engines: for each number of lanes the fewest neuron cores that stay under the limit."""
    for lanes in room.lanes:
        folds = math.ceil(node.shape[0] / lanes)
        neurons = in_memory(node, room, lanes)
        for banks in itertools.product(*room.banks):
            for kind in event_kinds(node, room, banks):
                yield PopulationPlan(
                    name=node.name,
                    engines=tuple(
                        kind(lanes=lanes, folds=folds, banks=one, weight_memory="block", field_memory="block")
                        for one in banks
                    ),
                    neurons=neurons,
                    widths=room.widths,
                )
                engine = constant_weights(node, room, kind, lanes, banks)
                if engine is not None:
                    yield PopulationPlan(name=node.name, engines=(engine,), neurons=neurons, widths=room.widths)


def constant_weights(
    node: Population, room: Room, kind: type[EventPlan], lanes: int, banks: Sequence[int]
) -> EventPlan | None:
    """An event engine whose weights are constants in LUTs; None if they may not be, if a bank has too many rows of
    them, or with several projections."""
    if room.lut is None or len(banks) > 1:
        return None
    folds, [source] = math.ceil(node.shape[0] / lanes), room.streams
    kernel = room.network.weighted_projection(node.name).weights.shape[2:]
    positions = math.prod(kernel) if kernel else source.height * source.width
    if folds * positions * source.channels > banks[0] << room.lut.inputs:
        return None
    return kind(
        lanes=lanes,
        folds=folds,
        banks=banks[0],
        weight_memory="logic",
        field_memory="block",
        lut_inputs=room.lut.inputs,
    )


def event_kinds(node: Population, room: Room, banks: Sequence[int]) -> list[type[EventPlan]]:
    """Kinds of event engines that are worth trying: with queues only where several banks wait for each other."""
    projections = room.network.weighted_projections(node.name)
    fits = all(
        queue_places(one.window((source.height, source.width)), source) <= DEEPEST_QUEUE
        for one, source in zip(projections, room.streams, strict=True)
    )
    return [EventPlan, QueuedPlan] if room.queues and fits and max(banks) > 1 else [EventPlan]


def with_window_engine(node: Population, room: Room, lut: LutShape) -> Iterator[PopulationPlan]:
    """Plans with a window engine, with each kind of bank of neurons."""
    projection, [source] = room.network.weighted_projection(node.name), room.streams
    plans = window_plans(
        projection,
        source,
        lanes=room.lanes,
        limit=room.limit,
        lut=lut,
        merged_steps=1,
        # A pooling sends all its windows of a row while the last of their source rows arrives.
        row_queue=isinstance(room.network.node(projection.source), Pooling) and source.width > 1,
    )
    for engine in plans:
        banks: list[NeuronPlan | UnrolledPlan] = [in_memory(node, room, engine.lanes)]
        for neurons in banks + list(unrolled(node, room, engine.lanes, source)):
            yield PopulationPlan(name=node.name, engines=(engine,), neurons=neurons, widths=room.widths)


def in_memory(node: Population, room: Room, lanes: int) -> NeuronPlan:
    """The bank with its states in memory that has the fewest cores with which it stays under the limit."""
    turns = node.shape[1] * node.shape[2] * math.ceil(node.shape[0] / lanes) * room.steps(node.name)
    possible = [cores for cores in divisors(math.gcd(lanes, *room.skipped)) if cores <= room.widest_beat]
    shortest = room.shortest_turn if room.steps(node.name) > 1 else 1
    able = [cores for cores in possible if turns * (max(shortest, lanes // cores) + 1) <= room.limit]
    cores = able[0] if able else possible[-1]
    return NeuronPlan(
        cores=cores,
        group=widest_group(lanes, cores, room.widest_beat),
        membrane_memory="block",
        constants_memory=room.constants,
        skip_memory="block",
    )


def unrolled(node: Population, room: Room, lanes: int, source: BurstStream) -> Iterator[UnrolledPlan]:
    """Banks unrolled over several timesteps: the one with the fewest cores that stays under the limit, or, if the plan
    shall be prompt, every one that does; and the one with a core for every lane, whose timesteps may have beats of
    their own."""
    steps = room.steps(node.name)
    passes = node.shape[1] * node.shape[2] * math.ceil(node.shape[0] / lanes)
    if steps == 1:
        return
    if source.timesteps < steps:
        possible = [cores for cores in divisors(lanes) if cores <= room.widest_beat]
        able = [cores for cores in possible if passes * (lanes // cores + (cores < lanes)) <= room.limit]
        chosen = able if able and room.prompt else [able[0] if able else possible[-1]]
        for cores in chosen:
            yield UnrolledPlan(cores=cores, steps=steps, group=cores * steps)
    if lanes <= room.widest_beat:
        yield UnrolledPlan(cores=lanes, steps=steps, group=lanes)


def widest_group(lanes: int, cores: int, most: int) -> int:
    """The widest beat that ``lanes`` lanes can be sent in, ``cores`` of them per cycle."""
    return max(group for group in divisors(lanes) if group % cores == 0 and group <= max(most, cores))
