"""Networks of the whole family over time, under both schedules: every beat, every state, and exact cycles."""

import pytest
from hypothesis import given, settings

from hw.schedule import Schedule, needs_time_major
from studies.plan_edits import plan_for
from tests.gen.planning.test_cycles import check as check_cycles
from tests.hw.test_top import RANDOM, SEEDS, check
from tests.networks import random_convolutions, random_plan, random_temporal


@pytest.mark.parametrize("seed", range(24))
def test_every_beat_and_state_under_stalls(seed):
    network = random_temporal(seed)
    check(network, random_plan(network, seed), count=2)


@pytest.mark.parametrize("seed", range(24, 48))
def test_cycles_are_exact(seed):
    network = random_temporal(seed)
    check_cycles(network, random_plan(network, seed), count=3)


SHORT = (0, 2, 3, 4, 9, 10, 11, 12, 14, 15)
"""Seeds of networks that take at most 4,000 cycles."""
LONG = (1, 5, 6, 7)


@pytest.mark.parametrize("seed", [*SHORT, *(pytest.param(seed, marks=pytest.mark.slow) for seed in LONG)])
def test_feedforward_networks_run_time_major_too(seed):
    network = random_convolutions(seed)
    plan = random_plan(network, seed, "time_major")
    check(network, plan, count=2)
    check_cycles(network, plan, count=3)


@pytest.mark.slow
@settings(max_examples=300, **RANDOM)
@given(seed=SEEDS)
def test_three_hundred_networks(seed):
    """Every beat, every state and the cycles, under a planned or a random plan, with and without stalls."""
    network = random_temporal(seed)
    schedule: Schedule = "time_major" if seed % 3 or needs_time_major(network) else "position_major"
    plan = random_plan(network, seed, schedule) if seed % 2 else plan_for(network)
    check(network, plan, count=2, pauses=(0.0, 0.0) if seed % 4 < 2 else (0.3, 0.3))
    check_cycles(network, plan, count=2)
