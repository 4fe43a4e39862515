"""The proved bounds hold for every input, and are reached: brute force on small networks."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qblif import golden
from qblif.network.bounds import after_reset, layer_bounds, merged_bounds
from qblif.network.intervals import Interval
from qblif.network.projections import Skip
from studies.random_networks import dense_chain
from tests.networks import population_at, weighted_at
from tests.reference import update


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reset_kind", ["soft", "hard"])
def test_no_input_leaves_the_bounds(seed, reset_kind):
    network = dense_chain(
        seed, sizes=(3, 3, 2), timesteps=2, coding="events", input_bits=1, burst_ceiling=2, reset=reset_kind
    )
    inputs = np.array(list(itertools.product((0, 1), repeat=6))).reshape(-1, 2, 3, 1, 1)
    result = golden.run(network, inputs)
    population = population_at(network, 0)
    bounds = layer_bounds(network, population)
    weights = weighted_at(network, 0).weights
    for subset in itertools.product((0, 1), repeat=3):
        partial = weights @ np.array(subset)
        assert ((bounds.partial.low <= partial) & (partial <= bounds.partial.high)).all()
    membranes = result.membranes[population.name].numpy().reshape(len(inputs), -1)
    assert (bounds.membrane.low <= membranes).all()
    assert (membranes <= bounds.membrane.high).all()
    logits = result.logits.numpy()
    readout = merged_bounds(network, network.readout).current
    assert ((readout.low <= logits) & (logits <= readout.high)).all()


@pytest.mark.parametrize("bias", [-500, 0, 500])
@pytest.mark.parametrize("reset_kind", ["soft", "hard"])
def test_no_timestep_leaves_the_bounds(reset_kind, bias):
    network = dense_chain(
        3, sizes=(3, 3, 2), timesteps=2, coding="events", input_bits=1, burst_ceiling=2, reset=reset_kind
    )
    population = population_at(network, 0)
    population = dataclasses.replace(population, bias=population.bias + bias)
    network = dataclasses.replace(network, nodes=(population,))
    bounds = layer_bounds(network, population)
    seen = []
    for inputs in itertools.product((0, 1), repeat=6):
        membrane = np.zeros(3, dtype=np.int64)
        for bursts in np.array(inputs).reshape(2, 3):
            current = ((weighted_at(network, 0).weights @ bursts) << population.exponent) + population.bias
            potential = (population.leak.multiplier * membrane >> population.leak.shift) + current
            seen.append(potential)
            membrane = np.array(
                [update(population, int(now), int(v))[1] for now, v in zip(current, membrane, strict=True)]
            )
    assert (bounds.potential.low <= np.min(seen, axis=0)).all()
    assert (np.max(seen, axis=0) <= bounds.potential.high).all()


def test_partial_sums_are_tight():
    network = dense_chain(9, sizes=(6, 4, 2), input_bits=2)
    bounds = layer_bounds(network, population_at(network, 0)).partial
    weights = weighted_at(network, 0).weights
    assert (bounds.low == 3 * np.where(weights < 0, weights, 0).sum(axis=1)).all()
    assert (bounds.high == 3 * np.where(weights > 0, weights, 0).sum(axis=1)).all()


@settings(max_examples=60, deadline=None)
@given(
    low=st.integers(-200, 200), span=st.integers(0, 300), ceiling=st.integers(1, 5),
    kind=st.sampled_from(["soft", "hard"]),
)  # fmt: skip
def test_membranes_after_reset_are_exact(low, span, ceiling, kind):
    population = population_at(dense_chain(1, burst_ceiling=ceiling, reset=kind), 0)
    potentials = np.arange(low, low + span + 1)
    membranes = np.array([update(population, potential, 0)[1] for potential in potentials.tolist()])
    bounds = after_reset(Interval(low=potentials[:1], high=potentials[-1:]), population)
    assert (bounds.low[0], bounds.high[0]) == (membranes.min(), membranes.max())


@pytest.mark.parametrize(("value", "bits"), [(0, 1), (-1, 1), (1, 2), (-2, 2), (127, 8), (128, 9), (-128, 8)])
def test_signed_bits(value, bits):
    assert Interval(low=np.array([value]), high=np.array([value])).bits == bits


@pytest.mark.parametrize(("first", "second"), [(-20, 7), (20, -7), (-3, -4), (5, 6)])
def test_identity_skips_of_either_sign_are_bounded(first, second):
    """Every combination of bursts, by brute force."""
    network = dense_chain(4, sizes=(2, 2, 2, 3), timesteps=1, input_bits=1, burst_ceiling=2)
    skips = [Skip(source=source, target="hidden_1", weight=weight) for source, weight in
             (("hidden_0", first), ("input", second))]  # fmt: skip
    network = dataclasses.replace(network, projections=(*network.projections, *skips))
    target, weights = population_at(network, 1), weighted_at(network, 1).weights
    bounds = layer_bounds(network, target).current
    seen = [
        ((weights @ np.array(hidden)) << target.exponent)
        + target.bias
        + first * np.array(hidden)
        + second * np.array(raw)
        for hidden in itertools.product(range(3), repeat=2)
        for raw in itertools.product(range(2), repeat=2)
    ]
    assert (bounds.low <= np.min(seen, axis=0)).all()
    assert (np.max(seen, axis=0) <= bounds.high).all()
    # Weights and skips do not know of each other: each is at its own extreme.
    loose = 2 * np.maximum(weights, 0).sum(axis=1) * 2**target.exponent + target.bias
    assert (bounds.high == loose + 2 * max(first, 0) + max(second, 0)).all()
    loose = 2 * np.minimum(weights, 0).sum(axis=1) * 2**target.exponent + target.bias
    assert (bounds.low == loose + 2 * min(first, 0) + min(second, 0)).all()


@pytest.mark.parametrize(
    ("sizes", "coding", "steps"), [((4, 3), "direct", 1), ((4, 3), "events", 3), ((4, 4, 3), "direct", 3)]
)
def test_a_readout_accumulates_every_timestep_that_differs(sizes, coding, steps):
    """A direct input is added up once and counted T times; the bias is that of all timesteps."""
    network = dense_chain(5, sizes=sizes, timesteps=3, coding=coding, input_bits=2)
    readout, weights = network.readout, weighted_at(network, -1).weights
    bounds = merged_bounds(network, readout)
    lowest, highest = (3 * part.sum(axis=1) for part in (np.minimum(weights, 0), np.maximum(weights, 0)))
    assert bounds.partial.low.tolist() == (steps * lowest).tolist()
    assert bounds.partial.high.tolist() == (steps * highest).tolist()
    assert bounds.bias.low.tolist() == bounds.bias.high.tolist() == (3 * readout.bias).tolist()
    assert bounds.current.low.tolist() == (3 * (lowest * 2**readout.exponent + readout.bias)).tolist()
    assert bounds.current.high.tolist() == (3 * (highest * 2**readout.exponent + readout.bias)).tolist()
