"""Functional coverage of one network, counted in the bursts, membranes and logits of a run."""

import numpy as np
import torch

from hw.configuration import TopConfig
from hw.coverage import CoverPoint, total
from hw.neurons.config import NeuronConfig
from qblif.golden import Activations, advance, currents
from qblif.network.bounds import Interval, LayerBounds, layer_bounds
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.network.nodes import Pooling, Population


def cover(config: TopConfig, network: Network, activations: Activations) -> list[CoverPoint]:
    """All cover points except those about the flow of streams, with the hits of each inference."""
    bursts = {name: values.numpy() for name, values in activations.bursts.items()}
    points = [extremes(network, bursts[network.input.name])]
    points += [burst_values(network, name, values) for name, values in bursts.items()]
    for name, neurons, _ in config.populations:
        population = network.node(name)
        assert isinstance(population, Population)
        points += neuron_points(network, population, neurons, activations)
    for stage in config.stages:
        points += stage.coverage(network, bursts, lambda node: burst_range(network, node)[1])
    return [*points, *class_points(network, activations)]


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


def burst_range(network: Network, name: str, *, first_step: bool = False) -> tuple[int, int]:
    """Bounds of the bursts of a node; with ``first_step``, only of those of the first timestep."""
    node = network.node(name)
    if isinstance(node, Population):
        bounds = layer_bounds(network, node)
        bursts = bursts_of(bounds.current if first_step else bounds.potential, node)
        return int(bursts.low.min()), int(bursts.high.max())
    if isinstance(node, Pooling):
        low, high = burst_range(network, node.source, first_step=first_step)
        places = node.window.area if node.kind == "sum" else 1
        # Padding is always burst 0.
        return (0 if node.window.padded else low * places), high * places
    return 0, node.burst_ceiling


def bursts_of(potential: Interval, population: Population) -> Interval:
    """Bounds of the bursts of every channel."""
    half, fraction = 1 << population.fraction_bits - 1, population.fraction_bits
    return Interval(
        low=np.clip((potential.low + half) >> fraction, 0, population.burst_ceiling),
        high=np.clip((potential.high + half) >> fraction, 0, population.burst_ceiling),
    )


def neuron_points(
    network: Network, population: Population, neurons: NeuronConfig, activations: Activations
) -> list[CoverPoint]:
    """Cover points of one population: clamps, membranes, and which channels and folds fired."""
    name, bounds = population.name, layer_bounds(network, population)
    half, unit = 1 << population.fraction_bits - 1, 1 << population.fraction_bits
    saturated = population.burst_ceiling * unit + half
    steps = list(advance(currents(network, population, activations.bursts), population, network.timesteps))
    potentials = torch.stack([potential for potential, _, _ in steps], dim=1).numpy()
    clamped = np.stack([total(potentials < -half), total(potentials >= saturated)], axis=1)
    fired = (activations.bursts[name].numpy() > 0).sum(axis=(1, 3, 4))
    dead = bursts_of(bounds.potential, population).high == 0
    channels = tuple(str(channel) for channel in range(population.shape[0]))
    silent = dict.fromkeys(np.array(channels)[dead], "its bursts are 0 for every input, by interval analysis")
    folds = np.arange(len(channels)) // neurons.lanes
    points = [
        CoverPoint(
            place=name,
            kind="clamps",
            bins=("at 0", "at K"),
            hits=clamped,
            unreachable=unclamped(bounds, -half, saturated),
        ),
        CoverPoint(place=name, kind="channels", bins=channels, hits=fired, unreachable=silent),
        CoverPoint(
            place=name,
            kind="folds",
            bins=tuple(str(fold) for fold in range(neurons.folds)),
            hits=np.stack([fired[:, folds == fold].sum(axis=1) for fold in range(neurons.folds)], axis=1),
            unreachable={
                str(fold): "none of its channels can fire" for fold in range(neurons.folds) if dead[folds == fold].all()
            },
        ),
        membrane_signs(name, "last membranes", activations.membranes[name].numpy(), bounds),
    ]
    if len(steps) > 1 and population.leak.multiplier:
        carried = torch.stack([membrane for _, _, membrane in steps[:-1]], dim=1).numpy()
        points.append(membrane_signs(name, "carried membranes", carried, bounds))
    return points


def unclamped(bounds: LayerBounds, lowest: int, saturated: int) -> dict[str, str]:
    """The clamps that no potential can reach."""
    low, high = int(bounds.potential.low.min()), int(bounds.potential.high.max())
    reason = f"potentials are {low} to {high} for every input, by interval analysis"
    return {name: reason for name, needed in (("at 0", low < lowest), ("at K", high >= saturated)) if not needed}


def membrane_signs(name: str, kind: str, membranes: IntArray, bounds: LayerBounds) -> CoverPoint:
    """Negative and positive membranes: those carried into the next timestep, or those left after an inference."""
    low, high = int(bounds.membrane.low.min()), int(bounds.membrane.high.max())
    reason = f"membranes are {low} to {high} for every input, by interval analysis"
    return CoverPoint(
        place=name,
        kind=kind,
        bins=("negative", "positive"),
        hits=np.stack([total(membranes < 0), total(membranes > 0)], axis=1),
        unreachable={sign: reason for sign, there in (("negative", low < 0), ("positive", high > 0)) if not there},
    )


def class_points(network: Network, activations: Activations) -> list[CoverPoint]:
    """Which class won, and whether another class had the same logit."""
    logits = activations.logits.numpy()
    classes = np.arange(logits.shape[1])
    won = activations.classes.numpy()[:, np.newaxis] == classes
    tied = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1) > 1
    bounds = layer_bounds(network, network.readout).current
    losers = {
        str(label): "another class's logit is larger for every input, by interval analysis"
        for label in classes
        if bounds.high[label] < bounds.low.max()
    }
    return [
        CoverPoint(
            place="readout",
            kind="class",
            bins=tuple(str(label) for label in classes),
            hits=won.astype(np.int64),
            unreachable=losers,
        ),
        CoverPoint(
            place="readout",
            kind="first place",
            bins=("alone", "tied"),
            hits=np.stack([~tied, tied], 1).astype(np.int64),
        ),
    ]
