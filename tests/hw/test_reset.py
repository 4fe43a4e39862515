"""A restart at any time leaves no beat of the old inference behind."""

import random
from collections.abc import Callable
from itertools import count

import pytest

from hw.configure import configure
from hw.plan import Plan
from hw.shell.reset import RestartChain
from hw.stages.readout_unit import logits_of
from hw.top import NetworkTop
from qblif.network.graph import Network
from qblif.streams import stream_beats
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.hw.streams import run
from tests.networks import random_bursts, random_convolutions, random_plan
from tests.reference import scalar_run


@pytest.mark.parametrize("stages", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 2, 20])
def test_all_resets_overlap_and_end_from_the_last_stage_to_the_sources(stages, length):
    chain = RestartChain(stages)
    seen = []

    async def watch(ctx):
        await ctx.tick().repeat(3)
        for cycle in range(length + chain.cycles + 3):
            ctx.set(chain.begin, cycle < length)
            _, _, resets, sources, busy = await ctx.tick().sample(chain.resets, chain.sources, chain.busy)
            seen.append(([*(resets >> stage & 1 for stage in reversed(range(stages))), sources], busy))

    run(chain, watch)
    assert any(all(resets) for resets, _ in seen)
    ends = [max(cycle for cycle, (resets, _) in enumerate(seen) if resets[stage]) for stage in range(stages + 1)]
    assert ends == sorted(ends)
    assert [busy for _, busy in seen] == [0] + [1] * (length - 1 + chain.cycles) + [0] * 3
    assert all(busy for resets, busy in seen if any(resets))
    for stage in range(stages + 1):
        levels = "".join(str(resets[stage]) for resets, _ in seen)
        assert "01" not in levels.lstrip("0"), "a reset that falls stays down"


class Ends:
    """What sends beats to the network and takes its results; both forget everything when they are reset."""

    def __init__(self, ctx, dut) -> None:
        self.ctx, self.dut, self.chance = ctx, dut, random.Random(1)
        self.beats: list = []
        self.results: list = []
        self.impatient = False
        """What sends beats is not reset and offers new ones at once."""

    async def cycle(self, stalls: float = 0.0, rst: bool = False) -> bool:
        """One cycle; returns whether it was a reset of the sources."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.rst, rst)
        ctx.set(dut.bursts.valid, bool(self.beats))
        if self.beats:
            ctx.set(dut.bursts.payload, self.beats[0])
        ready = self.chance.random() >= stalls
        ctx.set(dut.results.ready, ready)
        ports = (dut.bursts.ready, dut.results.valid, dut.results.payload, dut.sources_reset)
        _, _, taken, valid, result, reset = await ctx.tick().sample(*ports)
        if taken and self.beats:
            del self.beats[0]
        if valid and ready:
            self.results.append(result)
        if reset:
            self.results = []
            self.beats = self.beats if self.impatient else []
        return bool(reset)


SLOW = [pytest.mark.slow]
NETWORKS: dict[str, tuple[Callable[[], Network], Callable[[Network], Plan]]] = {
    "dense": (lambda: dense_chain(6, sizes=(4, 3, 2), timesteps=2), plan_for),
    "two banks": (
        lambda: dense_chain(3, sizes=(4, 4, 2), timesteps=1),
        lambda network: plan_for(network, hidden_0={"lanes": 2, "cores": 1, "group": 2, "banks": 2}),
    ),
    "two classes per beat": (
        lambda: dense_chain(6, sizes=(4, 3, 4), timesteps=2),
        lambda network: plan_for(network, readout={"lanes": 2, "classes_per_beat": 2}),
    ),
    "convolutions and a skip": (lambda: random_convolutions(2), lambda network: random_plan(network, 2)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SLOW if "convolutions" in name else []) for name in NETWORKS]
)
def test_a_restart_in_any_cycle_of_an_inference(name):
    make, plan = NETWORKS[name]
    network = make()
    config = configure(network, plan(network))
    bursts = random_bursts(network, 2, 3)
    bursts[0] = network.input.burst_ceiling
    old, new = stream_beats(bursts, config.input).tolist()
    expected, wait = list(scalar_run(network, bursts[1]).logits), config.readout.beats
    dut = NetworkTop(config)
    struck = []

    async def drive(ctx):
        ends = Ends(ctx, dut)
        for length in count(1):
            # The old inference and the beginning of another for so many cycles; then the sources go on until they are
            # reset themselves.
            ends.beats = old * 2
            for _ in range(length):
                await ends.cycle()
            done = len(ends.results) > wait
            await ends.cycle(0.5, rst=True)
            ends.impatient = length % 2 == 0
            if ends.impatient:
                ends.beats = list(new)
            while not await ends.cycle(0.5):
                pass
            while await ends.cycle():
                pass
            if not ends.impatient:
                ends.beats = list(new)
            while len(ends.results) < wait:
                await ends.cycle(0.3 * (length % 2))
            logits = [logit for result in ends.results for logit in logits_of(result)]
            assert logits == expected, f"restart in cycle {length}"
            assert [result.last for result in ends.results] == [0] * (wait - 1) + [1]
            for _ in range(3):
                await ends.cycle()
            assert len(ends.results) == wait, f"restart in cycle {length}: a result too many"
            if done:
                struck.append(length)
                return

    run(dut, drive, cycles=2_000_000)
    assert struck[0] > wait
