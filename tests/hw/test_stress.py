"""Thousands of inferences back to back while stalls come and go and resets strike: nothing hangs or leaks over."""

import dataclasses
import random

import numpy as np
import pytest
from amaranth.hdl import Value

from gen.planning.cycles import predict
from hw.configure import configure
from hw.stages.readout_unit import logits_of
from hw.top import NetworkTop
from qblif import golden
from qblif.network.graph import Network
from qblif.network.projections import Skip
from qblif.streams import beat_words, stream_beats
from studies.random_networks import dense_chain
from tests.hw.streams import run
from tests.networks import random_bursts, random_convolutions, random_plan

MOST_CYCLES = 20_000_000
RESETS = 0.1
"""An inference, if nothing stalled."""
WAIT = 20_000
"""Cycles without any progress after which the network hangs."""


def extreme(network: Network, seed: int) -> Network:
    """The same network with every weight at one end of its range."""
    generator = np.random.default_rng(seed)
    projections = []
    for projection in network.projections:
        if not isinstance(projection, Skip):
            limit = 2 ** (projection.weight_bits - 1)
            weights = np.where(generator.random(projection.weights.shape) < 0.5, -limit, limit - 1)
            projection = dataclasses.replace(projection, weights=weights)
        projections.append(projection)
    return dataclasses.replace(network, projections=tuple(projections))


def stressed_network(seed: int) -> Network:
    """Every third a dense one with 1 to 16 timesteps, every fourth with extreme weights."""
    network = random_convolutions(seed)
    if seed % 3 == 0:
        timesteps = (1, 2, 4, 8, 16)[seed // 3 % 5]
        network = dense_chain(seed, sizes=(9, 6, 5, 3), timesteps=timesteps, reset=("soft", "hard")[seed % 2])
    return extreme(network, seed) if seed % 4 == 0 else network


def stressed_bursts(network: Network, count: int, seed: int) -> np.ndarray:
    """Inputs of all densities, among them silent ones and such with every burst at its ceiling."""
    densities = (0.0, 0.1, 0.5, 1.0)
    parts = [random_bursts(network, 1, seed + index, densities[index % 4]) for index in range(count)]
    bursts = np.concatenate(parts)
    bursts[3::8] = network.input.burst_ceiling
    return bursts


def check(seed: int, count: int) -> int:
    """Run ``count`` inferences; returns how many resets struck."""
    network = stressed_network(seed)
    config = configure(network, random_plan(network, seed))
    dut = NetworkTop(config)
    inputs = stressed_bursts(network, count, seed)
    beats = beat_words(stream_beats(inputs, config.input), config.input.burst_bits)
    a_piece = config.input.beats_per_inference
    wanted = golden.run(network, inputs)
    # One reset in a few inferences, however long they take.
    predicted = predict(config, {name: bursts.numpy() for name, bursts in wanted.bursts.items()})
    reset_rate = RESETS * count / predicted.finished[-1]
    chance = random.Random(seed)
    resets = [0]

    async def drive(ctx):
        done, next_beat, offering, idle = 0, 0, False, 0
        logits: list[int] = []
        waiting = None
        gaps = (0.0, 0.0)
        while done < count:
            if chance.random() < 0.01:
                gaps = (chance.choice((0.0, 0.3, 0.9)), chance.choice((0.0, 0.3, 0.9)))
            if chance.random() < reset_rate:
                resets[0] += 1
                ctx.set(dut.rst, 1)
                for _ in range(chance.randint(1, 3)):
                    await ctx.tick()
                ctx.set(dut.rst, 0)
                await ctx.tick().until(dut.sources_reset)
                ctx.set(dut.bursts.valid, 0)
                await ctx.tick().until(~dut.restarting)
                next_beat, offering, logits, waiting = done * a_piece, False, [], None
            if not offering and next_beat < len(beats) and chance.random() >= gaps[0]:
                offering = True
                ctx.set(Value.cast(dut.bursts.payload), beats[next_beat])
            ready = chance.random() >= gaps[1]
            ctx.set(dut.bursts.valid, offering)
            ctx.set(dut.results.ready, ready)
            _, _, taken, valid, result = await ctx.tick().sample(
                dut.bursts.ready, dut.results.valid, dut.results.payload
            )
            assert waiting is None or (valid and result == waiting), "a result changed while it waited"
            waiting = result if valid and not ready else None
            idle += 1
            if offering and taken:
                offering, next_beat, idle = False, next_beat + 1, 0
            if valid and ready:
                logits += [int(logit) for logit in logits_of(result)]
                idle = 0
                if result.last:
                    assert logits == wanted.logits[done].tolist(), f"inference {done}, {resets[0]} resets"
                    assert result.winner == int(wanted.classes[done])
                    done, logits = done + 1, []
            assert idle < WAIT, f"the network hangs in inference {done}"

    run(dut, drive, cycles=MOST_CYCLES)
    return resets[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stress(seed):
    check(seed, 12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_five_thousand_inferences(seed):
    assert check(seed, 100) > 0
