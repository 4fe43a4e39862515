import math

import pytest
import torch

from qblif.network.nodes import Leak
from snn.neuron import QBLIF


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("leak", [Leak(), Leak(multiplier=3, shift=2), Leak(multiplier=1, shift=0)])
def test_training_form_step_by_step(reset, leak):
    neuron = QBLIF(2, leak=leak, reset=reset)
    current = torch.randn(5, 4, 7, generator=torch.Generator().manual_seed(1))
    counts = neuron(current, 5)
    scale = float(neuron.scale.detach())
    assert scale == pytest.approx(2 * float(current.abs().mean()) / math.sqrt(3), rel=1e-4)
    for batch in range(4):
        for index in range(7):
            membrane = 0.0
            for t in range(5):
                potential = leak.multiplier / 2**leak.shift * membrane + float(current[t, batch, index])
                count = min(max(math.floor(potential / scale + 0.5), 0), 3)
                assert int(counts[t, batch, index]) == count
                membrane = potential - scale * count if reset == "soft" else (0.0 if count else potential)


def test_a_current_without_time_is_used_at_every_timestep():
    neuron = QBLIF(2)
    current = torch.randn(1, 3, 6)
    assert (neuron(current, 4) == neuron(current.expand(4, -1, -1), 4)).all()


def test_the_scale_learns_and_a_fixed_one_does_not():
    for learn in (True, False):
        neuron = QBLIF(2, learn_scale=learn)
        counts = neuron(torch.randn(1, 3, 6), 2)
        assert (neuron.rho.requires_grad, counts.requires_grad) == (learn, learn)


@pytest.mark.parametrize("threshold", [0.25, 1.0])
def test_a_threshold_moves_the_bursts_and_not_the_reset(threshold):
    neuron = QBLIF(2, threshold=threshold)
    current = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(2))
    counts = neuron(current, 4)
    scale = float(neuron.scale.detach())
    for batch in range(3):
        for index in range(6):
            membrane = 0.0
            for t in range(4):
                potential = membrane / 2 + float(current[t, batch, index])
                count = sum(potential / scale >= k + threshold for k in range(3))
                assert int(counts[t, batch, index]) == count
                membrane = potential - scale * count
