"""Networks of every kind of window, and of several projections into one population: every beat, and exact cycles."""

import pytest
from hypothesis import given, settings

from studies.plan_edits import plan_for
from tests.gen.planning.test_cycles import check as check_cycles
from tests.hw.test_top import RANDOM, SEEDS, check
from tests.networks import random_plan, random_shortcuts, random_windows


@pytest.mark.parametrize(
    ("make", "seed"), [(random_windows, seed) for seed in range(8)] + [(random_shortcuts, seed) for seed in range(6)]
)
def test_every_beat_under_stalls(make, seed):
    network = make(seed)
    check(network, random_plan(network, seed), count=2)


@pytest.mark.parametrize(
    ("make", "seed"),
    [(random_windows, seed) for seed in range(8, 16)] + [(random_shortcuts, seed) for seed in range(6, 12)],
)
def test_cycles_are_exact(make, seed):
    network = make(seed)
    check_cycles(network, random_plan(network, seed), count=3)


@pytest.mark.slow
@pytest.mark.parametrize("make", [random_windows, random_shortcuts])
@settings(max_examples=200, **RANDOM)
@given(seed=SEEDS)
def test_two_hundred_networks(make, seed):
    """Every beat and the cycles, under a planned or a random plan, with and without stalls."""
    network = make(seed)
    plan = random_plan(network, seed) if seed % 2 else plan_for(network)
    check(network, plan, count=2, pauses=(0.0, 0.0) if seed % 4 < 2 else (0.3, 0.3))
    check_cycles(network, plan, count=2)
