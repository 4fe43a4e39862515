"""Inputs that bring a network's hardware into many situations: extremes, noise, and a search with the golden model."""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from hw.configuration import TopConfig
from hw.coverage import CoverPoint
from hw.engines.event.config import ProjectionConfig
from hw.engines.event.coverage import beats_of_windows
from qblif import golden
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.network.nodes import Pooling, Population
from sim.cover_points import cover
from sim.coverage import merge

DENSITIES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
NOISE_EACH = 32
BATCH = 50
PARENTS = 30
CHILDREN = 100
GENERATIONS = 100
LARGEST_PATCH = 8

Objective = Callable[[IntArray], IntArray]
"""The distance of each input from a situation; 0 or less means that the situation is reached."""


def extremes(network: Network) -> IntArray:
    """Silence, every burst at its ceiling, silence again, two checkerboards, and each corner alone."""
    shape, ceiling = (network.steps("input"), *network.input.shape), network.input.burst_ceiling
    full = np.full(shape, ceiling, dtype=np.int64)
    odd = np.indices(shape[2:]).sum(axis=0) % 2
    inputs = [0 * full, full, 0 * full, full * odd, full * (1 - odd)]
    for row in (0, -1):
        for column in (0, -1):
            corner = np.zeros_like(full)
            corner[..., row, column] = ceiling
            inputs.append(corner)
    return np.stack(inputs)


def noise(network: Network, seed: int) -> IntArray:
    """Random bursts, in densities from 1 % to 100 %."""
    random = np.random.default_rng(seed)
    shape = (NOISE_EACH, network.steps("input"), *network.input.shape)
    parts = []
    for density in DENSITIES:
        bursts = random.integers(1, network.input.burst_ceiling + 1, shape)
        parts.append(np.where(random.random(shape) < density, bursts, 0))
    return np.concatenate(parts)


def race(network: Network) -> Objective:
    """The distance between the two largest logits."""

    def apart(inputs: IntArray) -> IntArray:
        largest = np.sort(golden.run(network, inputs).logits.numpy(), axis=1)
        return largest[:, -1] - largest[:, -2]

    return apart


def silence(network: Network, projection: ProjectionConfig) -> Objective:
    """How far the neurons that a layer reads are above the firing level, summed over its quietest accumulation."""

    def excess(inputs: IntArray) -> IntArray:
        known = golden.run(network, inputs).bursts
        above = above_firing(network, projection.source, known).numpy()
        return beats_of_windows(above, projection).sum(axis=-1).reshape(len(inputs), -1).min(axis=1)

    return excess


def above_firing(network: Network, name: str, bursts: dict[str, Tensor]) -> Tensor:
    """How far every potential of a node is above the largest that does not fire, at least 0; shaped as its bursts."""
    node = network.node(name)
    if isinstance(node, Pooling):
        return golden.pool(above_firing(network, node.source, bursts), node)
    if not isinstance(node, Population):
        return bursts[name]
    current = golden.currents(network, node, bursts)
    potentials = [step.potential for step in golden.advance(current, node, network.timesteps)]
    return (torch.stack(potentials, dim=1) - (1 << node.fraction_bits) + node.rounding_constant + 1).clamp(min=0)


def search(network: Network, start: IntArray, objective: Objective, seed: int) -> IntArray:
    """The best input that random changes of the inputs ``start`` lead to: (1, steps, C, H, W)."""
    random = np.random.default_rng(seed)
    parents, distances = start, objective(start)
    for _ in range(GENERATIONS):
        best = np.argsort(distances, kind="stable")[:PARENTS]
        parents, distances = parents[best], distances[best]
        if distances[0] <= 0:
            break
        children = np.stack(
            [changed(parents[pick], network, random) for pick in random.integers(len(parents), size=CHILDREN)]
        )
        parents = np.concatenate([parents, children])
        distances = np.concatenate([distances, objective(children)])
    return parents[distances.argmin()][np.newaxis]


def changed(bursts: IntArray, network: Network, random: np.random.Generator) -> IntArray:
    """One input in which a patch is redrawn, or set to one value."""
    height, width = bursts.shape[2:]
    top, left, size = random.integers(height), random.integers(width), random.integers(1, LARGEST_PATCH)
    patch = np.s_[..., top : top + size, left : left + size]
    result, ceiling = bursts.copy(), network.input.burst_ceiling
    shape = result[patch].shape if random.random() < 0.5 else (1,)
    result[patch] = random.integers(0, ceiling + 1, shape)
    return result


def expected(config: TopConfig, network: Network, inputs: IntArray) -> list[CoverPoint]:
    """The coverage of ``inputs`` that the golden model predicts."""
    batches = [inputs[start : start + BATCH] for start in range(0, len(inputs), BATCH)]
    return merge([cover(config, network, golden.run(network, batch)) for batch in batches])


def choose(points: Sequence[CoverPoint], first: int) -> list[int]:
    """The ``first`` inputs, and then, greedily, those of the others that hit most of the missing bins."""
    hit = np.concatenate([point.hits > 0 for point in points], axis=1)
    missing = hit.any(axis=0) & ~hit[:first].any(axis=0)
    chosen = list(range(first))
    while missing.any():
        chosen.append(int((hit & missing).sum(axis=1).argmax()))
        missing &= ~hit[chosen[-1]]
    return chosen


def stimuli(config: TopConfig, network: Network, samples: IntArray, first: int, seed: int) -> IntArray:
    """The inputs to simulate: extremes, the ``first`` samples, and others that cover more of the network.

    Args:
        config: the hardware.
        network: its network.
        samples: bursts of real inputs, (count, steps, C, H, W); may be empty.
        first: number of samples that are always simulated, whatever they cover.
        seed: seed of noise and search.
    """
    always = np.concatenate([extremes(network), samples[:first]])
    pool = np.concatenate([always, samples[first:], noise(network, seed)])
    open_points = {(point.place, point.kind): point.holes for point in expected(config, network, pool)}
    found = []
    if open_points["readout", "first place"]:
        found.append(search(network, pool, race(network), seed))
    for layer in config.layers:
        if "sum of nothing" in open_points[layer.name, "beats"]:
            found.append(search(network, pool, silence(network, cast(ProjectionConfig, layer.engines[0])), seed))
    pool = np.concatenate([pool, *found])
    return pool[choose(expected(config, network, pool), len(always))]
