"""The readout of a time-major network alone, with sums that come without a break."""

import dataclasses

import numpy as np
import pytest

from hw.configure import configure
from hw.stages.frame_readout import FrameReadoutStage, FrameReadoutUnit
from qblif.network.nodes import Leak
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.hw.streams import PAUSES, get, put, run
from tests.reference import integrate

SAMPLES, FRAMES = 4, 3


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("mode", ["window", "stream"])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_results_are_those_of_the_integer_form(classes, mode, pauses):
    network = dense_chain(1, sizes=(5, classes), timesteps=FRAMES, coding="events")
    readout = dataclasses.replace(
        network.readout, leak=Leak(multiplier=3, shift=2), limits=(-90, 70), maximum=classes == 3
    )
    network = dataclasses.replace(network, readout=readout, mode=mode)
    stage = configure(network, plan_for(network)).stages[-1]
    assert isinstance(stage, FrameReadoutStage)
    assert stage.readout.lanes == classes
    dut, random = FrameReadoutUnit(stage.readout), np.random.default_rng(classes)
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
