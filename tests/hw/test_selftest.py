import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from hw.configure import configure
from hw.shell.selftest import SelfTest, SelfTestVectors
from hw.top import NetworkTop
from qblif.streams import beat_words, stream_beats
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.hw.streams import run
from tests.networks import random_bursts
from tests.reference import scalar_run


@pytest.mark.parametrize("wrong", [None, 0, 11])
@pytest.mark.parametrize("together", [1, 2, 4])
def test_lights_up_only_for_the_right_logits(together, wrong):
    network = dense_chain(3, sizes=(10, 8, 4))
    config = configure(network, plan_for(network, readout={"lanes": 4, "classes_per_beat": together}))
    bursts = random_bursts(network, 3)
    logits = [logit for inference in bursts for logit in scalar_run(network, inference).logits]
    if wrong is not None:
        logits[wrong] += 1
    beats = beat_words(stream_beats(bursts, config.input), config.input.burst_bits)
    m = Module()
    m.submodules.network = top = NetworkTop(config)
    m.submodules.test = test = SelfTest(config, SelfTestVectors(beats=beats, logits=logits))
    connect(m, test.bursts, top.bursts)
    connect(m, top.results, test.results)
    outcome = []

    async def process(ctx):
        ctx.set(test.allowed, 1)
        results = test.results
        for _ in range(7):
            await ctx.tick().until(results.valid & results.ready & results.payload.last)
        await ctx.tick().repeat(SelfTest.latency)
        outcome.append((ctx.get(test.passed), ctx.get(test.failed)))

    run(m, process)
    assert outcome == [(1, 0) if wrong is None else (0, 1)]
