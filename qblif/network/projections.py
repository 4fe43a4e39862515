"""Projections of the integer network: dense, convolution and identity skip. Needs only numpy."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from qblif.network.checks import (
    ADDED,
    LARGEST,
    MOST_WEIGHT_BITS,
    MOST_WEIGHTS,
    IntArray,
    Shape,
    frozen_integers,
    is_whole,
    require,
)
from qblif.network.window import PerAxis, Window, make_window, shortest
from qblif.reading import shown


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense:
    """All-to-all projection.

    Attributes:
        weights: int64, (target channels, source C*H*W) with the source in (C, H, W) order.
        recurrent: the source is its target or comes after it, and its bursts are those of the previous timestep.
    """

    kind: ClassVar[Literal["dense"]] = "dense"
    groups: ClassVar[int] = 1
    source: str
    target: str
    weights: IntArray
    weight_bits: int
    recurrent: bool = field(default=False, metadata=ADDED)

    def __post_init__(self) -> None:
        freeze_weights(self, dimensions=2)

    def window(self, source: tuple[int, int]) -> Window:
        """One window as large as the ``source``, given by height and width."""
        return make_window(source, name=self.target)

    @property
    def full_weights(self) -> IntArray:
        """The weights; every pair of source and target neurons has one already."""
        return self.weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv2d:
    """Convolution, as in ``torch.nn.Conv2d``.

    Attributes:
        weights: int64, (target channels, source channels / groups, kernel height, kernel width).
        stride, padding, dilation: one number, or one each for rows and columns.
        groups: equal parts of the source's and of the target's channels; each target part reads one source part.
        recurrent: as in :class:`Dense`.
    """

    kind: ClassVar[Literal["conv2d"]] = "conv2d"
    source: str
    target: str
    weights: IntArray
    weight_bits: int
    stride: PerAxis = 1
    padding: PerAxis = 0
    dilation: PerAxis = field(default=1, metadata=ADDED)
    groups: int = field(default=1, metadata=ADDED)
    recurrent: bool = field(default=False, metadata=ADDED)

    def __post_init__(self) -> None:
        freeze_weights(self, dimensions=4)
        for quantity in ("stride", "padding", "dilation"):
            object.__setattr__(self, quantity, shortest(getattr(self, quantity)))
        self.window((0, 0))
        fine = is_whole(self.groups, 1, len(self.weights)) and len(self.weights) % self.groups == 0
        require(fine, f"{self.target}: groups {shown(self.groups)} do not divide {len(self.weights)} channels")
        full = self.weights.size * self.groups
        require(full <= MOST_WEIGHTS, f"{self.target}: {full:,} weights and zeros between groups are too many")

    def window(self, source: tuple[int, int]) -> Window:
        """The sliding window, which does not depend on the height and width of the source."""
        del source
        return self._window

    @cached_property
    def _window(self) -> Window:
        kernel = (self.weights.shape[2], self.weights.shape[3])
        return make_window(kernel, self.stride, self.padding, self.dilation, name=self.target)

    @cached_property
    def full_weights(self) -> IntArray:
        """(target channels, source channels, kernel height, kernel width), with 0 between different groups."""
        if self.groups == 1:
            return self.weights
        outputs, inputs, *kernel = self.weights.shape
        full = np.zeros((self.groups, outputs // self.groups, self.groups, inputs, *kernel), dtype=np.int64)
        own = np.arange(self.groups)
        full[own, :, own] = self.weights.reshape(self.groups, -1, inputs, *kernel)
        return full.reshape(outputs, self.groups * inputs, *kernel)


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Identity connection: every neuron's burst enters the neuron in the same place, times the integer ``weight``."""

    kind: ClassVar[Literal["skip"]] = "skip"
    recurrent: ClassVar[bool] = False
    source: str
    target: str
    weight: int

    def __post_init__(self) -> None:
        fine = is_whole(self.weight, -LARGEST, LARGEST)
        require(fine, f"{shown(self.source)} -> {shown(self.target)}: skip weight {shown(self.weight)}")


Projection = Dense | Conv2d | Skip


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
    recurrent = projection.recurrent
    require(type(recurrent) is bool, f"{label}: recurrent {shown(recurrent)} is not true or false")
    object.__setattr__(projection, "weights", weights)


def projected_shape(projection: Projection, source: Shape) -> Shape:
    """Shape of the currents that ``projection`` computes from a source of shape ``source``; raises NetworkError."""
    if isinstance(projection, Skip):
        return source
    label = f"{projection.source} -> {projection.target}"
    channels, height, width = source
    if isinstance(projection, Dense):
        fan_in = channels * height * width
        require(projection.weights.shape[1] == fan_in, f"{label}: weights {projection.weights.shape}, source {source}")
        return (projection.weights.shape[0], 1, 1)
    seen = projection.weights.shape[1] * projection.groups
    require(seen == channels, f"{label}: weights {projection.weights.shape}, source {source}")
    return (len(projection.weights), *projection.window((height, width)).windows(height, width))
