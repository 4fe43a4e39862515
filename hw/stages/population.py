"""A population: an engine for its projection, queues for its skips, and a bank of neurons."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.engines.engine import Engine, Expectation
from hw.engines.event.engine import EventPlan, event_engine
from hw.features import Features
from hw.memory import Inventory, MemoryShape, MemoryStyle, inventory, under
from hw.neurons.bank import MembraneTap, NeuronBank, NeuronBankTiming
from hw.neurons.config import NeuronConfig, SkipConfig
from hw.neurons.skip_queue import SkipQueue, SkipTiming
from hw.rows_ahead import RowsAhead, furthest
from hw.stages.stage import (
    Edge,
    Room,
    Site,
    Stage,
    StageCycles,
    StagePlan,
    StageTiming,
    Surroundings,
    divisors,
)
from hw.timing import Consumer
from hw.widths import Widths, proved_widths
from qblif.errors import UserError
from qblif.network.bounds import layer_bounds
from qblif.network.checks import IntArray
from qblif.network.nodes import Population
from qblif.network.projections import Skip
from qblif.streams import BurstStream

SLACK_ROWS = 2
"""Rows that a skip holds beyond those without which the network deadlocks, so that its source can go on meanwhile."""


@dataclass(frozen=True, kw_only=True)
class NeuronPlan:
    """How a bank of neurons is built.

    Attributes:
        cores: M, neuron cores; each updates one neuron per cycle.
        group: G, channels per beat of the stream that leaves; a multiple of ``cores``.
        membrane_memory, constants_memory: what membranes, and biases and exponents, are kept in.
        skip_memory: what bursts of identity skips wait in.
    """

    cores: int
    group: int
    membrane_memory: MemoryStyle
    constants_memory: MemoryStyle
    skip_memory: MemoryStyle


@dataclass(frozen=True, kw_only=True)
class PopulationPlan(StagePlan):
    """How a population is built.

    Attributes:
        name: of the population.
        engine: of its projection.
        neurons: of its neurons.
        widths: of registers and constants, where they are to hold for other networks too; None for those that are
            proved for the network.
    """

    type: ClassVar[str] = "population"
    name: str
    engine: EventPlan
    neurons: NeuronPlan
    widths: Widths | None = None

    def memories(self) -> dict[str, MemoryStyle]:
        return {"field": self.engine.field_memory, "membranes": self.neurons.membrane_memory}

    def with_memories(self, styles: Mapping[str, MemoryStyle]) -> Self:
        engine, neurons = self.engine, self.neurons
        field = styles.get("field", engine.field_memory)
        return dataclasses.replace(
            self,
            engine=dataclasses.replace(
                engine, weight_memory=styles.get("weights", engine.weight_memory), field_memory=field
            ),
            neurons=dataclasses.replace(
                neurons, membrane_memory=styles.get("membranes", neurons.membrane_memory), skip_memory=field
            ),
        )

    def tables(self) -> dict[str, MemoryStyle]:
        return {"weights": self.engine.weight_memory, "constants": self.neurons.constants_memory}

    def beat_widths(self, most: int) -> list[int]:
        lanes, cores = self.engine.lanes, self.neurons.cores
        return [group for group in divisors(lanes) if group % cores == 0 and group <= most]

    def with_beats_of(self, group: int) -> Self:
        return dataclasses.replace(self, neurons=dataclasses.replace(self.neurons, group=group))


@dataclass(frozen=True, kw_only=True, eq=False)
class PopulationStage(Stage):
    """A population; ``engine`` computes its currents, ``bank`` its bursts, which leave as ``output``."""

    type: ClassVar[str] = PopulationPlan.type
    name: str
    engine: Engine
    bank: NeuronConfig
    output: BurstStream

    @classmethod
    def derived(cls, node: Population, plan: PopulationPlan, around: Surroundings) -> Self:
        network, neurons = around.network, plan.neurons
        if plan.engine.lanes % neurons.group or neurons.group % neurons.cores:
            raise UserError(
                f"layer {node.name}: {plan.engine.lanes} lanes, beats of {neurons.group} channels and {neurons.cores} "
                f"neuron cores do not divide each other"
            )
        projection = network.weighted_projection(node.name)
        source = around.streams[projection.source]
        widths = proved_widths(layer_bounds(network, node)) if plan.widths is None else plan.widths
        engine = event_engine(
            projection,
            plan.engine,
            source,
            layer=node.name,
            cores=neurons.cores,
            merged_steps=1,
            repeats=network.timesteps // source.steps,
            accumulator_bits=widths.accumulator,
        )
        output = BurstStream(
            height=node.shape[1],
            width=node.shape[2],
            folds=plan.engine.folds,
            steps=network.timesteps,
            beats=plan.engine.lanes // neurons.group,
            group=neurons.group,
            burst_bits=node.burst_ceiling.bit_length(),
        )
        skips = tuple(skip_config(skip, plan, output, engine, around) for skip in network.skips_into(node.name))
        channels = plan.engine.lanes * plan.engine.folds
        bank = NeuronConfig(
            lanes=plan.engine.lanes,
            folds=plan.engine.folds,
            cores=neurons.cores,
            group=neurons.group,
            timesteps=network.timesteps,
            fraction_bits=node.fraction_bits,
            burst_ceiling=node.burst_ceiling,
            leak=node.leak,
            reset=node.reset,
            bias=padded(node.bias, channels),
            exponent=padded(node.exponent, channels),
            skips=skips,
            membrane_memory=neurons.membrane_memory,
            constants_memory=neurons.constants_memory,
            bias_bits=widths.bias,
            exponent_bits=widths.exponent,
            accumulator_bits=widths.accumulator,
            current_bits=widths.current,
            potential_bits=widths.potential,
            membrane_bits=widths.membrane,
        )
        return cls(name=node.name, engine=engine, bank=bank, output=output)

    @classmethod
    def proposals(cls, node: Population, room: Room) -> Iterator[PopulationPlan]:
        channels, height, width = node.shape
        for lanes in room.lanes:
            folds = math.ceil(channels / lanes)
            # The fewest neuron cores with which the neurons stay under the limit.
            turns = height * width * folds * room.network.timesteps
            possible = [cores for cores in divisors(math.gcd(lanes, *room.skipped)) if cores <= room.widest_beat]
            able = [cores for cores in possible if turns * (max(4, lanes // cores) + 1) <= room.limit]
            cores = able[0] if able else possible[-1]
            for banks in room.banks:
                yield PopulationPlan(
                    name=node.name,
                    engine=EventPlan(
                        lanes=lanes, folds=folds, banks=banks, weight_memory="block", field_memory="block"
                    ),
                    neurons=NeuronPlan(
                        cores=cores,
                        group=widest_group(lanes, cores, room.widest_beat),
                        membrane_memory="block",
                        constants_memory=room.constants,
                        skip_memory="block",
                    ),
                    widths=room.widths,
                )

    @property
    def engines(self) -> tuple[Engine, ...]:
        return (self.engine,)

    @property
    def neurons(self) -> NeuronConfig | None:
        return self.bank

    @property
    def edges(self) -> tuple[Edge, ...]:
        sources = (self.engine.source, *(skip.source for skip in self.bank.skips))
        return tuple(Edge(source=source, target=self.name, inlet=inlet) for inlet, source in enumerate(sources))

    @property
    def latency(self) -> int:
        return self.engine.latency + NeuronBank.latency

    def memories(self) -> Inventory:
        yield from under(self._part("projection"), self.engine.memories())
        yield from under(self._part("neurons"), inventory(self.bank.constants, self.bank.membranes))
        for index, skip in enumerate(self.bank.skips):
            yield from under(self._part(f"skip_{index}"), inventory(skip.queue))

    def choosable_memories(self) -> dict[str, MemoryShape]:
        return {**self.engine.choosable_memories(), "membranes": self.bank.membranes.shape}

    def features(self) -> Features:
        bank = self.bank
        features = self.engine.features() + Features(
            stage=1,
            core=bank.cores * bank.potential_bits,
            leak=bank.cores * bank.membrane_bits * max(0, bank.leak.multiplier.bit_count() - 1),
            exponent=bank.cores * bank.current_bits * bank.exponent_bits,
            beat=bank.group * bank.burst_bits,
            skip=sum(bank.cores * (bank.current_bits + skip.stream.burst_bits) for skip in bank.skips),
        )
        return features + bank.constants_features()

    def rows_ahead(self, found: Mapping[str, RowsAhead]) -> RowsAhead | None:
        paths = [self.engine.rows_ahead(found[self.engine.source])] if self.engine.source in found else []
        paths += [found[skip.source] for skip in self.bank.skips if skip.source in found]
        return furthest(paths) if paths else None

    def expected_cycles(self, expectation: Expectation) -> StageCycles:
        cycles, bank, output = self.engine.expected_cycles(expectation), self.bank, self.output
        windows = output.height * output.width * bank.folds
        turn = max(bank.slots, NeuronBank.write_latency)
        loads = windows * bank.timesteps / self.engine.repeats
        return StageCycles(arrival=cycles.arrival, array=cycles.array, neurons=windows * bank.timesteps * turn + loads)

    def most_cycles(self) -> int:
        return self.engine.most_cycles()

    def timing(self, reader: Consumer | None, bursts: Mapping[str, IntArray]) -> StageTiming:
        assert reader is not None
        skips = [SkipTiming(skip) for skip in self.bank.skips]
        neurons = NeuronBankTiming(self.bank, self.engine.repeats, skips, reader)
        arrival, work = self.engine.timing(neurons, bursts[self.engine.source])
        return StageTiming(inlets=(arrival, *skips), work=(work,))

    def assemble(self, site: Site, arriving: Sequence[Any]) -> Any:
        engine = site.add(self._part("projection"), self.engine.component())
        site.connect(arriving[0], engine.bursts)
        site.watch(f"arriving_{self.name}", engine.bursts)
        site.watch(f"currents_{self.name}", engine.currents)
        site.tap(f"working_{self.name}", engine.working)
        bank = site.add(self._part("neurons"), NeuronBank(self.bank))
        site.connect(engine.currents, bank.currents)
        for index, skip in enumerate(self.bank.skips):
            queue = site.add(self._part(f"skip_{index}"), SkipQueue(skip))
            site.connect(arriving[1 + index], queue.arriving)
            site.connect(queue.leaving, bank.skips[index])
            site.watch(f"skip_{index}_arriving_{self.name}", queue.arriving)
            site.watch(f"skip_{index}_leaving_{self.name}", queue.leaving)
        site.tap(f"membranes_{self.name}", bank.tap)
        return bank.bursts

    def flows(self) -> Iterator[str]:
        yield f"arriving_{self.name}"
        yield f"currents_{self.name}"
        for index in range(len(self.bank.skips)):
            yield f"skip_{index}_arriving_{self.name}"
            yield f"skip_{index}_leaving_{self.name}"

    def taps(self) -> dict[str, wiring.Member]:
        return {
            f"working_{self.name}": Out(1),
            f"membranes_{self.name}": Out(MembraneTap(self.bank.cores, self.bank.membrane_bits)),
        }

    def figures(self) -> dict[str, Any]:
        bank = self.bank
        return {
            **self.engine.figures(),
            "cores": bank.cores,
            "group": bank.group,
            "potential_bits": bank.potential_bits,
        }

    def _part(self, name: str) -> str:
        """Name of a part of the stage in the top level."""
        return f"{self.name}_{name}"


def skip_config(
    skip: Skip, plan: PopulationPlan, output: BurstStream, engine: Engine, around: Surroundings
) -> SkipConfig:
    """An identity connection: its beats come in the order of the target's neurons, and wait for them."""
    stream, lanes, cores = around.streams[skip.source], plan.engine.lanes, plan.neurons.cores
    shape = (stream.height, stream.width, stream.folds, stream.steps, stream.beats * stream.group)
    if shape != (output.height, output.width, output.folds, output.steps, lanes) or stream.group % cores:
        raise UserError(
            f"layer {plan.name}: the skip from {skip.source} needs a source with the same lanes and folds in groups "
            f"that {cores} cores divide; make a new plan"
        )
    found = rows_ahead(skip.source, around.before)
    if engine.source not in found:
        raise UserError(
            f"layer {plan.name}: the skip comes from {skip.source}, which the layer's own projection does not depend on"
        )
    ahead = engine.rows_ahead(found[engine.source])
    lead = max(ahead(row) - row for row in range(output.height))
    depth = (lead + SLACK_ROWS) * stream.width * stream.beats_per_position
    return SkipConfig(
        source=skip.source, stream=stream, weight=skip.weight, depth=depth, memory=plan.neurons.skip_memory
    )


def rows_ahead(source: str, stages: Sequence[Stage]) -> dict[str, RowsAhead]:
    """How many rows of ``source`` must have been sent before each node that depends on it can send a row.

    This many rows, less those that are done, wait in a skip. With less room the source blocks, the last stage starves,
    and the network deadlocks.
    """
    found: dict[str, RowsAhead] = {source: lambda row: row + 1}
    for stage in stages:
        ahead = stage.rows_ahead(found)
        if ahead is not None and stage.name != source:
            found[stage.name] = ahead
    return found


def padded(values: IntArray, length: int) -> tuple[int, ...]:
    """``values`` and zeros up to ``length``: neurons that do not exist never fire."""
    return (*values.tolist(), *[0] * (length - len(values)))


def widest_group(lanes: int, cores: int, most: int) -> int:
    """The widest beat that ``lanes`` lanes can be sent in, ``cores`` of them per cycle."""
    return max(group for group in divisors(lanes) if group % cores == 0 and group <= max(most, cores))
