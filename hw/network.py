"""The integer network: the one hand-off between training, compiler, golden model, hardware and host.

A :class:`Network` is what a trained QB-LIF network is after scale folding (arXiv 2604.25688; rounding, leak
and reset are our reading, see docs/design.md): integers only, immutable, checked once when it is made.

Per population with ``F`` fraction bits, ceiling ``K``, leak ``(a, p)`` and per-channel bias and exponent ``e``::

    M[t] = (a * V[t-1] >> p) + (sum_j w_j * n_j[t] << e) + bias        V[0] = 0
    n[t] = clamp((M[t] + 2^(F-1)) >> F, 0, K)
    V[t] = M[t] - (n[t] << F)   (soft reset)    or    0 if n[t] > 0 else M[t]   (hard reset)

The readout sums ``(sum_j w_j * n_j[t] << e) + bias`` over all timesteps; the class is its first maximum.
This module needs numpy alone.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from hw.bounds import MOST_BITS, current, neuron_bounds
from hw.errors import UserError
from hw.reading import shown

IntArray = NDArray[np.int64]
Shape = tuple[int, int, int]
"""Channels, height, width; a dense population of N neurons is (N, 1, 1)."""


NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
MOST_WEIGHT_BITS = 16
MOST_FRACTION_BITS = 32
MOST_TIMESTEPS = 1024
LARGEST_EXTENT = 2**16
"""Of a shape in each direction, of a stride and of a padding."""
MOST_NEURONS = 2**24
"""Of one node; far more than any part of a board could serve."""
LARGEST_BIAS = 2**40
LARGEST = 2**50
"""Bound of everything a network sums: exact in int64 and in float64."""


class NetworkError(UserError):
    """A network that breaks its own rules: shapes, ranges, order or names."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`NetworkError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise NetworkError(message)


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether ``value`` is an integer (no bool, no float, no numpy scalar) from ``least`` to ``most``."""
    return type(value) is int and least <= value <= most


def require_shape(shape: Shape, name: str) -> None:
    """Raise :class:`NetworkError` unless ``shape`` is a possible (C, H, W)."""
    fine = isinstance(shape, tuple) and len(shape) == 3 and all(is_whole(size, 1, LARGEST_EXTENT) for size in shape)
    require(fine, f"{name}: shape {shown_shape(shape)} is not (C, H, W) in whole numbers")
    require(math.prod(shape) <= MOST_NEURONS, f"{name}: shape {shown_shape(shape)} is more than {MOST_NEURONS} neurons")


def shown_shape(shape: Any) -> str:
    """A shape as a message can show it."""
    return f"({', '.join(map(shown, shape[:4]))})" if isinstance(shape, tuple) else shown(shape)


def frozen_integers(values: Any, name: str) -> IntArray:
    """``values`` as a read-only int64 array; raises :class:`NetworkError` for anything but integers."""
    array = np.asarray(values)
    require(array.dtype.kind in "iu", f"{name} must be integers, not {array.dtype}")
    require(array.dtype != np.uint64 or bool((array < 2**63).all()), f"{name} holds integers beyond 2^63")
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How data becomes bursts.

    ``direct``: an unsigned byte x becomes ``floor(x * (2^bits - 1) / 255 + 1/2)``, the same at every timestep.
    ``events``: binned event counts per timestep, clipped to ``2^bits - 1``.
    """

    name: ClassVar[str] = "input"
    shape: Shape
    coding: Literal["direct", "events"]
    bits: int

    def __post_init__(self) -> None:
        require(self.coding in ("direct", "events"), f"unknown input coding {shown(self.coding)}")
        require(is_whole(self.bits, 1, 8), f"input bits must be 1 to 8, not {shown(self.bits)}")
        require_shape(self.shape, "input")

    @property
    def burst_ceiling(self) -> int:
        return 2**self.bits - 1


@dataclass(frozen=True, kw_only=True)
class Leak:
    """Membrane decay ``beta = multiplier / 2^shift``, applied as ``(multiplier * V) >> shift`` (floor)."""

    multiplier: int = 1
    shift: int = 1

    def __post_init__(self) -> None:
        require(
            is_whole(self.shift, 0, 16) and is_whole(self.multiplier, 0, 2**self.shift),
            f"leak {shown(self.multiplier)}/2^{shown(self.shift)} is outside 0 to 1 or finer than 2^-16",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """QB-LIF neurons of one layer. ``bias`` and ``exponent`` are int64 arrays of shape (channels,)."""

    name: str
    shape: Shape
    fraction_bits: int
    burst_ceiling: int
    leak: Leak
    reset: Literal["soft", "hard"]
    bias: IntArray
    exponent: IntArray

    def __post_init__(self) -> None:
        require_name(self.name)
        require_shape(self.shape, self.name)
        ceiling = self.burst_ceiling
        require(is_whole(ceiling, 1, 255), f"{self.name}: burst ceiling {shown(ceiling)} is not 1 to 255")
        require(self.reset in ("soft", "hard"), f"{self.name}: unknown reset {shown(self.reset)}")
        freeze_channel_constants(self, self.shape[0])


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """Windows of ``kernel`` x ``kernel`` that do not overlap; ``sum`` leaves the division to the next weights."""

    name: str
    source: str
    kind: Literal["sum", "max"]
    kernel: int

    def __post_init__(self) -> None:
        require_name(self.name)
        require(self.kind in ("sum", "max"), f"{self.name}: unknown pooling {shown(self.kind)}")
        fine = is_whole(self.kernel, 2, LARGEST_EXTENT)
        require(fine, f"{self.name}: pooling kernel {shown(self.kernel)} is less than 2, or too large")


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense:
    """All-to-all projection. ``weights``: int64, (target channels, source C*H*W) with the source in (C, H, W) order."""

    kind: ClassVar[Literal["dense"]] = "dense"
    source: str
    target: str
    weights: IntArray
    weight_bits: int

    def __post_init__(self) -> None:
        freeze_weights(self, dimensions=2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv2d:
    """Convolution. ``weights``: int64, (target channels, source channels, kernel height, kernel width)."""

    kind: ClassVar[Literal["conv2d"]] = "conv2d"
    source: str
    target: str
    weights: IntArray
    weight_bits: int
    stride: int = 1
    padding: int = 0

    def __post_init__(self) -> None:
        freeze_weights(self, dimensions=4)
        fine = is_whole(self.stride, 1, LARGEST_EXTENT) and is_whole(self.padding, 0, LARGEST_EXTENT)
        require(fine, f"{self.target}: stride {shown(self.stride)}, padding {shown(self.padding)}")


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Identity connection: every neuron's burst enters the neuron of the same place with the one integer ``weight``."""

    kind: ClassVar[Literal["skip"]] = "skip"
    source: str
    target: str
    weight: int

    def __post_init__(self) -> None:
        fine = is_whole(self.weight, -LARGEST, LARGEST)
        require(fine, f"{shown(self.source)} -> {shown(self.target)}: skip weight {shown(self.weight)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Readout:
    """Sums its currents over all timesteps and never fires. ``bias`` and ``exponent``: int64, (classes,)."""

    name: ClassVar[str] = "readout"
    fraction_bits: int
    bias: IntArray
    exponent: IntArray

    def __post_init__(self) -> None:
        freeze_channel_constants(self, len(self.bias))

    @property
    def shape(self) -> Shape:
        return (len(self.bias), 1, 1)


Node = InputSpec | Population | Pooling
Projection = Dense | Conv2d | Skip
Target = Population | Readout


def require_name(name: object) -> None:
    """Raise :class:`NetworkError` unless ``name`` can name a node, and modules of hardware."""
    fine = isinstance(name, str) and NAME.fullmatch(name) is not None
    require(fine, f"{shown(name)} is not a name of at most 100 letters, digits and _")


def freeze_channel_constants(target: Target, channels: int) -> None:
    """Check bias, exponent and fraction bits of a target and make its arrays read-only."""
    fraction_bits = target.fraction_bits
    fine = is_whole(fraction_bits, 1, MOST_FRACTION_BITS)
    require(fine, f"{target.name}: fraction bits {shown(fraction_bits)} are not 1 to {MOST_FRACTION_BITS}")
    for field in ("bias", "exponent"):
        values = frozen_integers(getattr(target, field), f"{target.name}: {field}")
        require(values.shape == (channels,), f"{target.name}: {field} has shape {values.shape}, not ({channels},)")
        object.__setattr__(target, field, values)
    require(bool((target.exponent >= 0).all()), f"{target.name}: an exponent is negative")
    require(bool((target.exponent <= 32).all()), f"{target.name}: an exponent is above 32")
    inside = bool((target.bias < LARGEST_BIAS).all() and (target.bias > -LARGEST_BIAS).all())
    require(inside, f"{target.name}: a bias is beyond 2^40")


def freeze_weights(projection: Dense | Conv2d, dimensions: int) -> None:
    """Check the weights of a projection and make them read-only."""
    label = f"{shown(projection.source)} -> {shown(projection.target)}"
    weights = frozen_integers(projection.weights, f"{label}: weights")
    require(weights.ndim == dimensions and weights.size > 0, f"{label}: weights have shape {weights.shape}")
    fine = is_whole(projection.weight_bits, 1, MOST_WEIGHT_BITS)
    require(fine, f"{label}: weight bits {shown(projection.weight_bits)} are not 1 to {MOST_WEIGHT_BITS}")
    limit = 2 ** (projection.weight_bits - 1)
    in_range = bool((weights >= -limit).all() and (weights < limit).all())
    require(in_range, f"{label}: a weight does not fit {projection.weight_bits} bits")
    object.__setattr__(projection, "weights", weights)


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A whole network. ``nodes`` are in topological order; every projection's source stands before its target.

    Raises:
        NetworkError: names clash, a source is missing or comes too late, or shapes do not meet.
    """

    timesteps: int
    input: InputSpec
    nodes: tuple[Population | Pooling, ...]
    projections: tuple[Projection, ...]
    readout: Readout

    def __post_init__(self) -> None:
        fine = is_whole(self.timesteps, 1, MOST_TIMESTEPS)
        require(fine, f"timesteps {shown(self.timesteps)} are not 1 to {MOST_TIMESTEPS}")
        known: dict[str, Shape] = {self.input.name: self.input.shape}
        for node in (*self.nodes, self.readout):
            require(node.name not in known, f"two nodes are called {node.name!r}")
            known[node.name] = self._checked_shape(node, known)
        for projection in self.projections:
            require(projection.target in known, f"projection into unknown node {shown(projection.target)}")
        require(bool(self.readout.bias.size), "the readout has no classes")
        for node in (*self.nodes, self.readout):
            if not isinstance(node, Pooling):
                require(
                    self._reach(node) < LARGEST,
                    f"{node.name}: its sums could reach beyond 2^50; weights, biases or exponents are too large",
                )
            if isinstance(node, Population):
                self._check_leak(node)

    def _checked_shape(self, node: Population | Pooling | Readout, known: dict[str, Shape]) -> Shape:
        if isinstance(node, Pooling):
            require(node.source in known, f"{node.name}: its source {shown(node.source)} does not come before it")
            channels, height, width = known[node.source]
            pooled = (channels, height // node.kernel, width // node.kernel)
            require(min(pooled) >= 1, f"{node.name}: nothing is left of {known[node.source]} after pooling")
            return pooled
        incoming = list(self.projections_into(node.name))
        require(
            any(not isinstance(projection, Skip) for projection in incoming),
            f"{node.name}: no dense or convolutional projection leads into it",
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

    def _reach(self, target: Target) -> int:
        """Larger than anything that can be summed in ``target`` over all timesteps."""
        reach = int(np.abs(target.bias).max())
        for projection in self.projections_into(target.name):
            if isinstance(projection, Skip):
                reach += abs(projection.weight) * self.burst_ceiling(projection.source)
            else:
                fan_in = int(np.abs(projection.weights.reshape(len(projection.weights), -1)).sum(axis=1).max())
                reach += fan_in * self.burst_ceiling(projection.source) << int(target.exponent.max())
        return reach * self.timesteps

    def _check_leak(self, population: Population) -> None:
        """Refuse a product of leak and membrane that :data:`MOST_BITS` bits do not hold."""
        if self._reach(population) * population.leak.multiplier < 2 ** (MOST_BITS - 1):
            return
        bits = neuron_bounds(current(self, population).hull, population, self.timesteps).product.bits
        require(
            bits <= MOST_BITS,
            f"{population.name}: its membrane times the leak's multiplier needs {bits} bits, and {MOST_BITS} is most; "
            f"take a multiplier below {population.leak.multiplier}, fewer timesteps or smaller biases",
        )

    def projections_into(self, target: str) -> Iterator[Projection]:
        """The projections that end in ``target``, in the order of the network."""
        return (projection for projection in self.projections if projection.target == target)

    @property
    def targets(self) -> tuple[Target, ...]:
        """What projections end in, in order: the populations, then the readout."""
        return (*(node for node in self.nodes if isinstance(node, Population)), self.readout)

    def node(self, name: str) -> Node:
        """The input, population or pooling called ``name``; raises ``KeyError``."""
        return {node.name: node for node in (self.input, *self.nodes)}[name]

    def shape(self, name: str) -> Shape:
        """(C, H, W) of the node called ``name``."""
        node = self.node(name)
        if isinstance(node, Pooling):
            channels, height, width = self.shape(node.source)
            return (channels, height // node.kernel, width // node.kernel)
        return node.shape

    def burst_ceiling(self, name: str) -> int:
        """The largest burst that the node called ``name`` can send."""
        node = self.node(name)
        if isinstance(node, Pooling):
            return self.burst_ceiling(node.source) * (node.kernel**2 if node.kind == "sum" else 1)
        return node.burst_ceiling

    def origin(self, name: str) -> str:
        """The input or population whose bursts the node called ``name`` passes on, through any poolings."""
        node = self.node(name)
        return self.origin(node.source) if isinstance(node, Pooling) else name

    def steps(self, name: str) -> int:
        """How many timesteps the stream of ``name`` carries: a direct input is sent once for all of them."""
        return 1 if self.origin(name) == self.input.name and self.input.coding == "direct" else self.timesteps


def projected_shape(projection: Projection, source: Shape) -> Shape:
    """Shape of the currents that ``projection`` makes of a source of shape ``source``; raises NetworkError."""
    if isinstance(projection, Skip):
        return source
    label = f"{projection.source} -> {projection.target}"
    channels, height, width = source
    if isinstance(projection, Dense):
        fan_in = channels * height * width
        require(projection.weights.shape[1] == fan_in, f"{label}: weights {projection.weights.shape}, source {source}")
        return (projection.weights.shape[0], 1, 1)
    out_channels, in_channels, kernel_height, kernel_width = projection.weights.shape
    require(in_channels == channels, f"{label}: weights {projection.weights.shape}, source {source}")
    return (
        out_channels,
        (height + 2 * projection.padding - kernel_height) // projection.stride + 1,
        (width + 2 * projection.padding - kernel_width) // projection.stride + 1,
    )


def encode(samples: NDArray[Any], spec: InputSpec) -> IntArray:
    """Turn raw samples into input bursts; the one statement of the input coding for training, golden and host.

    Args:
        samples: ``direct``: unsigned bytes of shape (count, C, H, W) or (count, H, W) with one channel;
            ``events``: counts of shape (count, T, C, H, W).
        spec: the network's input.

    Returns:
        int64 bursts of shape (count, steps, C, H, W), steps being 1 for ``direct``.

    Raises:
        NetworkError: the samples' shape or type is not the input's.
    """
    samples = np.asarray(samples)
    if spec.coding == "direct":
        require(samples.dtype == np.uint8, f"direct input takes unsigned bytes, not {samples.dtype}")
        require(samples.size == len(samples) * np.prod(spec.shape), f"samples {samples.shape}, input {spec.shape}")
        levels = samples.reshape(len(samples), 1, *spec.shape).astype(np.int64) * spec.burst_ceiling
        return (2 * levels + 255) // 510
    require(samples.ndim == 5 and samples.shape[2:] == spec.shape, f"samples {samples.shape}, input {spec.shape}")
    require(samples.dtype.kind in "iu" and bool((samples >= 0).all()), "event counts must be integers from 0 upward")
    return np.minimum(samples.astype(np.int64), spec.burst_ceiling)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceVectors:
    """Samples with the logits that the training framework printed for them; every later model replays them.

    ``samples``: as :func:`encode` takes them; ``logits``: int64, (count, classes); ``labels``: int64, (count,).
    """

    samples: NDArray[Any]
    logits: IntArray
    labels: IntArray
