"""The golden model against the integer form written out neuron by neuron."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qblif import golden
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Population, Readout
from qblif.network.projections import Conv2d, Dense
from sim.golden import main
from studies.random_networks import dense_chain
from tests.networks import random_bursts, random_convolutions, random_temporal
from tests.reference import ScalarRun, scalar_run


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), timesteps=st.integers(1, 5), burst_ceiling=st.integers(1, 7),
    leak=st.sampled_from([(1, 1), (0, 0), (1, 0), (3, 2), (5, 4)]), reset=st.sampled_from(["soft", "hard"]),
    coding=st.sampled_from(["direct", "events"]),
)  # fmt: skip
def test_every_intermediate(seed, **options):
    network = dense_chain(seed, sizes=(7, 5, 4, 3), **options)
    bursts = random_bursts(network, 3, seed)
    result = golden.run(network, bursts)
    for number, inference in enumerate(bursts):
        same(result, number, scalar_run(network, inference))


def same(result: golden.Activations, number: int, expected: ScalarRun) -> None:
    """Every burst, last membrane and logit of one inference, and its class."""
    for name, bursts in expected.bursts.items():
        assert result.bursts[name][number].tolist() == bursts.tolist()
    for name, states in expected.states.items():
        assert result.states[name][number].tolist() == states.tolist()
        assert result.membranes[name][number].tolist() == states[-1, 0].tolist()
    assert result.sums[number].tolist() == expected.results
    assert result.logits[number].tolist() == expected.logits
    assert int(result.classes[number]) == expected.logits.index(max(expected.logits))


@pytest.mark.parametrize("seed", range(30))
def test_every_intermediate_of_convolutions_poolings_and_skips(seed):
    network = random_convolutions(seed)
    bursts = random_bursts(network, 2, seed)
    result = golden.run(network, bursts)
    for number, inference in enumerate(bursts):
        same(result, number, scalar_run(network, inference))


@pytest.mark.parametrize("seed", range(60))
def test_every_state_of_the_whole_family(seed):
    network = random_temporal(seed)
    bursts = random_bursts(network, 2, seed)
    result = golden.run(network, bursts)
    for number, inference in enumerate(bursts):
        same(result, number, scalar_run(network, inference))


@pytest.mark.parametrize("seed", range(12))
def test_a_stream_goes_on_where_it_was_until_a_reset(seed):
    network = next(one for one in map(random_temporal, range(100 * seed, 100 * seed + 100)) if one.mode == "stream")
    random = np.random.default_rng(seed)
    frames = random.integers(0, network.input.burst_ceiling + 1, (2, 12, *network.input.shape))
    whole, model = golden.run(network, frames), golden.GoldenModel(network)
    for _ in range(2):
        parts = [model.advance(frames[:, start:end]) for start, end in ((0, 1), (1, 2), (2, 7), (7, 12))]
        joined = golden.Activations.joined(parts, 1)
        assert joined.sums.tolist() == whole.sums.tolist()
        for name, states in whole.states.items():
            assert joined.states[name].tolist() == states.tolist()
        model.reset()


def test_accumulates_are_counted_plane_by_plane():
    network = dense_chain(1, sizes=(4, 3, 2), input_bits=3)
    bursts = np.array([7, 5, 1, 0]).reshape(1, 1, 4, 1, 1)
    result = golden.run(network, bursts)
    projection = network.projections[0]
    assert golden.accumulates(projection, network, result.bursts["input"]) == (3 + 2 + 1) * 3


def test_accumulates_of_a_convolution_count_every_window_that_sees_a_burst():
    weights = np.zeros((3, 1, 3, 3), dtype=np.int64)
    weights[0, 0, 0, 0] = 1
    readout = Readout(fraction_bits=1, bias=np.zeros(2, dtype=np.int64), exponent=np.zeros(2, dtype=np.int64))
    population = Population(
        name="conv", shape=(3, 4, 4), fraction_bits=1, burst_ceiling=1, leak=Leak(), reset="soft",
        bias=np.zeros(3, dtype=np.int64), exponent=np.zeros(3, dtype=np.int64),
    )  # fmt: skip
    network = Network(
        timesteps=1,
        input=InputSpec(shape=(1, 4, 4), coding="direct", bits=2),
        nodes=(population,),
        projections=(
            Conv2d(source="input", target="conv", weights=weights, weight_bits=2, padding=1),
            Dense(source="conv", target="readout", weights=np.ones((2, 48), dtype=np.int64), weight_bits=2),
        ),
        readout=readout,
    )
    bursts = np.zeros((1, 1, 1, 4, 4), dtype=np.int64)
    bursts[0, 0, 0, 0, 0] = 3  # a corner: 4 windows see it
    bursts[0, 0, 0, 1, 2] = 2  # inside: 9 windows
    counted = golden.accumulates(network.projections[0], network, golden.run(network, bursts).bursts["input"])
    assert counted == (2 * 4 + 1 * 9) * 3


def test_sums_that_float64_could_not_hold_are_refused():
    network = dense_chain(1)
    projection = network.projections[0]
    assert isinstance(projection, Dense)
    with pytest.raises(OverflowError):
        golden.project(projection, golden.run(network, random_bursts(network, 1)).bursts["input"], 2**50)


def test_command_line(digits_checkpoint, tmp_path, capsys):
    path = tmp_path / "golden.json"
    assert main(["--ckpt", str(digits_checkpoint), "--data", "digits", "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert figures["images"] == 360
    assert figures["accuracy"] >= 0.95
    assert set(figures["bursts_per_image"]) == {"input", "hidden_0"}
    assert "360 images" in capsys.readouterr().out


def test_user_errors(digits_checkpoint, fails):
    assert "--count" in fails(main, "--ckpt", digits_checkpoint, "--data", "digits", "--count", "0")
    assert "imagenet" in fails(main, "--ckpt", digits_checkpoint, "--data", "imagenet")
