"""The golden model: the integer form in PyTorch, batched and exact, with access to every intermediate result.

Sums of products are float64 matrix products, with convolutions unfolded first. Every operand is an integer, and a
bound below 2^53 is checked, so every result is exact. Everything else is int64.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from qblif.network.checks import IntArray, require
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Limits, Pooling, Population, Readout
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
        states: per population, its state after each timestep, (batch, T, fields, C, H, W): V and, for neurons with a
            synaptic current, J.
        sums: the readout's result after each timestep, (batch, T, classes): L, or the largest L so far.
    """

    bursts: dict[str, Tensor]
    states: dict[str, Tensor]
    sums: Tensor

    @property
    def membranes(self) -> dict[str, Tensor]:
        """Per population, V after the last timestep, (batch, C, H, W)."""
        return {name: states[:, -1, 0] for name, states in self.states.items()}

    @property
    def logits(self) -> Tensor:
        """The result after the last timestep, (batch, classes)."""
        return self.sums[:, -1]

    def results(self, stream: bool) -> Tensor:
        """What the hardware gives, (results, classes): the logits of every sample, or those of every timestep of a
        stream."""
        return self.sums.flatten(0, 1) if stream else self.logits

    @property
    def classes(self) -> Tensor:
        """First class with the largest logit, (batch,)."""
        return self.logits.argmax(dim=1)

    @classmethod
    def joined(cls, parts: "Sequence[Activations]", dim: int) -> "Activations":
        """Activations of several parts: batches after batches (``dim`` 0) or timesteps after timesteps (1)."""

        def joined(values: "Sequence[dict[str, Tensor]]") -> dict[str, Tensor]:
            return {name: torch.cat([one[name] for one in values], dim) for name in values[0]}

        return cls(
            bursts=joined([part.bursts for part in parts]),
            states=joined([part.states for part in parts]),
            sums=torch.cat([part.sums for part in parts], dim),
        )


def run(network: Network, bursts: IntArray) -> Activations:
    """Run the integer form from rest.

    Args:
        network: the network.
        bursts: input bursts as :func:`qblif.network.coding.encode` gives them, (batch, steps, C, H, W); any number of
            steps for a network in ``stream`` mode.

    Raises:
        OverflowError: a sum could leave the range in which float64 is exact.
    """
    return GoldenModel(network).advance(bursts)


class GoldenModel:
    """The integer form of a network with its state, which :meth:`advance` moves on.

    Args:
        network: the network.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.reset()

    def reset(self) -> None:
        """Return to rest: V, J, L and recurrent bursts are 0."""
        self.states: dict[str, Tensor] = {}
        self.delayed: dict[str, Tensor] = {}
        self.integral: Tensor | None = None
        self.largest: Tensor | None = None

    def advance(self, bursts: IntArray) -> Activations:
        """The next timesteps; ``bursts`` as in :func:`run`. A direct input stands for all timesteps of a sample."""
        network, arriving = self.network, torch.from_numpy(np.array(bursts))
        recurrent = {one.source: one.target for one in network.projections if one.recurrent}
        constant = network.input.coding == "direct"
        steps = network.timesteps if constant else arriving.shape[1]
        if not recurrent or steps == 1:
            return self._block(arriving, steps)
        parts = [self._block(arriving if constant else arriving[:, t : t + 1], 1) for t in range(steps)]
        joined = Activations.joined(parts, 1)
        return replace(joined, bursts={**joined.bursts, network.input.name: arriving}) if constant else joined

    def _block(self, arriving: Tensor, steps: int) -> Activations:
        """Timesteps that are computed node by node; just one if a projection is recurrent."""
        network, batch = self.network, len(arriving)
        spikes = {network.input.name: arriving}
        states: dict[str, Tensor] = {}
        for population in network.populations:
            if population.name not in self.states:
                fields = 1 if population.current_leak is None else 2
                self.states[population.name] = torch.zeros((batch, fields, *population.shape), dtype=torch.int64)
        before = {}
        for name in {one.source for one in network.projections if one.recurrent}:
            nothing = torch.zeros((batch, 1, *network.shape(name)), dtype=torch.int64)
            before[name] = self.delayed.get(name, nothing)
        for node in network.nodes:
            if isinstance(node, Pooling):
                spikes[node.name] = pool(spikes[node.source], node)
            else:
                entering = currents(network, node, spikes, before)
                fired = list(advance(entering, node, steps, self.states[node.name]))
                spikes[node.name] = torch.stack([step.burst for step in fired], dim=1)
                states[node.name] = torch.stack([step.state for step in fired], dim=1)
                self.states[node.name] = fired[-1].state
        self.delayed = {name: spikes[name] for name in before}
        total = currents(network, network.readout, spikes).flatten(2).expand(-1, steps, -1)
        return Activations(bursts=spikes, states=states, sums=self._integrated(total))

    def _integrated(self, total: Tensor) -> Tensor:
        """The readout's result after every timestep, of currents (batch, steps, classes)."""
        readout = self.network.readout
        last = torch.zeros_like(total[:, 0]) if self.integral is None else self.integral
        if readout.plain:
            sums = total.cumsum(1) + last.unsqueeze(1)
        else:
            results = []
            for current in total.unbind(1):
                last = limited(leaked(last, readout.leak) + current, readout.limits)
                results.append(last)
            sums = torch.stack(results, dim=1)
        self.integral = sums[:, -1]
        if not readout.maximum:
            return sums
        best = sums.cummax(1).values
        best = best if self.largest is None else torch.maximum(best, self.largest.unsqueeze(1))
        self.largest = best[:, -1]
        return best


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


def currents(
    network: Network,
    target: Population | Readout,
    spikes: Mapping[str, Tensor],
    delayed: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """``(sum << e) + bias`` plus skips, (batch, steps, C, H, W); steps is 1 if nothing depends on time.

    ``delayed``: what the sources of recurrent projections sent one timestep earlier; by default, taken from ``spikes``,
    which then holds all timesteps from rest on.
    """
    sums, skipped = [], []
    for projection in network.projections_into(target.name):
        source = spikes[projection.source] if not projection.recurrent else None
        if source is None:
            source = one_later(spikes[projection.source]) if delayed is None else delayed[projection.source]
        if isinstance(projection, Skip):
            skipped.append(source * projection.weight)
        else:
            sums.append(project(projection, source, network.burst_ceiling(projection.source)))
    steps = max(part.shape[1] for part in (*sums, *skipped))
    total = torch.stack([part.expand(-1, steps, -1, -1, -1) for part in sums]).sum(0)
    exponent, bias = (torch.from_numpy(np.array(v)).view(-1, 1, 1) for v in (target.exponent, target.bias))
    result = (total << exponent) + bias
    for part in skipped:
        result = result + part
    return result


def one_later(bursts: Tensor) -> Tensor:
    """Bursts (batch, steps, C, H, W) delayed by one timestep; none arrive at the first."""
    return torch.cat([torch.zeros_like(bursts[:, :1]), bursts[:, :-1]], dim=1)


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


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronStep:
    """Potential M and burst n of one timestep, (batch, C, H, W), and the state after it, (batch, fields, C, H, W)."""

    potential: Tensor
    burst: Tensor
    state: Tensor

    @property
    def membrane(self) -> Tensor:
        """V, (batch, C, H, W)."""
        return self.state[:, 0]


def advance(
    current: Tensor, population: Population, timesteps: int, state: Tensor | None = None
) -> Iterator[NeuronStep]:
    """Every timestep of a population, from rest or from a ``state``; currents (batch, T or 1, C, H, W)."""
    membrane = torch.zeros_like(current[:, 0]) if state is None else state[:, 0]
    synaptic = torch.zeros_like(membrane) if state is None else state[:, -1]
    for step in range(timesteps):
        arriving = current[:, step if current.shape[1] > 1 else 0]
        if population.current_leak is not None:
            synaptic = limited(leaked(synaptic, population.current_leak) + arriving, population.current_limits)
            arriving = synaptic
        potential = leaked(membrane, population.leak) + arriving
        rounded = (potential + population.rounding_constant) >> population.fraction_bits
        count = rounded.clamp(0, population.burst_ceiling)
        soft = potential - (count << population.fraction_bits)
        after = soft if population.reset == "soft" else torch.where(count > 0, 0, potential)
        membrane = limited(after, population.membrane_limits)
        fields = [membrane] if population.current_leak is None else [membrane, synaptic]
        yield NeuronStep(potential=potential, burst=count, state=torch.stack(fields, dim=1))


def leaked(values: Tensor, leak: Leak | None) -> Tensor:
    """``(a * V) >> p``; None leaks nothing."""
    return values if leak is None else (leak.multiplier * values) >> leak.shift


def limited(values: Tensor, limits: Limits | None) -> Tensor:
    """Values clamped to limits, if there are any."""
    return values if limits is None else values.clamp(*limits)


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
