"""Pooling over windows that overlap, lie apart or reach into padding: every window, whatever waits."""

import numpy as np
import pytest

from hw.configure import configure
from hw.stages.sliding_pooling import SlidingPoolingStage, SlidingPoolingUnit
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Pooling, Readout
from qblif.streams import from_stream_beats, stream_beats
from studies.network_builder import NetworkBuilder
from studies.plan_edits import plan_for
from tests.hw.streams import PAUSES, through
from tests.reference import pool

CASES = {
    "overlapping": ((3, 6, 5), 3, 1, 1),
    "overlapping, two steps": ((2, 7, 6), 3, 2, 1),
    "one position between windows": ((1, 7, 7), 2, 3, 0),
    "every other position": ((2, 5, 6), 1, 2, 0),
    "rows alone": ((2, 6, 4), (3, 1), (1, 2), (1, 0)),
    "as large as the source, in padding": ((2, 3, 4), (4, 4), 2, 2),
}


def network_of(shape, kind, kernel, stride, padding, timesteps) -> Network:
    """A pooling behind a population of six channels."""
    random = np.random.default_rng(3)

    def neurons(channels):
        return {
            "fraction_bits": 4,
            "burst_ceiling": 3,
            "leak": Leak(),
            "reset": "soft",
            "bias": random.integers(-9, 9, channels),
            "exponent": np.zeros(channels, dtype=np.int64),
        }

    builder = NetworkBuilder(random=random, shape=shape, neurons=neurons)
    builder.convolve("layer", 6, 1)
    builder.pool("pool", kind, kernel, stride=stride, padding=padding)
    builder.classify(2)
    readout = Readout(fraction_bits=4, bias=np.zeros(2, dtype=np.int64), exponent=np.zeros(2, dtype=np.int64))
    return builder.network(timesteps=timesteps, coding="direct", input_bits=2, readout=readout)


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("kind", ["sum", "max"])
@pytest.mark.parametrize("case", CASES)
def test_every_window(case, kind, pauses):
    network = network_of(CASES[case][0], kind, *CASES[case][1:], timesteps=2)
    plan = plan_for(network, layer={"lanes": 4, "cores": 1, "group": 2})
    stage = next(stage for stage in configure(network, plan).stages if stage.name == "pool")
    assert isinstance(stage, SlidingPoolingStage)
    assert (stage.stream.folds, stage.stream.steps, stage.stream.beats) == (2, 2, 2)
    node = network.node("pool")
    assert isinstance(node, Pooling)
    bursts = np.random.default_rng(2).integers(0, 4, (3, 2, *network.shape("layer")))
    pooled = np.stack([pool(network, node, inference) for inference in bursts])
    dut = SlidingPoolingUnit(stage)
    beats = stream_beats(bursts, stage.stream).reshape(-1, 2).tolist()
    expected = stream_beats(pooled, stage.output)
    got = through(dut, dut.arriving, dut.leaving, beats, expected.shape[0] * expected.shape[1], pauses)
    words = [list(dut.leaving.payload.shape().from_bits(word)) for word in got]
    assert words == expected.reshape(-1, 2).tolist()
    assert (from_stream_beats(expected, network.shape("pool"), stage.output) == pooled).all()
