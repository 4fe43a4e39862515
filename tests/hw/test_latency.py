"""How many cycles lie between what goes into a component and what comes out, as it says and as it is counted."""

import dataclasses

import numpy as np
import pytest

from hw.configure import configure
from hw.engines.event.engine import ProjectionEngine
from hw.engines.event.handover import Handover
from hw.engines.event.queued import QueuedScanner
from hw.engines.event.scanner import EventScanner
from hw.engines.event.synapse_array import SynapseArray
from hw.neurons.bank import NeuronBank
from hw.neurons.config import SkipConfig
from hw.neurons.skip_queue import SkipQueue
from hw.stages.pooling import PoolingStage, PoolingUnit
from hw.stages.readout_unit import ReadoutUnit
from hw.stages.sliding_pooling import SlidingPoolingStage, SlidingPoolingUnit
from hw.stream_register import StreamRegister
from hw.top import NetworkTop
from hw.windows.receptive_field import ReceptiveField
from qblif.network.window import make_window
from qblif.streams import BurstStream
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from studies.small_configs import dense_window, projection
from tests.hw.streams import run
from tests.networks import engine_of, population_stage

# One beat makes one sum, and one sum one beat, so that what is counted is latency alone.
NETWORK = dense_chain(1, sizes=(2, 4, 1), timesteps=1)
PLAN = plan_for(NETWORK, hidden_0={"lanes": 4, "cores": 4, "group": 4}, readout={"lanes": 1, "cores": 1, "group": 1})
BEATS = dataclasses.replace(PLAN, input_group=2)
CONFIG = configure(
    NETWORK,
    BEATS,
)
SOURCE = BurstStream(group=2, burst_bits=2, beats=1, steps=1)
POOLED = PoolingStage(
    name="pool",
    source="input",
    kind="sum",
    window=make_window(1, name="pool"),
    stream=SOURCE,
    output=SOURCE,
    memory="block",
)
SLIDING = SlidingPoolingStage(
    name="pool",
    source="input",
    kind="sum",
    stream=SOURCE,
    window=make_window(1, name="pool"),
    field=dense_window(SOURCE, 1, kept=True),
    output=SOURCE,
)
SKIP = SkipConfig(source="input", stream=SOURCE, weight=1, depth=4, memory="block")
HIDDEN = population_stage(CONFIG.layers[0])
CLOSING = {"banks": [{"row": 0, "plane": 0, "spike": 1}], "last": 1}


def cases():
    yield lambda: StreamRegister(4), "arriving", "leaving", 5
    yield lambda: EventScanner(projection(SOURCE, np.zeros((1, 2), dtype=np.int64))), "bursts", "events", [1, 0]
    yield (
        lambda: QueuedScanner(projection(SOURCE, np.zeros((1, 2), dtype=np.int64), queued=True)),
        "bursts",
        "events",
        [1, 0],
    )
    yield lambda: SynapseArray(engine_of(HIDDEN)), "events", "sums", CLOSING
    yield lambda: Handover(lanes=4, cores=2, bits=8, repeats=1), "sums", "currents", [1, 2, 3, 4]
    yield lambda: ReceptiveField(dense_window(SOURCE, 2, kept=True)), "arriving", "leaving", [1, 2]
    yield lambda: PoolingUnit(POOLED), "arriving", "leaving", [1, 2]
    yield lambda: SlidingPoolingUnit(SLIDING), "arriving", "leaving", [1, 2]
    yield lambda: SkipQueue(SKIP), "arriving", "leaving", [1, 2]
    yield lambda: NeuronBank(HIDDEN.bank), "currents", "bursts", [1, 2, 3, 4]
    yield lambda: ReadoutUnit(CONFIG.readout, lanes_total=1), "currents", "results", [1]
    one = CONFIG.readout
    wide = dataclasses.replace(one, classes=5, classes_per_beat=5, bias=one.bias * 5, exponent=one.exponent * 5)
    yield lambda: ReadoutUnit(wide, lanes_total=5), "currents", "results", [1] * 5
    yield lambda: ProjectionEngine(engine_of(HIDDEN)), "bursts", "currents", [1, 0]
    yield lambda: NetworkTop(CONFIG), "bursts", "results", [0, 0]


@pytest.mark.parametrize(("make", "arriving", "leaving", "beat"), list(cases()))
def test_latency(make, arriving, leaving, beat):
    dut = make()
    source, sink = getattr(dut, arriving), getattr(dut, leaving)
    counted = []

    async def process(ctx):
        ctx.set(sink.ready, 1)
        await ctx.tick().repeat(5)
        ctx.set(source.payload, beat)
        ctx.set(source.valid, 1)
        await ctx.tick().until(source.ready)
        ctx.set(source.valid, 0)
        cycles = 1
        while not ctx.get(sink.valid):
            await ctx.tick()
            cycles += 1
        counted.append(cycles)

    run(dut, process, cycles=500)
    assert counted == [dut.latency]
