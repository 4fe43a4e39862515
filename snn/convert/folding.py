"""The linear operations between two populations as poolings of spikes and at most one projection.

Hardware has no operations on currents: a neuron adds weights of the spikes that arrive. So scales, normalisations and
average poolings of currents become part of the weights in front of them, and scales of spikes part of the weights
behind.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from snn.convert.graph import AdaptivePool, Affine, Convolution, Dense, Flatten, Node, Pair, Pool, Sides

NEEDS_NEURONS = "follows another weighted layer without neurons between them; put neurons there, or make them one layer"


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """One projection in float64: dense if ``weight`` is (outputs, inputs), else a convolution as in
    :class:`snn.convert.graph.Convolution`. ``bias``: (outputs,)."""

    weight: Tensor
    bias: Tensor
    stride: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def dense(self) -> bool:
        """Whether every output reads every input."""
        return self.weight.dim() == 2

    def scaled(self, scale: Tensor, shift: Tensor) -> "Weights":
        """``scale * current + shift``, each (outputs,) or (1,)."""
        rows = scale.expand(len(self.bias)).view(-1, *[1] * (self.weight.dim() - 1))
        return replace(self, weight=self.weight * rows, bias=self.bias * scale + shift)

    def spread(self) -> "Weights":
        """The same convolution with dilation 1."""
        rows, columns = self.weight.shape[2:]
        down, right = self.dilation
        weight = self.weight.new_zeros(*self.weight.shape[:2], (rows - 1) * down + 1, (columns - 1) * right + 1)
        weight[:, :, ::down, ::right] = self.weight
        return replace(self, weight=weight, dilation=(1, 1))

    def even(self) -> "Weights":
        """The same convolution with as much padding above as below, and left as right; its kernel grows by zeros."""
        above, below, left, right = self.padding
        if above == below and left == right:
            return self
        down, across = max(above, below), max(left, right)
        grown = (across - left, across - right, down - above, down - below)
        weight = torch.nn.functional.pad(self.spread().weight, grown)
        return replace(self, weight=weight, padding=(down, down, across, across), dilation=(1, 1))

    def summed(self, kernel: Pair, stride: Pair) -> "Weights":
        """The sums of windows of currents, as one convolution."""
        fine = self.spread()
        down, right = fine.stride
        rows, columns = fine.weight.shape[2:]
        size = ((kernel[0] - 1) * down + rows, (kernel[1] - 1) * right + columns)
        weight = fine.weight.new_zeros(*fine.weight.shape[:2], *size)
        for row in range(kernel[0]):
            for column in range(kernel[1]):
                weight[:, :, row * down :, column * right :][:, :, :rows, :columns] += fine.weight
        return replace(fine, weight=weight, bias=fine.bias * prod(kernel), stride=(down * stride[0], right * stride[1]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """What happens on the way from a population to the neurons that it reaches.

    Attributes:
        source: the population, or the input.
        shape: of what the path carries so far, (C, H, W), or (features,).
        stages: poolings and flattenings of spikes, whose sizes are known.
        scale, shift: what is still to be done to the spikes: ``scale * o + shift``, (channels,) or (1,).
        weights: the projection, if there was one.
        flat: whether the currents of a convolution have become features.
        delayed: whether the spikes are those of the timestep before.
    """

    source: str
    shape: tuple[int, ...]
    stages: tuple[Pool | Flatten, ...] = ()
    scale: Tensor
    shift: Tensor
    weights: Weights | None = None
    flat: bool = False
    delayed: bool = False

    @classmethod
    def start(cls, source: str, shape: tuple[int, ...], *, amplitude: float = 1.0, delayed: bool = False) -> "Path":
        """The spikes as they are sent, each worth ``amplitude``."""
        scale = torch.tensor([amplitude], dtype=torch.float64)
        return cls(source=source, shape=shape, scale=scale, shift=0 * scale, delayed=delayed)

    def through(self, node: Node) -> "Path":
        """The path after one more operation; raises UserError if hardware has none that is equal."""
        return OPERATIONS[type(node)](self, node)

    @property
    def unchanged(self) -> bool:
        """Whether the spikes arrive as they are, at most pooled."""
        return self.weights is None and bool((self.scale == 1).all()) and not self.shift.any()

    def projected(self) -> Weights:
        """The projection at the path's end; the identity if there was none."""
        if self.weights is not None:
            return self.weights
        channels = self.shape[0]
        scale, shift = self.scale.expand(channels), self.shift.expand(channels)
        if len(self.shape) == 1:
            return Weights(weight=torch.diag(scale), bias=shift)
        return Weights(weight=scale.view(-1, 1, 1, 1), bias=shift, groups=channels)


def dense(path: Path, node: Dense) -> Path:
    """Behind a dense layer."""
    outputs, inputs = node.weight.shape
    weight, bias = node.weight.double(), bias_of(node)
    if path.weights is None:
        path = features(path)
    if path.shape != (inputs,):
        raise node.refuse(f"takes {inputs} features, and {path.shape} arrive; put a Flatten in front of it")
    if path.weights is None:
        shift = path.shift.expand(inputs)
        found = Weights(weight=weight * path.scale.expand(inputs), bias=bias + weight @ shift)
        return replace(at_rest(path), shape=(outputs,), weights=found)
    if not path.weights.dense:
        raise node.refuse(NEEDS_NEURONS)
    found = Weights(weight=weight @ path.weights.weight, bias=bias + weight @ path.weights.bias)
    return replace(path, shape=(outputs,), weights=found)


def convolution(path: Path, node: Convolution) -> Path:
    """Behind a convolution."""
    if path.weights is not None:
        raise node.refuse(NEEDS_NEURONS)
    weight, bias = node.weight.double(), bias_of(node)
    inputs = weight.shape[1] * node.groups
    if len(path.shape) != 3 or path.shape[0] != inputs:
        raise node.refuse(f"takes images of {inputs} channels, and {path.shape} arrive")
    by_group = path.scale.expand(inputs).view(node.groups, 1, -1)
    grouped = weight.flatten(2).unflatten(0, (node.groups, -1))
    shift = path.shift.expand(inputs).view(node.groups, 1, -1)
    if bool(shift.any()):
        if any(node.padding):
            raise node.refuse(
                "its padding is 0, but what it reads was shifted: a normalisation with a mean does not fold over "
                "padding; train with inputs from 0 to 1, or without padding"
            )
        bias = bias + (grouped.sum(3) * shift).sum(2).flatten()
    found = Weights(
        weight=(grouped * by_group.unsqueeze(3)).flatten(0, 1).view_as(weight),
        bias=bias,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
    )
    above, below, left, right = node.padding
    padded = (path.shape[1] + above + below, path.shape[2] + left + right)
    span = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], node.dilation, strict=True)]
    sizes = windows(padded, (span[0], span[1]), node.stride)
    if min(sizes) < 1:
        raise node.refuse(f"leaves nothing of {path.shape}")
    return replace(at_rest(path), shape=(len(weight), *sizes), weights=found)


def affine(path: Path, node: Affine) -> Path:
    """Behind a scaling of every channel."""
    scale, shift = node.scale.double(), node.shift.double()
    for values in (scale, shift):
        if len(values) not in (1, path.shape[0]):
            raise node.refuse(f"has {len(values)} channels, and {path.shape[0]} arrive")
    if path.weights is None:
        return replace(path, scale=path.scale * scale, shift=path.shift * scale + shift)
    if path.flat and max(len(scale), len(shift)) > 1:
        raise node.refuse("scales the features of a convolution; put it in front of the Flatten")
    return replace(path, weights=path.weights.scaled(scale, shift))


def pool(path: Path, node: Pool) -> Path:
    """Behind a pooling."""
    if len(path.shape) != 3:
        raise node.refuse(f"takes images, and {path.shape} arrive")
    kernel = node.kernel or (path.shape[1], path.shape[2])
    sized = replace(node, kernel=kernel, stride=node.stride if node.kernel else kernel)
    rows, columns = (size + 2 * side for size, side in zip(path.shape[1:], node.padding, strict=True))
    sizes = windows((rows, columns), kernel, sized.stride)
    if min(sizes) < 1:
        raise node.refuse(f"leaves nothing of {path.shape}")
    shape = (path.shape[0], *sizes)
    if path.weights is not None:
        return replace(path, shape=shape, weights=pooled_currents(path.weights, sized, kernel))
    if bool(path.shift.any()) and any(node.padding):
        raise node.refuse("its padding is 0, but what it reads was shifted; leave the shift or the padding out")
    if node.kind == "max" and not bool((path.scale > 0).all()):
        raise node.refuse("takes the largest of values that were scaled by 0 or less; scale behind it")
    area = prod(kernel) if node.kind == "sum" else 1
    return replace(path, shape=shape, stages=(*path.stages, sized), scale=path.scale * area, shift=path.shift * area)


def pooled_currents(weights: Weights, node: Pool, kernel: Pair) -> Weights:
    """A projection whose currents are pooled."""
    if node.kind == "max":
        raise node.refuse(
            "takes the largest current, and hardware has no such operation; put it behind the neurons, where it pools "
            "spikes, or take average pooling"
        )
    if any(node.padding):
        raise node.refuse("pads currents, and hardware has no such operation; put it behind the neurons")
    summed = weights.summed(kernel, node.stride)
    if node.kind == "sum":
        return summed
    return summed.scaled(summed.bias.new_tensor([1 / prod(kernel)]), summed.bias.new_zeros(1))


def adaptive_pool(path: Path, node: AdaptivePool) -> Path:
    """Behind a pooling to a given size."""
    if len(path.shape) != 3:
        raise node.refuse(f"takes images, and {path.shape} arrive")
    rows, columns = path.shape[1:]
    if min(node.size) < 1 or rows % node.size[0] or columns % node.size[1]:
        raise node.refuse(f"its windows over {rows}x{columns} differ in size; take a size that divides both")
    kernel = (rows // node.size[0], columns // node.size[1])
    return pool(path, Pool(name=node.name, sources=node.sources, kind=node.kind, kernel=kernel, stride=kernel))


def flatten(path: Path, node: Flatten) -> Path:
    """Behind a flattening."""
    if len(path.shape) == 1:
        return path
    count, places = prod(path.shape), prod(path.shape[1:])
    if path.weights is not None:
        return replace(path, shape=(count,), flat=True)
    scale, shift = (
        values if len(values) == 1 else values.repeat_interleave(places) for values in (path.scale, path.shift)
    )
    return replace(path, shape=(count,), stages=(*path.stages, node), scale=scale, shift=shift)


OPERATIONS: dict[type[Node], Callable[..., Path]] = {
    Dense: dense,
    Convolution: convolution,
    Affine: affine,
    Pool: pool,
    AdaptivePool: adaptive_pool,
    Flatten: flatten,
}
"""Every linear operation of a graph."""


def further(node: Node) -> Node:
    """What an operation does to another term of the sum that it reads: the same without its constant.

    Raises:
        UserError: it does not treat the terms of a sum one by one.
    """
    if isinstance(node, Pool | AdaptivePool) and node.kind == "max":
        raise node.refuse("takes the largest of sums, and hardware has no such operation; put neurons in front of it")
    if isinstance(node, Dense | Convolution):
        return replace(node, bias=None)
    return replace(node, shift=0 * node.shift) if isinstance(node, Affine) else node


def features(path: Path) -> Path:
    """Spikes of (C, 1, 1) neurons as features; others stay as they are."""
    if len(path.shape) == 3 and path.shape[1:] == (1, 1):
        return flatten(path, Flatten(name="features", sources=()))
    return path


def at_rest(path: Path) -> Path:
    """The path with nothing left to be done to the spikes."""
    start = Path.start(path.source, path.shape)
    return replace(path, scale=start.scale, shift=start.shift)


def bias_of(node: Dense | Convolution) -> Tensor:
    """The bias, (outputs,) in float64."""
    return torch.zeros(len(node.weight), dtype=torch.float64) if node.bias is None else node.bias.double()


def windows(sizes: Pair, kernel: Pair, stride: Pair) -> Pair:
    """Rows and columns of windows over images of ``sizes``."""
    return (sizes[0] - kernel[0]) // stride[0] + 1, (sizes[1] - kernel[1]) // stride[1] + 1
