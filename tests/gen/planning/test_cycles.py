"""The exact cycle model against the hardware, cycle by cycle, in Amaranth's simulator."""

import numpy as np
import pytest

from boards.catalogue import find_board
from gen.planning.candidates import evaluate_plan
from gen.planning.cycles import predict
from gen.planning.plans import make_plan
from hw.configure import configure
from hw.engines.event.costs import passing_costs, sampled_cycles, window_costs
from hw.engines.event.timing import array_timing
from hw.top import NetworkTop
from qblif import golden
from qblif.streams import stream_beats
from studies.plan_edits import engine_plan, plan_for, queued
from studies.random_networks import Sketch, dense_chain
from studies.random_networks import random_network as sketched_network
from tests.hw.streams import get, put, run
from tests.networks import engine_of, random_bursts, random_convolutions, random_plan


def check(network, plan, *, count: int = 4, density: float = 0.5, seed: int = 0) -> None:
    """Every class leaves in the predicted cycle, and every scanner works as many cycles as predicted."""
    config = configure(network, plan)
    bursts = random_bursts(network, count, seed, density)
    if network.mode == "stream":
        bursts = bursts.reshape(1, -1, *bursts.shape[2:])
    known = {name: values.numpy() for name, values in golden.run(network, bursts).bursts.items()}
    predicted = predict(config, known)

    dut = NetworkTop(config, taps=True)
    frames = config.framed(bursts)
    beats = [beat for frame in stream_beats(frames, config.input).tolist() for beat in frame]
    worked = dict.fromkeys(predicted.worked, 0)
    finished: list[int] = []
    begins: list[int] = []
    cycle = [0]

    async def producer(ctx):
        await put(ctx, dut.bursts, beats, 0.0)

    async def consumer(ctx):
        await get(ctx, dut.results, len(frames) // config.frames * config.readout.beats, 0.0)
        expected = predicted.worked
        for _ in range(20_000):
            if all(worked[name] >= expected[name] for name in worked):
                break
            await ctx.tick()

    async def watcher(ctx):
        taps = [getattr(dut, f"working_{name}") for name in worked]
        ports = (dut.bursts.valid, dut.bursts.ready, dut.results.valid, dut.results.ready, dut.results.payload.last)
        async for _, _, valid, ready, done, read, last, *busy in ctx.tick().sample(*ports, *taps):
            if valid and ready and not begins:
                begins.append(cycle[0])
            if done and read and last:
                finished.append(cycle[0])
            for name, one in zip(worked, busy, strict=True):
                worked[name] += one
            cycle[0] += 1

    run(dut, producer, consumer, background=[watcher])
    assert (np.array(finished) - begins[0]).tolist() == predicted.finished.tolist()
    assert worked == predicted.worked


LONG = (102, 111, 114)
"""Seeds of networks that take more than 5,000 cycles."""


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.slow if seed in LONG else ()) for seed in range(100, 119)]
)
def test_random_convolutions(seed):
    network = random_convolutions(seed)
    check(network, random_plan(network, seed), count=3, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 300))
def test_a_hundred_random_convolutions(seed):
    network = random_convolutions(seed)
    check(network, random_plan(network, seed), count=3, seed=seed)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("density", [0.1, 0.7])
def test_random_dense_networks(seed, density):
    random = np.random.default_rng(seed)
    sizes = tuple(int(size) for size in random.integers(2, 14, random.integers(2, 5)))
    network = dense_chain(seed, sizes=sizes, coding=("direct", "events")[seed % 2], timesteps=1 + seed % 3)
    check(network, random_plan(network, seed), seed=seed, density=density)


def test_planned_network():
    network = dense_chain(3, sizes=(40, 24, 10))
    check(network, plan_for(network))


KINDS = {
    "dense": Sketch(name="", shape=(40, 1, 1), layers=[24], timesteps=3),
    "conv": Sketch(name="", shape=(1, 6, 6), layers=[(6, 1)]),
    "strided": Sketch(name="", shape=(2, 7, 7), layers=[(4, 2), (6, 2)]),
    "pooled": Sketch(name="", shape=(1, 8, 8), layers=[(4, 1), "pool", (6, 1), "pool"], pooling="sum"),
    "residual": Sketch(name="", shape=(1, 5, 5), layers=[(4, 1), "residual", "residual"]),
    "multi-fold": Sketch(name="", shape=(2, 5, 5), layers=[(12, 1), 14], timesteps=1),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_network_as_planned(kind):
    network = sketched_network(KINDS[kind], classes=4)
    board = find_board("arty_a7")
    fastest = evaluate_plan(network, board, make_plan(network, board, 100.0, "", {}), {})
    check(network, fastest.plan, count=3)
    # At a third of that rate layers are folded.
    slower = make_plan(network, board, 100.0, "", {}, 1e8 / fastest.slowest / 3)
    assert kind != "multi-fold" or max(engine_plan(stage).folds for stage in slower.stages if stage.tables()) > 1
    check(network, slower, count=2)


@pytest.mark.parametrize("seed", range(400, 412))
def test_random_convolutions_with_queues(seed):
    network = random_convolutions(seed)
    check(network, queued(random_plan(network, seed)), count=3, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(500, 600))
def test_a_hundred_random_convolutions_with_queues(seed):
    network = random_convolutions(seed)
    check(network, queued(random_plan(network, seed)), count=3, seed=seed)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("density", [0.1, 0.7])
def test_random_dense_networks_with_queues(seed, density):
    random = np.random.default_rng(seed)
    sizes = tuple(int(size) for size in random.integers(2, 14, random.integers(2, 5)))
    network = dense_chain(seed, sizes=sizes, coding=("direct", "events")[seed % 2], timesteps=1 + seed % 3)
    check(network, queued(random_plan(network, seed)), seed=seed, density=density)


class TakesEverySum:
    """Neurons that never keep the scanner waiting."""

    def feed(self, valid):
        return valid - 1


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("make", [dense_chain, random_convolutions])
@pytest.mark.parametrize("changed", [lambda plan: plan, queued])
def test_a_scanner_that_never_waits_in_closed_form(make, seed, changed):
    network = make(seed)
    bursts = random_bursts(network, 3, seed)
    for layer in configure(network, changed(random_plan(network, seed))).layers:
        projection = engine_of(layer)
        if projection.source != "input":
            continue
        array = array_timing(projection, TakesEverySum())
        if projection.window.rows_kept:
            costs = window_costs(bursts, projection)
            fields = (costs.after_first, costs.after_busy, costs.closing)
            for after_first, after_busy, closing in zip(*(field.reshape(-1).tolist() for field in fields), strict=True):
                array.accumulate(None, after_first, after_busy, closing)
        else:
            passing = passing_costs(bursts, projection)
            for sums in passing.reshape(-1, *passing.shape[2:]).tolist():
                for number, cost in enumerate(sums, start=1):
                    array.take(0, cost, closes=number == len(sums))
        assert sampled_cycles(projection, bursts) == array.worked / len(bursts)
