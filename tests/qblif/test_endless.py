"""Bounds over endless time: no stream leaves them, and a state without bounds must declare limits."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qblif import golden
from qblif.network.bounds import layer_bounds, neuron_bounds
from qblif.network.checks import NetworkError
from qblif.network.file import load_network, save_network
from qblif.network.graph import Network
from qblif.network.intervals import Interval
from qblif.network.nodes import Leak, Population
from studies.random_networks import dense_chain
from tests.frozen.freeze import no_references
from tests.networks import random_temporal
from tests.reference import advance

LEAKS = st.sampled_from([(0, 1), (1, 1), (3, 2), (7, 3), (255, 8)])


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6), leak=LEAKS, current_leak=st.none() | LEAKS, reset=st.sampled_from(["soft", "hard"]),
    fraction=st.integers(1, 4), ceiling=st.integers(1, 7), rounding=st.integers(-1, 15),
    low=st.integers(-60, 10), span=st.integers(0, 90), limits=st.none() | st.just((-7, 9)),
)  # fmt: skip
def test_no_stream_leaves_the_bounds(
    seed, leak, current_leak, reset, fraction, ceiling, rounding, low, span, limits
):  # fmt: skip
    neuron = Population(
        name="one",
        shape=(1, 1, 1),
        fraction_bits=fraction,
        burst_ceiling=ceiling,
        leak=Leak(multiplier=leak[0], shift=leak[1]),
        reset=reset,
        bias=np.zeros(1, dtype=np.int64),
        exponent=np.zeros(1, dtype=np.int64),
        rounding=min(rounding, 2**fraction - 1),
        current_leak=None if current_leak is None else Leak(multiplier=current_leak[0], shift=current_leak[1]),
        membrane_limits=limits,
    )
    bounds = neuron_bounds(Interval(low=np.array([low]), high=np.array([low + span])), neuron, None)
    random = np.random.default_rng(seed)
    # Long runs of one extreme drive a state to where it settles.
    values = np.repeat(random.choice([low, low + span, int(random.integers(low, low + span + 1))], 40), 30)
    state = (0, 0)
    for value in values.tolist():
        _, state = advance(neuron, value, state)
        assert bounds.membrane.low[0] <= state[0] <= bounds.membrane.high[0]
        if current_leak is not None:
            assert bounds.synaptic.low[0] <= state[1] <= bounds.synaptic.high[0]


def streaming(network: Network, **changes: object) -> Network:
    """A network as a stream, its populations changed."""
    nodes = tuple(
        dataclasses.replace(node, **changes) if isinstance(node, Population) else node  # type: ignore[arg-type]
        for node in network.nodes
    )
    readout = dataclasses.replace(network.readout, leak=Leak(multiplier=3, shift=2))
    return dataclasses.replace(network, nodes=nodes, readout=readout, mode="stream")


KEEPS = Leak(multiplier=1, shift=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"leak": KEEPS}, "hidden_0: its membrane rises without end"),
        ({"leak": KEEPS, "reset": "hard"}, "hidden_0: its membrane falls without end"),
        ({"current_leak": KEEPS}, "hidden_0: its synaptic current falls without end"),
    ],
)
def test_a_state_without_bounds_is_refused(changes, words):
    network = dense_chain(1, coding="events")
    with pytest.raises(NetworkError, match=words):
        streaming(network, **changes)
    limits = {"current_limits": (-50, 50)} if "current_leak" in changes else {"membrane_limits": (-50, 50)}
    assert streaming(network, **changes, **limits).mode == "stream"


def test_a_stream_sums_only_with_a_leak_or_limits():
    network = streaming(dense_chain(1, coding="events"))
    with pytest.raises(NetworkError, match="readout: its sum falls without end"):
        dataclasses.replace(network, readout=dataclasses.replace(network.readout, leak=None))
    limited = dataclasses.replace(network.readout, leak=None, limits=(-9, 9))
    assert layer_bounds(dataclasses.replace(network, readout=limited), limited).membrane.bits == 5


def test_a_direct_input_is_not_a_stream():
    with pytest.raises(NetworkError, match="events or frames, not direct"):
        streaming(dense_chain(1, coding="direct"))


@pytest.mark.parametrize("seed", range(20))
def test_every_option_is_in_the_file(seed, tmp_path):
    network = random_temporal(seed)
    save_network(tmp_path / "network", network, no_references(network))
    loaded, _ = load_network(tmp_path / "network")
    bursts = np.random.default_rng(seed).integers(0, 2, (1, network.steps("input"), *network.input.shape))
    assert golden.run(loaded, bursts).sums.tolist() == golden.run(network, bursts).sums.tolist()
    for ours, theirs in zip((*network.nodes, network.readout), (*loaded.nodes, loaded.readout), strict=True):
        assert repr(ours) == repr(theirs)
    assert (loaded.mode, loaded.input) == (network.mode, network.input)


def test_recurrent_projections_lead_back():
    network = next(one for one in map(random_temporal, range(100)) if any(p.recurrent for p in one.projections))
    for index, projection in enumerate(network.projections):
        changed = list(network.projections)
        if projection.recurrent:
            changed[index] = dataclasses.replace(projection, source="input")
        elif projection.kind == "dense":
            changed[index] = dataclasses.replace(projection, recurrent=True)
        else:
            continue
        with pytest.raises(NetworkError, match=r"recurrent projection leads|no dense or convolutional"):
            dataclasses.replace(network, projections=tuple(changed))
