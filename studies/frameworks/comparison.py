"""Spike decisions of a framework's own neurons against those of their integer form.

Every neuron gets random bursts through random weights. The framework's module gives its spikes, in float64 and in
float32; the golden model gives those of a network with the converted neuron.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qblif import golden
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Population, Readout
from qblif.network.projections import Dense
from snn.convert.neurons import GUARD_BITS, NeuronForm, neuron_form
from studies.frameworks.neurons import DYADIC, Neuron

INPUTS = 6
INPUT_BITS = 2
MOST_GRID_BITS = 12
"""Fraction bits of the weights where no power of two makes them whole: about those of a 16-bit weight."""
COARSE_GRID_BITS = 3
CASES_TRIED = 10
"""For small cases: a grid on which membranes often meet their threshold, and random ones of which one is taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A converted neuron with weights in front of it, and bursts.

    Attributes:
        network: ``neurons`` of the converted kind, and a readout that counts their spikes.
        bursts: input bursts, (batch, T, inputs, 1, 1).
        currents: what the framework's neurons get, (T, batch, neurons), float64.
    """

    network: Network
    bursts: IntArray
    currents: Tensor


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Counts of decisions: of all that were compared, of spikes above 0, of membranes exactly at a threshold, of those
    left out because a half was rounded the other way, and of differences from the framework."""

    decisions: int = 0
    fired: int = 0
    ties: int = 0
    excluded: int = 0
    different: int = 0
    different_float32: int = 0

    def plus(self, other: "Outcome") -> "Outcome":
        """The sums of both."""
        return Outcome(**{name: getattr(self, name) + getattr(other, name) for name in vars(self)})


def integer_network(
    form: NeuronForm, weights: NDArray[Any], bias: NDArray[Any], steps: int, guard_bits: int = GUARD_BITS
) -> Network:
    """One layer of converted neurons behind float weights (neurons, inputs), with guard bits below their grid."""
    scaled, shift = weights * form.factor, bias * form.factor
    both = np.append(scaled.ravel(), shift)
    exact = (bits for bits in range(1, MOST_GRID_BITS) if not (both * 2**bits % 1).any())
    grid = next(exact, MOST_GRID_BITS)
    integers = np.floor(scaled * 2**grid + 0.5).astype(np.int64)
    fraction_bits, count = grid + guard_bits, len(weights)
    population = Population(
        name="neurons",
        shape=(count, 1, 1),
        bias=np.floor(shift * 2**fraction_bits + 0.5).astype(np.int64),
        exponent=np.full(count, guard_bits),
        **form.neurons(fraction_bits),
    )
    nothing = np.zeros(count, dtype=np.int64)
    bits = int(np.abs(integers).max()).bit_length() + 1
    return Network(
        timesteps=steps,
        input=InputSpec(shape=(weights.shape[1], 1, 1), coding="events", bits=INPUT_BITS),
        nodes=(population,),
        projections=(
            Dense(source="input", target="neurons", weights=integers, weight_bits=bits),
            Dense(source="neurons", target="readout", weights=np.eye(count, dtype=np.int64), weight_bits=2),
        ),
        readout=Readout(fraction_bits=1, bias=nothing, exponent=nothing),
    )


def trial(
    neuron: Neuron,
    form: NeuronForm,
    seed: int,
    *,
    batch: int = 10,
    steps: int = 50,
    count: int = 20,
    guard_bits: int = GUARD_BITS,
) -> Trial:
    """Random weights on a grid of the neuron's threshold, and random bursts."""
    random = np.random.default_rng(seed)
    unit = neuron.threshold * neuron.strength * 2.0**-neuron.grid_bits
    size = 2**neuron.grid_bits
    weights = random.integers(-size * 5 // 16, size // 2, (count, INPUTS)) * unit
    bias = random.integers(-size // 4, size // 4, count) * unit
    bursts = random.integers(0, 2**INPUT_BITS, (batch, steps, INPUTS, 1, 1))
    currents = torch.from_numpy(bursts[..., 0, 0] @ weights.T + bias).transpose(0, 1)
    network = integer_network(form, weights, bias, steps, guard_bits)
    return Trial(network=network, bursts=bursts, currents=currents)


@torch.no_grad()
def framework_spikes(neuron: Neuron, currents: Tensor) -> Tensor:
    """What the framework's module sends for currents (T, batch, neurons), from rest, in their float type; int64."""
    module = neuron.module().to(currents.dtype)
    if getattr(module, "step_mode", "s") == "m":
        return module(currents).long()
    results = [module(current) for current in currents]
    return torch.stack([result[0] if isinstance(result, tuple) else result for result in results]).long()


def compare(neuron: Neuron, form: NeuronForm, decisions: int, guard_bits: int = GUARD_BITS) -> Outcome:
    """At least ``decisions`` spike decisions of the framework against those of the integer form."""
    total, seed, batch = Outcome(), 0, min(10, decisions // 1000)
    while total.decisions < decisions:
        seed += 1
        one = trial(neuron, form, seed, batch=batch, guard_bits=guard_bits)
        total = total.plus(compare_once(neuron, one, form))
    return total


def compare_once(neuron: Neuron, one: Trial, form: NeuronForm) -> Outcome:
    """The decisions of one trial. Where the framework rounds a half down and the form up, the rest of that neuron's
    run is left out, because its membrane differs from then on."""
    network = one.network
    bursts = golden.run(network, one.bursts).bursts["neurons"].flatten(2).transpose(0, 1)
    ties, down = at_threshold(network, one.bursts, form)
    used = ~(down.cumsum(0) > 0)
    unlike = [
        int(((framework_spikes(neuron, one.currents.to(dtype)) != bursts) & used).sum())
        for dtype in (torch.float64, torch.float32)
    ]
    return Outcome(
        decisions=int(used.sum()),
        fired=int(((bursts > 0) & used).sum()),
        ties=int((ties & used).sum()),
        excluded=int((~used).sum()),
        different=unlike[0],
        different_float32=unlike[1],
    )


def at_threshold(network: Network, bursts: IntArray, form: NeuronForm) -> tuple[Tensor, Tensor]:
    """Which membranes are exactly at the threshold of a spike, and at which of them rounding half to even would give a
    spike less; (T, batch, neurons)."""
    (population,) = network.populations
    currents = golden.currents(network, population, {"input": torch.from_numpy(bursts)})
    potential = torch.stack([one.potential for one in golden.advance(currents, population, network.timesteps)])
    strict = form.firing.startswith("exceeded")
    first = 2**population.fraction_bits - population.rounding_constant - strict
    beyond = (potential - first).flatten(2)
    number = (beyond >> population.fraction_bits) + 1
    ties = (beyond % 2**population.fraction_bits == 0) & (number >= 1) & (number <= population.burst_ceiling)
    return ties, ties & (number % 2 == 1) & (form.firing == "nearest")


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameworkCase:
    """A small network and what the framework's own neurons send in it.

    Attributes:
        bursts: input bursts, (T, inputs, 1, 1).
        spikes: of ``neurons``, (T, neurons, 1, 1).
        ties: membranes exactly at a threshold.
    """

    name: str
    network: Network
    bursts: IntArray
    spikes: IntArray
    ties: int


def framework_case(neuron: Neuron) -> FrameworkCase:
    """A case of 8 neurons and 20 timesteps, without halves that the framework rounds the other way; of several the one
    with the most membranes exactly at a threshold, where the rounding constant matters."""
    form = neuron_form(neuron.module())
    coarse = neuron if form.firing == "nearest" else replace(neuron, grid_bits=COARSE_GRID_BITS)
    best, most = None, -1
    for seed in range(CASES_TRIED):
        one = trial(coarse, form, seed, batch=1, steps=20, count=8)
        ties, down = at_threshold(one.network, one.bursts, form)
        if not down.any() and int(ties.sum()) > most:
            best, most = one, int(ties.sum())
    assert best is not None
    spikes = framework_spikes(neuron, best.currents)[:, 0, :, None, None].numpy()
    return FrameworkCase(name=neuron.name, network=best.network, bursts=best.bursts[0], spikes=spikes, ties=most)


def framework_cases() -> Iterator[FrameworkCase]:
    """A case for every neuron whose decay is a small fraction; for models of hardware, whose expected bursts then come
    from the framework."""
    return map(framework_case, DYADIC)
