"""How much work a plan is: no fact about a layer is worked out twice, and no weights are copied."""

import time
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from boards.catalogue import find_board
from gen.planning.plans import make_plan
from hw.engines.event import config, engine
from hw.engines.event.costs import sampled_cycles
from qblif.errors import UserError
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Readout
from studies.network_builder import NetworkBuilder

MEBIBYTE = 2**20


def vgg(*, blocks: list[list[int]], hidden: int, bits: int, size: int) -> Network:
    """Blocks of 3x3 convolutions, each with a pooling, and a hidden layer; ``size``: height and width of the input."""
    random = np.random.default_rng(0)

    def neurons(channels: int) -> dict[str, object]:
        zeros = np.zeros(channels, dtype=np.int64)
        fixed = {"fraction_bits": 8, "burst_ceiling": 3, "leak": Leak(multiplier=1, shift=1), "reset": "soft"}
        return {"bias": zeros, "exponent": zeros, **fixed}

    net = NetworkBuilder(random=random, shape=(3, size, size), neurons=neurons)
    for block, layers in enumerate(blocks):
        for layer, channels in enumerate(layers):
            net.convolve(f"conv_{block}_{layer}", channels, 3, padding=1, weight_bits=bits)
        net.pool(f"pool_{block}", "max")
    net.dense("hidden", hidden, weight_bits=bits)
    net.classify(10, weight_bits=bits)
    zeros = np.zeros(10, dtype=np.int64)
    readout = Readout(bias=zeros, exponent=zeros, fraction_bits=8)
    return net.network(timesteps=4, coding="direct", input_bits=4, readout=readout)


def weights_of(network: Network) -> int:
    return sum(projection.weights.size for projection in network.projections if projection.kind != "skip")


def samples(network: Network) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 16, (16, 1, *network.input.shape))


@pytest.fixture(scope="module")
def large():
    """Almost six million weights."""
    network = vgg(blocks=[[64, 64], [128, 128], [256] * 3, [512, 512]], hidden=256, bits=8, size=32)
    assert 5e6 < weights_of(network) < 6e6
    return network


@pytest.mark.parametrize("board", ["arty_a7", "ulx3s_85f"])
def test_millions_of_weights_get_a_verdict_in_seconds_and_in_little_memory(large, board):
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(UserError, match="its weights are 46,401,024 bits"):
            make_plan(large, find_board(board), 50.0, "", {}, None, samples(large))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 20
    assert peak < 128 * MEBIBYTE


@pytest.fixture(scope="module")
def tight():
    """A network whose weights alone would fit a Tang Nano 9K, with two bits too, so only a search can tell."""
    return vgg(blocks=[[96], [128]], hidden=64, bits=3, size=8)


@pytest.mark.parametrize(("board", "fits"), [("tang_nano_9k", False), ("arty_a7", True)])
def test_a_search_copies_no_weights_and_asks_once_how_long_the_inputs_take(tight, board, fits, monkeypatch):
    asked: Counter[tuple[object, ...]] = Counter()

    def counted(projection, inputs):
        asked[projection.window.source, projection.window.window, projection.banks, projection.merged_steps] += 1
        return sampled_cycles(projection, inputs)

    def copied(weights, source):
        raise AssertionError(f"a copy of {weights.size} weights in the order of {source}")

    monkeypatch.setattr(engine, "sampled_cycles", counted)
    monkeypatch.setattr(config, "stream_order", copied)
    began = time.process_time()
    if fits:
        assert make_plan(tight, find_board(board), 50.0, "", {}, None, samples(tight)).stages
    else:
        with pytest.raises(UserError, match=r"it needs an estimated .* BSRAM"):
            make_plan(tight, find_board(board), 50.0, "", {}, None, samples(tight))
    assert asked
    assert set(asked.values()) == {1}
    assert time.process_time() - began < 30
