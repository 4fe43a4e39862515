"""The golden model: the integer form in PyTorch, batched and exact, with access to every intermediate result.

Sums of products are float64 matrix products, with convolutions unfolded first. Every operand is an integer, and a
bound below 2^53 is checked, so every result is exact. Everything else is int64.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from qblif.network.checks import IntArray, require
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.network.nodes import Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Projection, Skip
from qblif.network.references import ReferenceVectors
from qblif.network.window import Window

EXACT = 2**53
BATCH = 500
COLUMNS_AT_ONCE = 2**23
"""Elements of unfolded windows that are in memory at a time, unless a single timestep has more."""
MOST_COLUMNS = 2**24
MOST_VALUES = 2**21
MOST_PRODUCTS = 2**33
"""Limits of a replay, beyond any board: windows of one timestep, and bursts and products of one inference. A file at
these limits takes seconds and a few hundred megabytes."""
REPLAYED_PRODUCTS = 2**33
REPLAYED_VALUES = 2**22
"""Limits of all references together; of larger networks fewer references are replayed, but at least one."""
VALUES_AT_ONCE = 2**21
"""Bursts in memory at a time, for a batch of several inferences."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Activations:
    """Everything that a network computes for a batch; int64 tensors.

    Attributes:
        bursts: per node, (batch, steps, C, H, W).
        membranes: per population, V after the last timestep, (batch, C, H, W).
        logits: L, (batch, classes).
    """

    bursts: dict[str, Tensor]
    membranes: dict[str, Tensor]
    logits: Tensor

    @property
    def classes(self) -> Tensor:
        """First class with the largest logit, (batch,)."""
        return self.logits.argmax(dim=1)


def run(network: Network, bursts: IntArray) -> Activations:
    """Run the integer form.

    Args:
        network: the network.
        bursts: input bursts as :func:`qblif.network.coding.encode` gives them, (batch, steps, C, H, W).

    Raises:
        OverflowError: a sum could leave the range in which float64 is exact.
    """
    spikes: dict[str, Tensor] = {network.input.name: torch.from_numpy(np.array(bursts))}
    membranes: dict[str, Tensor] = {}
    for node in network.nodes:
        if isinstance(node, Pooling):
            spikes[node.name] = pool(spikes[node.source], node)
        else:
            spikes[node.name], membranes[node.name] = fire(currents(network, node, spikes), node, network.timesteps)
    total = currents(network, network.readout, spikes)
    logits = total.sum(dim=1) * (network.timesteps // total.shape[1])
    return Activations(bursts=spikes, membranes=membranes, logits=logits.flatten(1))


def replay(network: Network, references: ReferenceVectors) -> IntArray:
    """Logits of the references, (count, classes), by the golden model; for very large networks only of the first ones.

    Raises:
        NetworkError: one inference takes more time or memory than the limits above allow.
    """
    values, products = size(network)
    require(values <= MOST_VALUES, f"{values:,} bursts per inference are more than {MOST_VALUES:,}")
    require(products <= MOST_PRODUCTS, f"{products:,} additions per inference are more than {MOST_PRODUCTS:,}")
    replayed = max(1, min(REPLAYED_PRODUCTS // products, REPLAYED_VALUES // values))
    samples, count = references.samples[:replayed], at_once(network)
    parts = [
        run(network, encode(samples[start : start + count], network.input)).logits.numpy()
        for start in range(0, len(samples), count)
    ]
    return np.concatenate([np.zeros((0, len(network.readout.bias)), dtype=np.int64), *parts])


def at_once(network: Network) -> int:
    """Number of inferences whose activations fit into a few hundred megabytes."""
    return max(1, min(BATCH, VALUES_AT_ONCE // size(network)[0]))


def size(network: Network) -> tuple[int, int]:
    """Bursts, and additions of weighted or pooled bursts, in one inference; raises NetworkError if windows are too
    large."""
    values = sum(math.prod(network.shape(node.name)) * network.timesteps for node in (network.input, *network.nodes))
    products = 1
    for node in network.nodes:
        if isinstance(node, Pooling):
            products += math.prod(network.shape(node.name)) * node.window.area * network.steps(node.name)
    for projection in network.projections:
        if not isinstance(projection, Skip):
            target = network.readout if projection.target == Readout.name else network.node(projection.target)
            assert not isinstance(target, Pooling)
            windows = projection.weights[0].size * target.shape[1] * target.shape[2]
            unfolded = windows * projection.groups
            require(unfolded <= MOST_COLUMNS, f"{projection.target}: windows of {unfolded:,} bursts are too large")
            products += windows * target.shape[0] * network.steps(projection.source)
    return values, products


def currents(network: Network, target: Population | Readout, spikes: dict[str, Tensor]) -> Tensor:
    """``(sum << e) + bias`` plus skips, (batch, steps, C, H, W); steps is 1 if nothing depends on time."""
    sums, skipped = [], []
    for projection in network.projections_into(target.name):
        if isinstance(projection, Skip):
            skipped.append(spikes[projection.source] * projection.weight)
        else:
            sums.append(project(projection, spikes[projection.source], network.burst_ceiling(projection.source)))
    steps = max(part.shape[1] for part in (*sums, *skipped))
    total = torch.stack([part.expand(-1, steps, -1, -1, -1) for part in sums]).sum(0)
    exponent, bias = (torch.from_numpy(np.array(v)).view(-1, 1, 1) for v in (target.exponent, target.bias))
    result = (total << exponent) + bias
    for part in skipped:
        result = result + part
    return result


def project(projection: Dense | Conv2d, bursts: Tensor, ceiling: int) -> Tensor:
    """Plain sums of products, (batch, steps, C, H, W) -> (batch, steps, channels, H', W')."""
    rows = projection.weights.reshape(len(projection.weights), -1)
    if int(np.abs(rows).sum(axis=1).max()) * ceiling >= EXACT:
        raise OverflowError(f"{projection.source} -> {projection.target}: a sum could exceed 2^53")
    matrix = torch.from_numpy(rows.astype(np.float64))
    batch, steps = bursts.shape[:2]
    if isinstance(projection, Dense):
        result = bursts.flatten(2).double() @ matrix.T
        return result.round().long().view(batch, steps, -1, 1, 1)
    groups = projection.groups
    window = projection.window((bursts.shape[3], bursts.shape[4]))
    height, width = window.windows(bursts.shape[3], bursts.shape[4])
    at_once = max(1, COLUMNS_AT_ONCE // (matrix.shape[1] * groups * height * width))
    parts = [
        matrix.unflatten(0, (groups, -1)) @ unfolded(part.double(), window).unflatten(1, (groups, -1))
        for part in bursts.flatten(0, 1).split(at_once)
    ]
    return torch.cat(parts).round().long().view(batch, steps, -1, height, width)


def unfolded(images: Tensor, window: Window) -> Tensor:
    """The values that every window reads from images (count, C, H, W): (count, C * places, windows)."""
    return torch.nn.functional.unfold(images, window.kernel, window.dilation, window.padding, window.stride)


def fire(current: Tensor, population: Population, timesteps: int) -> tuple[Tensor, Tensor]:
    """Bursts (batch, T, C, H, W) and the last membranes of currents (batch, T or 1, C, H, W)."""
    bursts, membrane = [], torch.zeros_like(current[:, 0])
    for _, count, after in advance(current, population, timesteps):
        bursts.append(count)
        membrane = after
    return torch.stack(bursts, dim=1), membrane


def advance(current: Tensor, population: Population, timesteps: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Potential M, burst n and membrane V of every timestep, (batch, C, H, W) each; currents as in :func:`fire`."""
    fraction = population.fraction_bits
    membrane = torch.zeros_like(current[:, 0])
    for step in range(timesteps):
        leaked = (population.leak.multiplier * membrane) >> population.leak.shift
        potential = leaked + current[:, step if current.shape[1] > 1 else 0]
        count = ((potential + population.rounding_constant) >> fraction).clamp(0, population.burst_ceiling)
        soft = potential - (count << fraction)
        membrane = soft if population.reset == "soft" else torch.where(count > 0, 0, potential)
        yield potential, count, membrane


def pool(bursts: Tensor, pooling: Pooling) -> Tensor:
    """Sum or maximum of every window."""
    rows, across = pooling.window.rows, pooling.window.columns
    padding = (across.padding, across.padding, rows.padding, rows.padding)
    padded = torch.nn.functional.pad(bursts, padding)
    windows = padded.unfold(3, rows.kernel, rows.stride).unfold(4, across.kernel, across.stride)
    return windows.sum(dim=(5, 6)) if pooling.kind == "sum" else windows.amax(dim=(5, 6))


def accumulates(projection: Projection, network: Network, bursts: Tensor) -> int:
    """Additions of one weight into one neuron, one per set bit-plane of a batch of source bursts."""
    if isinstance(projection, Skip):
        return 0
    ceiling = network.burst_ceiling(projection.source)
    planes = torch.stack([bursts >> plane & 1 for plane in range(ceiling.bit_length())]).sum(0)
    return over_synapses(projection, planes, ceiling.bit_length())


def over_synapses(projection: Dense | Conv2d, counts: Tensor, ceiling: int) -> int:
    """Sum of ``counts``, each at most ``ceiling`` and counted once for every synapse that it reaches."""
    if isinstance(projection, Dense):
        return int(counts.sum()) * len(projection.weights)
    every_synapse = replace(projection, weights=np.ones_like(projection.weights), weight_bits=2)
    return int(project(every_synapse, counts, ceiling).sum())
