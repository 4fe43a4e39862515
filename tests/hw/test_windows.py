"""Networks of every kind of window, and of several projections into one population: every beat, and exact cycles."""

import pytest
from hypothesis import given, settings

from studies.plan_edits import plan_for
from tests.gen.planning.test_cycles import check as check_cycles
from tests.hw.test_top import RANDOM, SEEDS, check
from tests.networks import random_plan, random_shortcuts, random_windows

LONG = (3, 5, 8, 10)
"""Seeds of networks with shortcuts that take more than 10,000 cycles."""


def cases(windows: range, *shortcuts: int) -> list:
    """Kinds and seeds of networks; the long ones are for make test-slow."""
    marks = dict.fromkeys(LONG, pytest.mark.slow)
    found = [pytest.param(random_windows, seed) for seed in windows]
    return found + [pytest.param(random_shortcuts, seed, marks=marks.get(seed, ())) for seed in shortcuts]


@pytest.mark.parametrize(("make", "seed"), cases(range(8), 0, 1, 2, 3, 4, 5, 12, 13))
def test_every_beat_under_stalls(make, seed):
    network = make(seed)
    check(network, random_plan(network, seed), count=2)


@pytest.mark.parametrize(("make", "seed"), cases(range(8, 16), 6, 7, 8, 9, 10, 11, 14, 15))
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
