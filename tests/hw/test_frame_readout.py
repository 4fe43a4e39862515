"""The readout of a time-major network alone, with sums that come without a break."""

import dataclasses

import numpy as np
import pytest

from hw.configure import configure
from hw.stages.frame_readout import FrameReadoutStage, FrameReadoutTiming, FrameReadoutUnit
from qblif.network.nodes import Leak
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.hw.streams import PAUSES, get, put, run
from tests.reference import integrate

SAMPLES, FRAMES = 4, 3


def network_of(classes, mode):
    """A leaky readout behind a few inputs; of three classes it gives the maximum."""
    network = dense_chain(1, sizes=(5, classes), timesteps=FRAMES, coding="events")
    readout = dataclasses.replace(
        network.readout, leak=Leak(multiplier=3, shift=2), limits=(-90, 70), maximum=classes == 3
    )
    return dataclasses.replace(network, readout=readout, mode=mode)


def configured(network):
    """What its readout is built from, with a sum per class."""
    stage = configure(network, plan_for(network)).stages[-1]
    assert isinstance(stage, FrameReadoutStage)
    assert stage.readout.lanes == len(network.readout.bias)
    return stage.readout


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("mode", ["window", "stream"])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_results_are_those_of_the_integer_form(classes, mode, pauses):
    network = network_of(classes, mode)
    readout = network.readout
    dut, random = FrameReadoutUnit(configured(network)), np.random.default_rng(classes)
    sums = random.integers(-20, 20, (SAMPLES * FRAMES, classes))
    entering = sums * 2**readout.exponent + readout.bias
    runs = entering[np.newaxis] if mode == "stream" else entering.reshape(SAMPLES, FRAMES, classes)
    wanted = []
    for one in runs:
        results = np.array([integrate(readout, one[:, label].tolist()) for label in range(classes)]).T
        wanted += (results if mode == "stream" else results[-1:]).tolist()
    found: list[int] = []

    async def producer(ctx):
        await put(ctx, dut.currents, [[value] for value in sums.reshape(-1).tolist()], pauses[0])

    async def consumer(ctx):
        found.extend(await get(ctx, dut.results, len(wanted) * classes, pauses[1]))

    run(dut, producer, consumer)
    got = [dut.results.payload.shape().from_bits(word) for word in found]
    assert [one.logit for one in got] == [logit for result in wanted for logit in result]
    assert [one.winner for one in got[classes - 1 :: classes]] == [int(np.argmax(result)) for result in wanted]


@pytest.mark.parametrize("mode", ["window", "stream"])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_cycles_are_exact(classes, mode):
    """Sums that are always offered, so that frames of few classes pause."""
    readout = configured(network_of(classes, mode))
    dut, timing, frames = FrameReadoutUnit(readout), FrameReadoutTiming(readout, classes), SAMPLES * FRAMES
    for _ in range(frames):
        timing.feed(0)
    found: list[int] = []

    async def drive(ctx):
        ctx.set(dut.currents.valid, 1)
        ctx.set(dut.results.ready, 1)
        for cycle in range(timing.finished[-1] + 1):
            _, _, valid, last = await ctx.tick().sample(dut.results.valid, dut.results.payload.last)
            if valid and last:
                found.append(cycle)

    run(dut, drive)
    assert found == timing.finished
    assert len(found) == (SAMPLES if mode == "window" else frames)
