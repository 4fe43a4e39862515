"""Several weighted projections into one population: their adder, and queues that are deep enough.

tests/hw/test_windows.py runs random networks of them.
"""

import dataclasses

import numpy as np
import pytest
from amaranth.hdl import Module, Signal

from hw.configuration import TopConfig
from hw.configure import configure
from hw.neurons.currents import CurrentAdder
from hw.stages.population import PopulationPlan, PopulationStage
from hw.stages.queues import SLACK_ROWS
from hw.top import NetworkTop
from qblif.errors import UserError
from qblif.network.projections import Conv2d
from qblif.streams import stream_beats
from studies.plan_edits import altered, plan_for
from tests.hw.streams import get, put, run
from tests.networks import population_stage, random_bursts, random_shortcuts


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.4, 0.4)])
def test_currents_of_one_neuron_are_added(pauses):
    random = np.random.default_rng(1)
    sums = random.integers(-100, 100, (3, 12, 2))
    dut, seen, top = CurrentAdder(3, 2, 12), [], Module()
    top.submodules.dut = dut
    top.d.sync += Signal(name="clocked").eq(1)

    def producer(index):
        async def produce(ctx):
            await put(ctx, dut.arriving[index], sums[index].tolist(), pauses[0], seed=index)

        return produce

    async def consumer(ctx):
        seen.extend(await get(ctx, dut.leaving, 12, pauses[1]))

    run(top, *(producer(index) for index in range(3)), consumer)
    words = [sum((int(one) & 0xFFF) << (12 * core) for core, one in enumerate(beat)) for beat in sums.sum(axis=0)]
    assert seen == words


def outer_of(config: TopConfig) -> PopulationStage:
    return population_stage(next(stage for stage in config.stages if stage.name == "outer"))


def test_a_queue_without_its_rows_deadlocks():
    """What the derived depth holds back: with as few rows as the slack alone nothing ever leaves."""
    network = random_shortcuts(4)
    config = configure(network, plan_for(network))
    outer = outer_of(config)
    rows = outer.queues[0].stream.width * outer.queues[0].stream.beats_per_position
    assert outer.queues[0].depth > SLACK_ROWS * rows
    shallow = dataclasses.replace(outer.queues[0], depth=1)
    broken = dataclasses.replace(outer, queues=(shallow, *outer.queues[1:]))
    stages = tuple(broken if stage is outer else stage for stage in config.stages)
    dut = NetworkTop(dataclasses.replace(config, stages=stages))
    beats = [beat for inference in stream_beats(random_bursts(network, 1), config.input).tolist() for beat in inference]

    async def producer(ctx):
        await put(ctx, dut.bursts, beats, 0.0)

    async def consumer(ctx):
        await get(ctx, dut.results, 3, 0.0)

    with pytest.raises((AssertionError, TimeoutError, RuntimeError)):
        run(dut, producer, consumer, cycles=20_000)


def test_engines_of_one_population_have_the_same_lanes():
    network = random_shortcuts(0)
    plan = plan_for(network)
    stages = [
        dataclasses.replace(stage, engines=(stage.engines[0], altered(stage, lanes=63, folds=1).engines[1]))
        if isinstance(stage, PopulationPlan) and stage.name == "outer"
        else stage
        for stage in plan.stages
    ]
    with pytest.raises(UserError, match=r"outer: .* not the same lanes"):
        configure(network, dataclasses.replace(plan, stages=tuple(stages)))


def test_sources_that_do_not_depend_on_each_other_are_refused():
    network = random_shortcuts(0)
    wide = network.shape("outer")[0]
    beside = dataclasses.replace(next(node for node in network.nodes if node.name == "inner"), name="beside")
    entry = next(one for one in network.projections if one.target == "inner")
    into = Conv2d(source="beside", target="outer", weights=np.ones((wide, wide, 1, 1), dtype=np.int64), weight_bits=2)
    apart = dataclasses.replace(
        network,
        nodes=(*network.nodes[:2], beside, *network.nodes[2:]),
        projections=(*network.projections, dataclasses.replace(entry, target="beside"), into),
    )
    with pytest.raises(UserError, match="outer: none of its sources"):
        plan_for(apart)
