"""Self-test and host at one network: an echo that sends a class for every inference, a while later."""

import pytest
from amaranth.hdl import Module

from hw.configure import configure
from hw.shell.sharing import NetworkShare
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.hw.streams import get, put, run

NETWORK = dense_chain(4, sizes=(8, 3), input_bits=2)
PLAN = plan_for(NETWORK)
CONFIG = configure(NETWORK, PLAN)


TEST, HOST = 1, 2
"""Burst of every channel, by which an inference is known."""


@pytest.mark.parametrize("begin", [1, 2, 60])
def test_the_host_takes_over_between_two_inferences(begin):
    beats, classes = CONFIG.input.beats_per_inference, CONFIG.readout.classes
    dut = NetworkShare(CONFIG)
    order: list[int] = []
    begun: list[int] = []
    tested: list[int] = []
    linked: list[int] = []

    async def self_test(ctx):
        while True:
            _, _, begins = await ctx.tick().sample(dut.test_may_begin)
            if begins:
                # The first beat takes some cycles to come, and meanwhile the host may want the network.
                begun.append(TEST)
                ctx.set(dut.test_offering, 1)
                await ctx.tick().repeat(3)
                await put(ctx, dut.test_bursts, [[TEST] * CONFIG.input.group] * beats, 0.3, seed=len(order))
                ctx.set(dut.test_offering, 0)

    async def host(ctx):
        await ctx.tick().repeat(begin)
        await put(ctx, dut.link_bursts, [[HOST] * CONFIG.input.group] * (2 * beats), 0.2)

    async def network(ctx):
        """Gives the first channel's burst as every logit, some cycles after an inference is whole."""
        while order.count(HOST) < 2:
            words = await get(ctx, dut.bursts, beats, 0.2, seed=len(order))
            assert len(set(words)) == 1, "an inference of both"
            order.append(words[0] & 3)
            for _ in range(15):
                await ctx.tick()
            results = [{"logit": order[-1], "winner": 0, "last": index == classes - 1} for index in range(classes)]
            await put(ctx, dut.results, results, 0.3)

    def taker(port, taken):
        async def take(ctx):
            ctx.set(port.ready, 1)
            while True:
                _, _, valid, logit = await ctx.tick().sample(port.valid, port.payload.logit)
                if valid:
                    taken.append(logit)

        return take

    module = Module()
    module.submodules.dut = dut
    run(module, network, background=[self_test, host, taker(dut.test_results, tested), taker(dut.link_results, linked)])
    assert order == sorted(order)
    assert order.count(TEST) == len(begun)
    assert tested == [TEST] * classes * order.count(TEST)
    assert linked == [HOST] * classes * 2
