"""The LIF family against the frameworks that it comes from, decision by decision, where these are installed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from qblif.network.nodes import Leak
from snn.neuron import LIF, SynapticLIF

STEPS = 40
BETA, ALPHA = Leak(multiplier=3, shift=2), Leak(multiplier=1, shift=1)
GRID = 2.0**-4


def currents() -> Tensor:
    """(T, batch, neurons) on a grid that thresholds are on, so that potentials often just touch them."""
    generator = torch.Generator().manual_seed(9)
    return torch.randint(-12, 25, (STEPS, 6, 50), generator=generator).double() * GRID


def snntorch(kind: str, **options: Any) -> Callable[[Tensor], Tensor]:
    module = pytest.importorskip("snntorch")

    def run(current: Tensor) -> Tensor:
        neuron = getattr(module, kind)(**options)
        states = [torch.zeros_like(current[0])] * (1 if kind == "Leaky" else 2)
        spikes = []
        for arriving in current:
            spike, *states = neuron(arriving, *states)
            spikes.append(spike)
        return torch.stack(spikes)

    return run


def spikingjelly(kind: str, **options: Any) -> Callable[[Tensor], Tensor]:
    module = pytest.importorskip("spikingjelly.activation_based.neuron")

    def run(current: Tensor) -> Tensor:
        neuron = getattr(module, kind)(step_mode="m", **options)
        spikes: Tensor = neuron(current)
        return spikes

    return run


KEEPS = Leak(multiplier=1, shift=0)
CASES: dict[str, tuple[Callable[[], Callable[[Tensor], Tensor]], Callable[[], LIF]]] = {
    "snnTorch Leaky, zero": (
        lambda: snntorch("Leaky", beta=0.75, threshold=1.0, reset_mechanism="zero"),
        lambda: LIF(1.0, leak=BETA, reset="hard", fires_at="above"),
    ),
    "snnTorch Leaky, subtract": (
        lambda: snntorch("Leaky", beta=0.75, threshold=1.5, reset_mechanism="subtract"),
        lambda: LIF(2.0, leak=BETA, threshold=0.75, fires_at="above"),
    ),
    "snnTorch Synaptic, subtract": (
        lambda: snntorch("Synaptic", alpha=0.5, beta=0.75, threshold=1.5, reset_mechanism="subtract"),
        lambda: SynapticLIF(2.0, leak=BETA, current_leak=ALPHA, threshold=0.75, fires_at="above"),
    ),
    "SpikingJelly IF, soft": (
        lambda: spikingjelly("IFNode", v_threshold=1.0, v_reset=None),
        lambda: LIF(1.0, leak=KEEPS),
    ),
    "SpikingJelly IF, hard": (
        lambda: spikingjelly("IFNode", v_threshold=1.0, v_reset=0.0),
        lambda: LIF(1.0, leak=KEEPS, reset="hard"),
    ),
    "SpikingJelly LIF, soft": (
        lambda: spikingjelly("LIFNode", tau=4.0, decay_input=False, v_threshold=1.0, v_reset=None),
        lambda: LIF(1.0, leak=BETA),
    ),
    "SpikingJelly LIF, hard": (
        lambda: spikingjelly("LIFNode", tau=4.0, decay_input=False, v_threshold=1.0, v_reset=0.0),
        lambda: LIF(1.0, leak=BETA, reset="hard"),
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_every_spike_is_the_frameworks(name):
    """In the training form; the integer form is held against golden and a plain loop elsewhere."""
    theirs, ours = CASES[name]
    expected = theirs()(currents())
    spikes = ours().double()(currents(), STEPS)
    assert 0.05 < float(expected.mean()) < 0.95
    assert torch.equal(spikes.double(), expected.double())
