"""Networks over time through cocotb: every beat and state of windows and streams, however they are offered."""

import numpy as np
import pytest

from gen.planning.cycles import predict
from hw.configure import configure
from sim.inferences import FULL_SPEED, ONE_BY_ONE, STALLED, exactly, inferences_of, simulate
from sim.simulator import build_simulation
from tests.networks import random_bursts, random_plan, random_temporal

MODES = (FULL_SPEED, STALLED, ONE_BY_ONE)
RECURRENT_STREAM, RECURRENT_WINDOW = 45, 11


@pytest.mark.parametrize("seed", [RECURRENT_WINDOW, RECURRENT_STREAM])
def test_every_beat_and_state(seed, tmp_path):
    network = random_temporal(seed)
    assert any(projection.recurrent for projection in network.projections)
    config = configure(network, random_plan(network, seed))
    inferences = inferences_of(network, random_bursts(network, 6, seed))
    simulation = build_simulation(config, "verilator", tmp_path, waves=False)
    outcomes = [simulate(config, simulation, inferences, mode) for mode in MODES]
    assert [outcome.comparison.mismatches for outcome in outcomes] == [0, 0, 0]
    known = {name: values.numpy() for name, values in inferences.golden.bursts.items()}
    assert exactly(predict(config, known), outcomes[0], loops=bool(config.loops))

    changed = inferences.golden.states[network.populations[-1].name]
    changed[-1, -1, -1] += 1
    wrong = simulate(config, simulation, inferences, FULL_SPEED).comparison
    assert wrong.mismatches == np.prod(changed.shape[3:])
    assert wrong.first.startswith(f"states of {network.populations[-1].name}: inference {wrong.first_inference}")
