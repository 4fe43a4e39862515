"""Every component says how many cycles lie between what goes in and what comes out of it; here they are counted."""

import pytest

from hw.configuration import BurstStream, configure
from hw.handover import Handover
from hw.neuron_bank import NeuronBank
from hw.projection_engine import ProjectionEngine
from hw.readout import Readout
from hw.receptive_field import DenseReceptiveField
from hw.scanner import EventScanner
from hw.stream_register import StreamRegister
from hw.synapse_array import SynapseArray
from hw.top import NetworkTop
from tests.hw.streams import run
from tests.networks import plan_for, random_network

# One beat makes one sum, and one sum one beat, so that what is counted is latency alone.
NETWORK = random_network(1, sizes=(2, 4, 1), timesteps=1)
CONFIG = configure(
    NETWORK,
    plan_for(NETWORK, hidden_0={"lanes": 4, "cores": 4, "group": 4}, readout={"lanes": 1, "cores": 1, "group": 1}),
)
SOURCE = BurstStream(group=2, burst_bits=2, beats=1, folds=1, steps=1)
HIDDEN, READOUT = CONFIG.layers
CLOSING = {"row": 0, "plane": 0, "spike": 1, "last": 1}


def cases():
    yield lambda: StreamRegister(4), "arriving", "leaving", 5
    yield lambda: EventScanner(source=SOURCE, folds=1, merged_steps=1), "bursts", "events", [1, 0]
    yield lambda: SynapseArray(HIDDEN.projection), "events", "sums", CLOSING
    yield lambda: Handover(lanes=4, cores=2, bits=8, repeats=1), "sums", "currents", [1, 2, 3, 4]
    yield lambda: DenseReceptiveField(source=SOURCE, folds=2, memory="block"), "arriving", "leaving", [1, 2]
    yield lambda: NeuronBank(HIDDEN.target), "currents", "bursts", [1, 2, 3, 4]
    yield lambda: Readout(READOUT.target, lanes_total=1), "currents", "results", [1]
    yield lambda: ProjectionEngine(HIDDEN.projection), "bursts", "currents", [1, 0]
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
