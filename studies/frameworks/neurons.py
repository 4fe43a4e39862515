"""The neurons of other frameworks whose integer form is compared with them."""

import warnings
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import nn

from qblif.network.nodes import Leak
from snn.convert.neurons import Decay, NeuronForm

MODULES = {"snntorch": "snntorch", "spikingjelly": "spikingjelly.activation_based.neuron"}


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """A neuron of a framework, as data, so that it has a name where the framework is not installed.

    Attributes:
        options: what its constructor gets; ``levels`` is D of I-LIF.
        strength: factor of the currents, so that it fires in 10 to 60 % of the timesteps.
        grid_bits: the weights are multiples of threshold * strength * 2^-grid_bits.
    """

    framework: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    strength: float = 1.0
    grid_bits: int = 5

    @property
    def name(self) -> str:
        """As it would be written in Python, nearly."""
        shown = {name: getattr(value, "__name__", value) for name, value in self.options.items()}
        return f"{self.framework} {self.kind}({', '.join(f'{name}={value}' for name, value in shown.items())})"

    @property
    def threshold(self) -> float:
        """The threshold; 1 is the default of both frameworks."""
        return self.options.get("threshold", self.options.get("v_threshold", 1.0))

    def module(self) -> nn.Module:
        """A new module at rest."""
        options = {name: torch.tensor(one) if isinstance(one, tuple) else one for name, one in self.options.items()}
        if "levels" in options:
            surrogates = import_module("spikingjelly.activation_based.surrogate")
            options["surrogate_function"] = surrogates.MultiLevelSpikeCount(options.pop("levels"))
        with warnings.catch_warnings(action="ignore"):
            return getattr(import_module(MODULES[self.framework]), self.kind)(**options)


def snntorch(kind: str, strength: float = 1.0, **options: Any) -> Neuron:
    """A neuron of snnTorch."""
    return Neuron(framework="snntorch", kind=kind, options=options, strength=strength)


def spikingjelly(kind: str, strength: float = 1.0, grid_bits: int = 5, **options: Any) -> Neuron:
    """A neuron of SpikingJelly."""
    return Neuron(framework="spikingjelly", kind=kind, options=options, strength=strength, grid_bits=grid_bits)


def plif(strength: float, **options: Any) -> Neuron:
    """ParametricLIFNode."""
    return spikingjelly("ParametricLIFNode", strength, v_threshold=0.75, **options)


def ilif(tau: float, strength: float, levels: int) -> Neuron:
    """I-LIF; a fine grid makes exact halves rare."""
    return spikingjelly("ILIFNode", strength, 10, tau=tau, v_threshold=0.75, levels=levels)


ZERO: dict[str, Any] = {"reset_mechanism": "zero"}
SUBTRACT: dict[str, Any] = {"reset_mechanism": "subtract"}
AT_ONCE: dict[str, Any] = {"reset_delay": False}
RESETS = ((None, 1), (0.0, 1), (-0.75, 2))
"""Reset values, and how much more current a neuron needs to fire from there."""
DYADIC = (
    *(snntorch("Leaky", 0.5, beta=beta, threshold=0.75, **ZERO) for beta in (1.0, 0.5, 0.75)),
    *(snntorch("Leaky", 0.5, beta=beta, threshold=1.5, **ZERO, **AT_ONCE) for beta in (1.0, 0.5, 0.75)),
    *(snntorch("Leaky", 0.5, beta=beta, threshold=0.75, **SUBTRACT) for beta in (1.0, 0.5, 0.75)),
    *(
        snntorch("Synaptic", (1 - alpha) / 2, alpha=alpha, beta=beta, threshold=threshold, **reset)
        for reset, threshold in ((SUBTRACT, 0.75), (ZERO | AT_ONCE, 1.5))
        for alpha, beta in ((0.5, 1.0), (0.75, 0.5), (0.5, 0.75))
    ),
    *(spikingjelly("IFNode", more / 2, v_threshold=0.75, v_reset=reset, step_mode="m") for reset, more in RESETS),
    *(
        spikingjelly(
            "LIFNode",
            (tau if decay else 1) * more / 2,
            tau=tau,
            decay_input=decay,
            v_threshold=0.75,
            v_reset=reset,
        )
        for decay in (True, False)
        for reset, more in RESETS
        for tau in (2.0, 4.0)
    ),
    *(
        plif((2 if decay else 1) * more / 2, init_tau=2.0, decay_input=decay, v_reset=reset)
        for decay in (True, False)
        for reset, more in RESETS
    ),
    *(ilif(tau, strength, 4) for tau, strength in ((float("inf"), 1.0), (2.0, 1.0), (4.0, 1.0))),
    ilif(4 / 3, 1.0, 2),
)
"""Neurons whose decays are 1, 1/2, 3/4 or 1/4."""
GUARDED = (
    snntorch("Leaky", 0.5, beta=0.5, threshold=0.75, **SUBTRACT),
    snntorch("Synaptic", 0.125, alpha=0.75, beta=0.5, threshold=1.5, **ZERO, **AT_ONCE),
    spikingjelly("LIFNode", 0.5, tau=4.0, decay_input=False, v_threshold=0.75, v_reset=None),
)
"""Of the neurons above, those that need their guard bits most: they keep old currents, ever more divided."""
OTHER = (
    *(snntorch("Leaky", 0.5, beta=beta, **ZERO) for beta in (0.95, 0.9)),
    *(snntorch("Leaky", 0.5, beta=beta, **SUBTRACT) for beta in (0.95, 0.9)),
    snntorch("Synaptic", 0.0625, alpha=0.9, beta=0.95, **SUBTRACT),
    *(spikingjelly("LIFNode", 8.0, tau=20.0, v_reset=reset) for reset in (None, 0.0)),
    spikingjelly("LIFNode", 0.5, tau=10.0, decay_input=False),
    plif(2.0, init_tau=4.0),
)
REFUSED = (
    (snntorch("Leaky", beta=0.5, **SUBTRACT, **AT_ONCE), "subtracts twice in a row; train with reset_delay=True"),
    (snntorch("Synaptic", alpha=0.5, beta=0.5, **ZERO), "stays 0 for one more step; set reset_delay=False"),
    (snntorch("Synaptic", alpha=0.5, beta=0.5, **SUBTRACT, **AT_ONCE), "subtracts twice in a row"),
    (snntorch("Leaky", beta=0.5, reset_mechanism="none"), "'none' never resets"),
    (snntorch("Leaky", beta=0.0), "needs a beta above 0"),
    (snntorch("Leaky", beta=1.1, **ZERO), "beta makes the decay 1.1"),
    (snntorch("Leaky", beta=-0.1, **ZERO), "beta makes the decay -0.1"),
    (snntorch("Leaky", beta=float("nan"), **ZERO), "beta makes the decay nan"),
    (snntorch("Leaky", beta=0.999, **ZERO), "no fraction a/2^p"),
    (snntorch("Leaky", beta=(0.5, 0.75), **ZERO), "beta differs from neuron to neuron"),
    (snntorch("Leaky", beta=0.5, threshold=(0.5, 0.75), **ZERO), "threshold differs from neuron to neuron"),
    (snntorch("Leaky", beta=0.5, threshold=0.0, **ZERO), "threshold is 0"),
    (snntorch("Leaky", beta=0.5, threshold=-1.0, **ZERO), "threshold is -1"),
    (snntorch("Leaky", beta=0.5, threshold=float("nan"), **ZERO), "threshold is nan"),
    (snntorch("Leaky", beta=0.5, inhibition=True, **ZERO), "inhibition lets only one neuron"),
    (snntorch("Leaky", beta=0.5, graded_spikes_factor=0.5, **ZERO), "graded_spikes_factor is not 1"),
    (snntorch("Leaky", beta=0.5, state_quant=torch.round, **ZERO), "state_quant quantizes"),
    (snntorch("Leaky", beta=0.5, spike_grad=torch.sigmoid, **ZERO), "spike_grad does not make whole spikes"),
    (snntorch("Synaptic", alpha=1.5, beta=0.5, **SUBTRACT), "alpha makes the decay 1.5"),
    (snntorch("RLeaky", beta=0.5, linear_features=4), "take one of Leaky, Synaptic"),
    (snntorch("Lapicque", beta=0.5), "take one of Leaky, Synaptic"),
    (snntorch("Alpha", alpha=0.8, beta=0.5), "take one of Leaky, Synaptic"),
    (spikingjelly("LIFNode", v_reset=1.0), "v_threshold is 1; set it to a finite one above 1"),
    (spikingjelly("LIFNode", v_threshold=float("nan")), "v_threshold is nan"),
    (spikingjelly("LIFNode", v_threshold=-1.0, v_reset=None), "v_threshold is -1"),
    (spikingjelly("LIFNode", tau=1000.0), "no fraction a/2^p"),
    (spikingjelly("ILIFNode", levels=256), "max_spike_count 256 is not 1 to 255"),
    (spikingjelly("QIFNode"), "take one of IFNode, LIFNode"),
    (spikingjelly("EIFNode"), "take one of IFNode, LIFNode"),
    (spikingjelly("IzhikevichNode"), "take one of IFNode, LIFNode"),
    (spikingjelly("HalfThresholdIFNode"), "take one of IFNode, LIFNode"),
    (spikingjelly("TernaryIFNode"), "take one of IFNode, LIFNode"),
    (spikingjelly("CUBALIFNode"), "take one of IFNode, LIFNode"),
)
"""Neurons that are refused, and words of the message."""
FORCED = (
    (
        snntorch("Leaky", 0.5, beta=0.5, **SUBTRACT, **AT_ONCE),
        NeuronForm(scale=1.0, firing="exceeded", reset="soft", decay=Decay(beta=0.5, leak=Leak())),
    ),
    (
        snntorch("Synaptic", 0.25, alpha=0.5, beta=0.5, **ZERO),
        NeuronForm(
            scale=1.0,
            firing="exceeded",
            reset="hard",
            decay=Decay(beta=0.5, leak=Leak()),
            current_decay=Decay(beta=0.5, leak=Leak()),
        ),
    ),
)
"""Refused neurons, with the form that is nearest to them."""
