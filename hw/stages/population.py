"""A population: engines for its projections, queues for side inputs and skips, and a bank of neurons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.coverage import ComputedRun, CoverPoint
from hw.engines.engine import Engine, Expectation, numbered
from hw.engines.registry import engine_of
from hw.features import Features
from hw.memory import Inventory, MemoryShape, inventory, under
from hw.neurons import kinds
from hw.neurons.bank import MembraneTap
from hw.neurons.config import FrameBufferConfig, NeuronConfig, QueueConfig
from hw.neurons.coverage import neuron_points
from hw.neurons.currents import CurrentAdder, CurrentsTiming, Side
from hw.neurons.frame_buffer import WAITING, FrameBuffer, FrameBufferTiming
from hw.neurons.skip_queue import SkipQueue, SkipTiming
from hw.rows_ahead import RowsAhead, furthest
from hw.schedule import Schedule, steps_per_frame
from hw.stages.population_plan import PopulationPlan, population_plans
from hw.stages.queues import frame_buffer, main_engine, side_queue, skip_config
from hw.stages.stage import (
    Edge,
    Room,
    Site,
    Stage,
    StageCycles,
    StageTiming,
    Surroundings,
)
from hw.timing import Consumer, CurrentConsumer
from hw.widths import proved_widths
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.network.nodes import Population
from qblif.streams import BurstStream

NEURONS = "neurons"
"""The part of the stage in the top level that has membranes and constants."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PopulationStage(Stage):
    """A population.

    Attributes:
        engines: the engines that compute its currents, which are added.
        main: the number of the engine that all others wait for: its source depends on theirs.
        queues: the queues in front of the other engines, in order; engines of recurrent projections come last.
        delays: the buffers in front of the engines of recurrent projections, in order.
        bank: the neurons that compute its bursts, which leave as ``output``.
    """

    type: ClassVar[str] = PopulationPlan.type
    name: str
    engines: tuple[Engine, ...]
    main: int
    queues: tuple[QueueConfig, ...]
    delays: tuple[FrameBufferConfig, ...]
    bank: NeuronConfig
    output: BurstStream

    @classmethod
    def builds(cls, node: object, schedule: Schedule) -> bool:
        return isinstance(node, Population)

    @classmethod
    def derived(cls, node: Population, plan: PopulationPlan, around: Surroundings) -> Self:
        network, neurons = around.network, plan.neurons
        lanes, folds = plan.engine.lanes, plan.engine.folds
        steps = steps_per_frame(network, node.name, around.schedule)
        shared_sums = around.streams[network.weighted_projections(node.name)[0].source].timesteps < steps
        neurons.check(
            node.name,
            lanes,
            steps,
            shared_sums=shared_sums,
            keeps_states=around.schedule == "time_major",
            skips=len(network.skips_into(node.name)),
        )
        widths = proved_widths(network, node, around.schedule) if plan.widths is None else plan.widths
        engines = engines_of(node, plan, around, widths.accumulator)
        recurrent = sum(projection.recurrent for projection in network.weighted_projections(node.name))
        forward = engines[: len(engines) - recurrent]
        main = main_engine(node.name, forward, around)
        output = cls.output_of(node, plan, network, around.schedule)
        bank = NeuronConfig(
            schedule=around.schedule,
            lanes=lanes,
            folds=folds,
            positions=node.shape[1] * node.shape[2],
            cores=neurons.cores,
            group=neurons.group,
            timesteps=network.timesteps,
            endless=network.mode == "stream",
            fraction_bits=node.fraction_bits,
            rounding=node.rounding_constant,
            burst_ceiling=node.burst_ceiling,
            leak=node.leak,
            reset=node.reset,
            current_leak=node.current_leak,
            membrane_limits=node.membrane_limits,
            current_limits=node.current_limits,
            bias=padded(node.bias, lanes * folds),
            exponent=padded(node.exponent, lanes * folds),
            skips=tuple(
                skip_config(skip, output, engines[main], neurons.skip_memory, around)
                for skip in network.skips_into(node.name)
            ),
            shared_sums=shared_sums,
            **neurons.config(),
            bias_bits=widths.bias,
            exponent_bits=widths.exponent,
            accumulator_bits=widths.accumulator,
            current_bits=widths.current,
            summed_bits=widths.summed,
            synaptic_bits=widths.synaptic,
            potential_bits=widths.potential,
            membrane_bits=widths.membrane,
        )
        queues = tuple(
            side_queue(engine, engines[main], output.height, neurons.skip_memory, around)
            for engine in forward
            if engine is not engines[main]
        )
        delays = tuple(frame_buffer(engine, neurons.skip_memory, around) for engine in engines[len(forward) :])
        return cls(name=node.name, engines=engines, main=main, queues=queues, delays=delays, bank=bank, output=output)

    @classmethod
    def output_of(cls, node: Population, plan: PopulationPlan, network: Network, schedule: Schedule) -> BurstStream:
        return BurstStream(
            height=node.shape[1],
            width=node.shape[2],
            folds=plan.engine.folds,
            burst_bits=node.burst_ceiling.bit_length(),
            **plan.neurons.beats(plan.engine.lanes, steps_per_frame(network, node.name, schedule)),
        )

    @classmethod
    def proposals(cls, node: Population, room: Room) -> Iterator[PopulationPlan]:
        return population_plans(node, room)

    @property
    def engine(self) -> Engine:
        """The engine that all others wait for."""
        return self.engines[self.main]

    @property
    def neurons(self) -> NeuronConfig | None:
        return self.bank

    @property
    def looping_workers(self) -> tuple[str, ...]:
        return self.workers[len(self.engines) - len(self.delays) :]

    @property
    def edges(self) -> tuple[Edge, ...]:
        sources = (self.engine.source, *(waiting.source for waiting in self._waiting().values()))
        return tuple(Edge(source=source, target=self.name, inlet=inlet) for inlet, source in enumerate(sources))

    @property
    def latency(self) -> int:
        return self.engine.latency + kinds.latency(self.bank)

    @property
    def delay(self) -> int:
        beats = max(self.bank.slots, self.output.steps * self.output.beats)
        return self.latency + self.engine.work_left + beats - 1

    def memories(self) -> Inventory:
        yield from self.engine_memories()
        yield from under(self.part(NEURONS), kinds.bank_memories(self.bank))
        for name, waiting in self._waiting().items():
            memories = inventory(waiting.queue)
            yield from under(self.part(name), under(WAITING, memories) if waiting in self.delays else memories)

    def choosable_memories(self) -> dict[str, MemoryShape]:
        found = {
            numbered(memory, number): shape
            for number, engine in enumerate(self.engines)
            for memory, shape in engine.choosable_memories().items()
        }
        return {**found, **kinds.choosable_memories(self.bank)}

    def features(self) -> Features:
        bank, added = self.bank, len(self.engines) - 1
        features = sum((engine.features() for engine in self.engines), Features(stage=1))
        return features + kinds.bank_features(bank) + Features(bank_adder=added * bank.cores * bank.accumulator_bits)

    def rows_ahead(self, found: Mapping[str, RowsAhead]) -> RowsAhead | None:
        forward = self.engines[: len(self.engines) - len(self.delays)]
        paths = [engine.rows_ahead(found[engine.source]) for engine in forward if engine.source in found]
        paths += [found[skip.source] for skip in self.bank.skips if skip.source in found]
        return furthest(paths) if paths else None

    def expected_cycles(self, expectation: Expectation) -> StageCycles:
        cycles, bank, output = [one.expected_cycles(expectation) for one in self.engines], self.bank, self.output
        passes = output.height * output.width * bank.folds
        loads = passes * output.timesteps / self.engine.repeats
        neurons = passes * kinds.cycles_per_fold(bank, output.timesteps) + loads * self.engine.hands_over
        array = max(one.array for one in cycles)
        if self.delays:
            # A frame's recurrent currents need all bursts of the previous frame.
            array += neurons + self.latency
        return StageCycles(arrival=max(one.arrival for one in cycles), array=array, neurons=neurons)

    def most_cycles(self) -> int:
        return sum(engine.most_cycles() for engine in self.engines)

    def timing(self, reader: Consumer | None, bursts: Mapping[str, IntArray]) -> StageTiming:
        assert reader is not None
        skips = [SkipTiming(skip) for skip in self.bank.skips]
        waiting = [*map(SkipTiming, self.queues), *map(FrameBufferTiming, self.delays)]
        sides = [Side(queue) for queue in waiting]
        bank = kinds.bank_timing(self.bank, self.engine.repeats, skips, reader)
        rings: list[CurrentConsumer] = [*sides]
        rings.insert(self.main, CurrentsTiming(sides, bank) if sides else bank)
        forward = len(self.engines) - len(self.delays)
        seen = [bursts[engine.source] for engine in self.engines[:forward]]
        seen += [one_frame_later(bursts[delay.source], delay.frames) for delay in self.delays]
        started = [
            engine.timing(ring, arrived) for engine, ring, arrived in zip(self.engines, rings, seen, strict=True)
        ]
        inputs = [arrival for arrival, _ in started]
        main = inputs.pop(self.main)
        for side, arrival in zip(sides, inputs, strict=True):
            side.engine = arrival
        work = tuple(worked for _, worked in started)
        return StageTiming(inlets=(main, *(side.queue for side in sides), *skips), work=work)

    def coverage(self, run: ComputedRun) -> list[CoverPoint]:
        return [*neuron_points(self.name, self.bank, run), *super().coverage(run)]

    def assemble(self, site: Site, arriving: Sequence[Any]) -> Any:
        rings = self.add_engines(site)
        site.connect(arriving[0], rings[self.main].bursts)
        site.watch(f"arriving_{self.name}", rings[self.main].bursts)
        bank = site.add(self.part(NEURONS), kinds.bank_component(self.bank))
        currents = rings[0].currents
        if len(rings) > 1:
            adder = CurrentAdder(len(rings), self.bank.cores, self.bank.accumulator_bits)
            site.add(self.part("currents"), adder)
            for index, ring in enumerate(rings):
                site.connect(ring.currents, adder.arriving[index])
            currents = adder.leaving
        site.connect(currents, bank.currents)
        sides = [ring.bursts for ring in rings if ring is not rings[self.main]]
        readers = (*sides, *bank.skips)
        for bursts, (name, config), reader in zip(arriving[1:], self._waiting().items(), readers, strict=True):
            queue = site.add(self.part(name), FrameBuffer(config) if config in self.delays else SkipQueue(config))
            site.connect(bursts, queue.arriving)
            site.connect(queue.leaving, reader)
            site.watch(f"{name}_arriving_{self.name}", queue.arriving)
            site.watch(f"{name}_leaving_{self.name}", queue.leaving)
        site.tap(f"membranes_{self.name}", bank.tap)
        return bank.bursts

    def _waiting(self) -> dict[str, QueueConfig]:
        """The queues of other engines, the buffers of recurrent ones, then the queues of skips, by name."""
        queues: dict[str, QueueConfig] = {f"queue_{index}": queue for index, queue in enumerate(self.queues)}
        queues |= {f"delay_{index}": delay for index, delay in enumerate(self.delays)}
        return queues | {f"skip_{index}": skip for index, skip in enumerate(self.bank.skips)}

    def flows(self) -> Iterator[str]:
        yield from super().flows()
        for name in self._waiting():
            yield f"{name}_arriving_{self.name}"
            yield f"{name}_leaving_{self.name}"

    def taps(self) -> dict[str, wiring.Member]:
        membranes = Out(MembraneTap(self.bank))
        return super().taps() | {f"membranes_{self.name}": membranes}

    def figures(self) -> dict[str, Any]:
        bank = self.bank
        return {
            **self.engine.figures(),
            "cores": bank.cores,
            "group": bank.group,
            "potential_bits": bank.potential_bits,
        }


def engines_of(
    node: Population, plan: PopulationPlan, around: Surroundings, accumulator_bits: int
) -> tuple[Engine, ...]:
    """The engines of the projections into a population; raises UserError if the plan does not fit them."""
    projections, shape = around.network.weighted_projections(node.name), (plan.engine.lanes, plan.engine.folds)
    if [(one.lanes, one.folds) for one in plan.engines] != [shape] * len(projections):
        raise UserError(
            f"layer {node.name}: {len(projections)} projections with weights lead into it, and the plan has "
            f"{len(plan.engines)} engines, or not the same lanes and folds for all; make a new plan"
        )
    steps = steps_per_frame(around.network, node.name, around.schedule)

    return tuple(
        engine_of(
            projection,
            one,
            around.streams[projection.source],
            layer=node.name,
            cores=plan.neurons.cores,
            merged_steps=1,
            repeats=plan.neurons.repeats(steps, around.streams[projection.source].timesteps),
            accumulator_bits=accumulator_bits,
        )
        for projection, one in zip(projections, plan.engines, strict=True)
    )


def one_frame_later(bursts: IntArray, frames: int) -> IntArray:
    """The frames (count, 1, C, H, W) that leave a frame buffer; every ``frames`` of them begin at rest, 0 means that
    only the first one does."""
    later = np.concatenate([np.zeros_like(bursts[:1]), bursts[:-1]])
    later[:: frames or len(later)] = 0
    return later


def padded(values: IntArray, length: int) -> tuple[int, ...]:
    """``values`` and zeros up to ``length``: neurons that do not exist never fire."""
    return (*values.tolist(), *[0] * (length - len(values)))
