"""Streams that go on for very long: nothing wraps, and nothing drifts."""

from dataclasses import replace

import numpy as np
import pytest

from hw.configure import configure
from qblif.golden import GoldenModel
from qblif.network.bounds import layer_bounds
from sim.inferences import FULL_SPEED, inferences_of, simulate
from sim.simulator import build_simulation
from studies.plan_edits import plan_for
from tests.networks import recurrent_stream

FRAMES = 1_000_000
SIMULATED = 10_000
BATCH = 50


@pytest.mark.slow
@pytest.mark.parametrize("first_frame", range(0, FRAMES, FRAMES // 4))
def test_a_million_frames_stay_inside_the_bounds(first_frame):
    """Random frames whose density changes slowly, so that states reach both of their ends."""
    network, random = recurrent_stream(), np.random.default_rng(first_frame)
    model, bounds = GoldenModel(network), {t.name: layer_bounds(network, t) for t in network.targets}
    for block in range(FRAMES // 4 // BATCH):
        density = (1 + np.sin(block / 40)) / 2
        frames = random.integers(0, 4, (1, BATCH, 6, 1, 1)) * (random.random((1, BATCH, 6, 1, 1)) < density)
        known = model.advance(frames)
        for name, states in known.states.items():
            allowed = (bounds[name].membrane.hull, bounds[name].synaptic.hull)
            for field, interval in enumerate(allowed):
                values = states[:, :, field]
                assert int(interval.low[0]) <= int(values.min())
                assert int(values.max()) <= int(interval.high[0])
        sums = bounds["readout"].membrane.hull
        assert int(sums.low[0]) <= int(known.sums.min())
        assert int(known.sums.max()) <= int(sums.high[0])


@pytest.mark.slow
def test_ten_thousand_frames_through_the_hardware(tmp_path):
    network = replace(recurrent_stream(), timesteps=100)
    config = configure(network, plan_for(network))
    random = np.random.default_rng(1)
    shape = (SIMULATED // 100, 100, 6, 1, 1)
    density = (1 + np.sin(np.arange(SIMULATED) / 700)).reshape(*shape[:2], 1, 1, 1) / 2
    inferences = inferences_of(network, random.integers(0, 4, shape) * (random.random(shape) < density))
    assert inferences.count == SIMULATED
    simulation = build_simulation(config, "verilator", tmp_path, waves=False)
    outcome = simulate(config, simulation, inferences, FULL_SPEED)
    assert (outcome.comparison.mismatches, len(outcome.comparison.classes)) == (0, SIMULATED)
