"""Functional coverage of one network, counted in the bursts, membranes and logits of a run."""

import numpy as np
import torch

from hw.configuration import TopConfig
from hw.coverage import ComputedRun, CoverPoint
from qblif.golden import Activations, advance, currents
from qblif.network.checks import IntArray
from qblif.network.graph import Network, burst_range


def cover(config: TopConfig, network: Network, activations: Activations) -> list[CoverPoint]:
    """All cover points except those about the flow of streams, with the hits of each inference."""
    run = computed(network, activations)
    points = [extremes(network, run.bursts[network.input.name])]
    points += [burst_values(network, name, values) for name, values in run.bursts.items()]
    return points + [point for stage in config.stages for point in stage.coverage(run)]


def computed(network: Network, activations: Activations) -> ComputedRun:
    """A run of the golden model, with potentials and states after every timestep."""
    potentials, membranes, synaptics = {}, {}, {}
    for population in network.populations:
        name = population.name
        current = currents(network, population, activations.bursts)
        steps = list(advance(current, population, network.timesteps))
        potentials[name] = torch.stack([step.potential for step in steps], dim=1).numpy()
        membranes[name] = torch.stack([step.membrane for step in steps], dim=1).numpy()
        if population.current_leak is not None:
            synaptics[name] = torch.stack([step.state[:, 1] for step in steps], dim=1).numpy()
    return ComputedRun(
        network=network,
        bursts={name: values.numpy() for name, values in activations.bursts.items()},
        potentials=potentials,
        membranes=membranes,
        synaptics=synaptics,
        logits=activations.logits.numpy(),
    )


def extremes(network: Network, bursts: IntArray) -> CoverPoint:
    """Whether an input was silent, and whether one had every burst at its ceiling."""
    flat = bursts.reshape(len(bursts), -1)
    hits = np.stack([(flat == 0).all(axis=1), (flat == network.input.burst_ceiling).all(axis=1)], axis=1)
    bins = ("silent", "every burst at its ceiling")
    return CoverPoint(place=network.input.name, kind="extremes", bins=bins, hits=hits.astype(np.int64))


def burst_values(network: Network, name: str, bursts: IntArray) -> CoverPoint:
    """Every burst value of a node at every timestep that its stream carries."""
    steps, ceiling = network.steps(name), network.burst_ceiling(name)
    values = bursts.reshape(len(bursts), steps, -1)
    hits = np.stack([(values == burst).sum(axis=2) for burst in range(ceiling + 1)], axis=2)
    bins, unreachable = [], {}
    for step in range(steps):
        low, high = burst_range(network, name, first_step=step == 0)
        for burst in range(ceiling + 1):
            bins.append(f"{burst} at t = {step + 1}" if steps > 1 else str(burst))
            if not low <= burst <= high:
                unreachable[bins[-1]] = f"bursts are {low} to {high} for every input, by interval analysis"
    return CoverPoint(
        place=name, kind="bursts", bins=tuple(bins), hits=hits.reshape(len(bursts), -1), unreachable=unreachable
    )
