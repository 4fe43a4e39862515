"""Networks of every kind of window: every beat, and exact cycles."""

import pytest
from hypothesis import given, settings

from qblif.network.graph import Network
from studies.plan_edits import plan_for
from tests.gen.planning.test_cycles import check as check_cycles
from tests.hw.test_top import RANDOM, SEEDS, check
from tests.networks import random_plan, random_windows


@pytest.mark.parametrize("seed", range(8))
def test_random_windows_under_stalls(seed):
    network = random_windows(seed)
    check(network, random_plan(network, seed), count=2)


@pytest.mark.parametrize("seed", range(8, 16))
def test_cycles_of_random_windows_are_exact(seed):
    network = random_windows(seed)
    check_cycles(network, random_plan(network, seed), count=3)


def check_every_way(network: Network, seed: int) -> None:
    """Every beat and the cycles, under a planned or a random plan, with and without stalls."""
    plan = random_plan(network, seed) if seed % 2 else plan_for(network)
    check(network, plan, count=2, pauses=(0.0, 0.0) if seed % 4 < 2 else (0.3, 0.3))
    check_cycles(network, plan, count=2)


@pytest.mark.slow
@settings(max_examples=200, **RANDOM)
@given(seed=SEEDS)
def test_two_hundred_random_windows(seed):
    check_every_way(random_windows(seed), seed)
