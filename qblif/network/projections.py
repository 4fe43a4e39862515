"""Projections of the integer network: dense, convolution and identity skip. Needs numpy alone."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from qblif.network.checks import (
    LARGEST,
    LARGEST_EXTENT,
    MOST_WEIGHT_BITS,
    IntArray,
    Shape,
    frozen_integers,
    is_whole,
    require,
)
from qblif.reading import shown


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

    def window(self, source: tuple[int, int]) -> tuple[tuple[int, int], int, int]:
        """Kernel, stride and padding as those of a convolution: one window as large as the source."""
        return source, 1, 0


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

    def window(self, source: tuple[int, int]) -> tuple[tuple[int, int], int, int]:
        """Kernel, stride and padding, whatever the height and width of the source."""
        return (self.weights.shape[2], self.weights.shape[3]), self.stride, self.padding


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
    object.__setattr__(projection, "weights", weights)


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
