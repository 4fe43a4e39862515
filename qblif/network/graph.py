"""The integer network: the only hand-off between training, compiler, golden model, hardware and host.

A :class:`Network` is a trained QB-LIF network after scale folding (arXiv 2604.25688; rounding, leak and reset are
our reading, see docs/design.md). It holds only integers, is immutable, and is checked once when it is created.

Per population with ``F`` fraction bits, ceiling ``K``, leak ``(a, p)`` and per-channel bias and exponent ``e``::

    M[t] = (a * V[t-1] >> p) + (sum_j w_j * n_j[t] << e) + bias        V[0] = 0
    n[t] = clamp((M[t] + r) >> F, 0, K)                                r = 2^(F-1) for QB-LIF
    V[t] = M[t] - (n[t] << F)   (soft reset)    or    0 if n[t] > 0 else M[t]   (hard reset)

The readout sums ``(sum_j w_j * n_j[t] << e) + bias`` over all timesteps; the class is its first maximum.
This module needs only numpy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from qblif.errors import UserError
from qblif.network.bounds import MOST_BITS, bursts_of, current, integral_bounds, layer_bounds, neuron_bounds
from qblif.network.checks import LARGEST, MOST_TIMESTEPS, NetworkError, Shape, is_whole, require
from qblif.network.nodes import InputSpec, Node, Pooling, Population, Readout, Target
from qblif.network.projections import Conv2d, Dense, Projection, Skip, projected_shape
from qblif.reading import shown

TOO_LARGE = "its sums could reach beyond 2^50; weights, biases or exponents are too large"


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A whole network. ``nodes`` are in topological order; every projection's source comes before its target, except
    those of recurrent projections.

    Attributes:
        timesteps: T, the length of a sample; in ``stream`` mode only that of a reference recording.
        mode: ``window``: every sample begins at rest and has one result. ``stream``: timesteps come without end, state
            is kept until a reset, and every timestep has a result.

    Raises:
        NetworkError: names clash, a source is missing or comes too late, shapes do not match, or a state has no bounds.
    """

    timesteps: int
    input: InputSpec
    nodes: tuple[Population | Pooling, ...]
    projections: tuple[Projection, ...]
    readout: Readout
    mode: Literal["window", "stream"] = "window"

    def __post_init__(self) -> None:
        require(self.mode in ("window", "stream"), f"unknown mode {shown(self.mode)}")
        fine = self.mode == "window" or self.input.coding != "direct"
        require(fine, "the input of a stream differs at every timestep, so its coding is events or frames, not direct")
        fine = is_whole(self.timesteps, 1, MOST_TIMESTEPS)
        require(fine, f"timesteps {shown(self.timesteps)} are not 1 to {MOST_TIMESTEPS}")
        known: dict[str, Shape] = {self.input.name: self.input.shape}
        for node in (*self.nodes, self.readout):
            require(node.name not in known, f"two nodes are called {node.name!r}")
            known[node.name] = self._checked_shape(node, known)
        for projection in self.projections:
            require(projection.target in known, f"projection into unknown node {shown(projection.target)}")
        require(bool(self.readout.bias.size), "the readout has no classes")
        for projection in self.projections:
            if projection.recurrent:
                self._check_recurrent(projection, known)
        for target in self.targets:
            self._check_bounds(target)

    def _checked_shape(self, node: Population | Pooling | Readout, known: dict[str, Shape]) -> Shape:
        if isinstance(node, Pooling):
            require(node.source in known, f"{node.name}: its source {shown(node.source)} does not come before it")
            channels, height, width = known[node.source]
            pooled = (channels, *node.window.windows(height, width))
            require(min(pooled) >= 1, f"{node.name}: nothing is left of {known[node.source]} after pooling")
            return pooled
        incoming = [projection for projection in self.projections_into(node.name) if not projection.recurrent]
        require(
            any(not isinstance(projection, Skip) for projection in incoming),
            f"{node.name}: no dense or convolutional projection leads into it from a node before it",
        )
        require(
            not (isinstance(node, Readout) and any(isinstance(projection, Skip) for projection in incoming)),
            f"{node.name}: an identity skip leads into the readout, which has no membranes",
        )
        for projection in incoming:
            source = projection.source
            require(source in known, f"{node.name}: its source {shown(source)} does not come before it")
            shape = projected_shape(projection, known[projection.source])
            require(shape == node.shape, f"{projection.source} -> {node.name}: gives shape {shape}, not {node.shape}")
        return node.shape

    def _check_recurrent(self, projection: Projection, known: dict[str, Shape]) -> None:
        """Raise NetworkError unless a recurrent projection leads from a population into itself or an earlier one."""
        names = [node.name for node in (*self.nodes, self.readout)]
        label = f"{shown(projection.source)} -> {projection.target}"
        spiking = [node.name for node in self.populations]
        fine = projection.source in spiking and projection.target in spiking
        fine = fine and names.index(projection.source) >= names.index(projection.target)
        require(fine, f"{label}: a recurrent projection leads from a population into itself or one before it")
        shape = projected_shape(projection, known[projection.source])
        require(shape == known[projection.target], f"{label}: gives shape {shape}, not {known[projection.target]}")

    def _reach(self, target: Target) -> int:
        """Upper bound of what enters ``target`` in one timestep, and of every partial sum of it."""
        reach = int(np.abs(target.bias).max())
        for projection in self.projections_into(target.name):
            if isinstance(projection, Skip):
                reach += abs(projection.weight) * self.burst_ceiling(projection.source)
            else:
                fan_in = int(np.abs(projection.weights.reshape(len(projection.weights), -1)).sum(axis=1).max())
                reach += fan_in * self.burst_ceiling(projection.source) << int(target.exponent.max())
        return reach

    def _check_bounds(self, target: Target) -> None:
        """Raise NetworkError if a sum of the layer could leave the range of exact arithmetic, or a state has no
        bounds."""
        merged = self.timesteps if self.mode == "window" and isinstance(target, Readout) and target.plain else 1
        require(self._reach(target) * merged < LARGEST, f"{target.name}: {TOO_LARGE}")
        entering, steps = current(self, target).hull, None if self.mode == "stream" else self.timesteps
        try:
            if isinstance(target, Readout):
                readout = integral_bounds(entering, target, steps)
                sums, product = [readout.summed], readout.product
            else:
                neurons = neuron_bounds(entering, target, steps)
                sums, product = [neurons.summed, neurons.potential], neurons.product
        except NetworkError as error:
            raise NetworkError(f"{target.name}: {error}") from None
        require(max(one.reach for one in sums) < LARGEST, f"{target.name}: {TOO_LARGE}")
        require(
            product.bits <= MOST_BITS,
            f"{target.name}: its state times the leak's multiplier needs {product.bits} bits, and {MOST_BITS} is most; "
            f"take a smaller multiplier, fewer timesteps or smaller biases",
        )

    def projections_into(self, target: str) -> Iterator[Projection]:
        """The projections that end in ``target``, in the order of the network."""
        return (projection for projection in self.projections if projection.target == target)

    def skips_into(self, target: str) -> list[Skip]:
        """The identity skips that end in ``target``."""
        return [projection for projection in self.projections_into(target) if isinstance(projection, Skip)]

    def weighted_projections(self, target: str) -> list[Dense | Conv2d]:
        """The projections with weights that end in ``target``; recurrent ones come last."""
        found = [projection for projection in self.projections_into(target) if not isinstance(projection, Skip)]
        return sorted(found, key=lambda projection: projection.recurrent)

    def weighted_projection(self, target: str) -> Dense | Conv2d:
        """The only projection with weights that ends in ``target``; raises UserError if there are more."""
        found = self.weighted_projections(target)
        if len(found) != 1:
            raise UserError(
                f"layer {target}: hardware is generated for one dense or convolutional projection and identity skips "
                f"into each layer, and here are {len(found)} with weights"
            )
        return found[0]

    def is_read(self, name: str) -> bool:
        """Whether anything reads the bursts of a node."""
        return any(name in self.sources(node.name) for node in (*self.nodes, self.readout))

    def sources(self, name: str) -> list[str]:
        """The nodes whose bursts a pooling, population or the readout reads; those of identity skips come last."""
        node = self.staged(name)
        if isinstance(node, Pooling):
            return [node.source]
        weighted, skips = self.weighted_projections(name), self.skips_into(name)
        return [projection.source for projection in (*weighted, *skips)]

    def staged(self, name: str) -> Population | Pooling | Readout:
        """The pooling, population or readout called ``name``, which becomes a hardware stage; raises KeyError."""
        return self.readout if name == self.readout.name else self._senders[name]

    def needs_positions(self, name: str) -> bool:
        """Whether a reader of a node reads its bursts position by position, instead of all of them at once."""
        pooled = any(isinstance(node, Pooling) and node.source == name for node in self.nodes)
        readers = [projection for projection in self.projections if projection.source == name]
        return pooled or not all(isinstance(reader, Dense) for reader in readers)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of projections, in order: the populations, then the readout."""
        return (*self.populations, self.readout)

    @property
    def populations(self) -> tuple[Population, ...]:
        """The nodes that have neurons, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Population))

    def node(self, name: str) -> Node:
        """The input, population or pooling called ``name``; raises ``KeyError``."""
        return self.input if name == self.input.name else self._senders[name]

    @cached_property
    def _senders(self) -> dict[str, Population | Pooling]:
        return {node.name: node for node in self.nodes}

    def shape(self, name: str) -> Shape:
        """(C, H, W) of the node called ``name``."""
        node = self.node(name)
        if isinstance(node, Pooling):
            channels, height, width = self.shape(node.source)
            return (channels, *node.window.windows(height, width))
        return node.shape

    def burst_ceiling(self, name: str) -> int:
        """The largest burst that the node called ``name`` can send."""
        node = self.node(name)
        if isinstance(node, Pooling):
            return self.burst_ceiling(node.source) * (node.window.area if node.kind == "sum" else 1)
        return node.burst_ceiling

    def origin(self, name: str) -> str:
        """The input or population whose bursts the node called ``name`` passes on, through any poolings."""
        if name == self.readout.name:
            return name
        node = self.node(name)
        return self.origin(node.source) if isinstance(node, Pooling) else name

    def steps(self, name: str) -> int:
        """Number of timesteps in the stream of ``name``; a direct input is sent once for all timesteps."""
        return 1 if self.origin(name) == self.input.name and self.input.coding == "direct" else self.timesteps


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
