"""Nodes of NIR graphs without a state: weights, poolings, and the shapes between them."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from qblif.reading import shown
from snn.convert.graph import Affine, Convolution, Dense, Flatten, Node, Pair, Pool, Sides
from snn.convert.nir.items import Item
from snn.convert.nir.neurons import per_channel

Dimensions = tuple[int, ...]
"""What NIR calls a shape: (features,), (channels, length) or (channels, rows, columns)."""
LARGEST = 2**26
"""Values that a node may give; no device holds as many."""


def declared(item: Item, side: Literal["input", "output"], missing: Dimensions | None = None) -> Dimensions:
    """The shape that a node itself says; raises UserError."""
    types = getattr(item.node, f"{side}_type", None)
    values: Any = types.get(side) if isinstance(types, dict) else None
    if values is None and missing is not None:
        return missing
    item.require(values is not None, "has no shape; give it one")
    try:
        sizes = tuple(values)
        shape = tuple(map(int, sizes))
    except (TypeError, ValueError, OverflowError):
        raise item.refuse(f"its shape is {shown(values)} instead of whole numbers; repair it") from None
    fine = shape == sizes and 1 <= len(shape) <= 3 and min(shape) > 0 and math.prod(shape) <= LARGEST
    expected = "(features,), (channels, length) or (channels, rows, columns)"
    item.require(fine, f"its shape is {sizes[:5]}, not {expected} without a batch; repair it")
    return shape


def check_shape(item: Item, shape: Dimensions) -> None:
    """Raise UserError unless a node expects the shape that arrives, or says nothing about it."""
    expected = declared(item, "input", missing=shape)
    item.require(expected == shape, f"expects {expected} and gets {shape}; make them the same")


def tensor(item: Item, name: str, dimensions: int) -> Tensor:
    """Weights with so many dimensions; raises UserError."""
    values = item.numbers(name)
    item.require(
        values.ndim == dimensions and values.size > 0,
        f"{name} has shape {values.shape}, and {dimensions} dimensions are expected; reshape it",
    )
    return torch.from_numpy(values)


def bias(item: Item, channels: int) -> Tensor | None:
    """The bias of weights; raises UserError."""
    if getattr(item.node, "bias", None) is None:
        return None
    values = tensor(item, "bias", 1)
    item.require(len(values) == channels, f"{len(values)} biases for {channels} channels; make them as many")
    return values if bool(values.any()) else None


def whole(item: Item, name: str, count: int, least: int) -> tuple[int, ...]:
    """An attribute as ``count`` whole numbers, or one for all; raises UserError."""
    values = item.numbers(name)
    fine = values.size in (1, count) and bool((values % 1 == 0).all()) and bool((abs(values) < LARGEST).all())
    item.require(fine, f"{name} is not {count} whole numbers; repair it")
    numbers = tuple(int(value) for value in values.flatten()) * (count if values.size == 1 else 1)
    item.require(min(numbers) >= least, f"{name} {numbers} is less than {least}; repair it")
    return numbers


def dense(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """Affine or Linear."""
    weight = tensor(item, "weight", 2)
    outputs, inputs = weight.shape
    item.require(
        shape == (inputs,), f"has weights for ({inputs},) features and gets {shape}; Flatten makes features of images"
    )
    return Dense(name=item.name, sources=sources, weight=weight, bias=bias(item, outputs)), (outputs,)


def convolution(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """Conv1d or Conv2d."""
    axes = 1 if item.kind == "Conv1d" else 2
    weight = tensor(item, "weight", axes + 2)
    (groups,) = whole(item, "groups", 1, 1)
    item.require(len(shape) == axes + 1, f"has windows over {axes} axes and gets {shape}; reshape what arrives")
    outputs, inputs, *kernel = weight.shape
    item.require(
        shape[0] == inputs * groups and outputs % groups == 0,
        f"weights {tuple(weight.shape)} in {groups} groups do not fit {shape[0]} channels; correct them",
    )
    if item.node.input_shape is not None:
        sizes = whole(item, "input_shape", axes, 1)
        item.require(sizes == shape[1:], f"input_shape is {sizes} and {shape[1:]} arrives; make them the same")
    stride, dilation = (whole(item, name, axes, 1) for name in ("stride", "dilation"))
    padding = [pad for one in padded(item, kernel, stride, dilation) for pad in one]
    sizes = tuple(
        (size + padding[2 * axis] + padding[2 * axis + 1] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis, size in enumerate(shape[1:])
    )
    if axes == 1:
        weight, padding = weight.unsqueeze(2), [0, 0, *padding]
        stride, dilation = (1, *stride), (1, *dilation)
    node = Convolution(
        name=item.name,
        sources=sources,
        weight=weight,
        bias=bias(item, outputs),
        stride=pair(stride),
        padding=four(padding),
        dilation=pair(dilation),
        groups=groups,
    )
    return node, (outputs, *sizes)


def padded(item: Item, kernel: list[int], stride: Dimensions, dilation: Dimensions) -> list[Pair]:
    """Zeros before and behind each axis; raises UserError. With 'same' the odd one comes behind, as in PyTorch."""
    given = item.node.padding
    if not isinstance(given, str):
        return [(pad, pad) for pad in whole(item, "padding", len(kernel), 0)]
    item.require(given in ("same", "valid"), f"padding {shown(given)} is neither 'same' nor 'valid'; give numbers")
    if given == "valid":
        return [(0, 0)] * len(kernel)
    item.require(max(stride) == 1, "padding 'same' with a stride above 1 has no meaning in PyTorch; give numbers")
    totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


def pair(numbers: tuple[int, ...]) -> Pair:
    """Two numbers, for rows and columns."""
    rows, columns = numbers
    return rows, columns


def four(numbers: list[int]) -> Sides:
    """Four numbers, for the sides of an image."""
    above, below, left, right = numbers
    return above, below, left, right


def pool(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """SumPool2d or AvgPool2d."""
    item.require(len(shape) == 3, f"pools (channels, rows, columns) and gets {shape}; reshape what arrives")
    kernel, stride = (pair(whole(item, name, 2, 1)) for name in ("kernel_size", "stride"))
    padding = pair(whole(item, "padding", 2, 0))
    average = item.kind == "AvgPool2d"
    unclear = "NIR does not say whether an average counts padding; take padding 0, or SumPool2d and Scale"
    item.require(not (average and any(padding)), unclear)
    node = Pool(
        name=item.name,
        sources=sources,
        kind="average" if average else "sum",
        kernel=kernel,
        stride=stride,
        padding=padding,
    )
    sizes = [(size + 2 * padding[axis] - kernel[axis]) // stride[axis] + 1 for axis, size in enumerate(shape[1:])]
    return node, (shape[0], *sizes)


def flatten(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """Flatten of all dimensions; NIR counts them without the batch."""
    check_shape(item, shape)
    (start,), (end,) = (whole(item, name, 1, -len(shape)) for name in ("start_dim", "end_dim"))
    last = len(shape) - 1
    fine = start in (0, -len(shape)) and end in (last, -1)
    item.require(
        fine, f"flattens dimensions {start} to {end} of {shape}, not all; NIR counts no batch, so take 0 and -1"
    )
    return Flatten(name=item.name, sources=sources), (math.prod(shape),)


def scale(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """Scale by channels."""
    factors = torch.from_numpy(per_channel(item, "scale", shape).copy())
    return Affine(name=item.name, sources=sources, scale=factors, shift=torch.zeros(1).double()), shape


LAYERS: dict[str, Callable[[Item, tuple[str, ...], Dimensions], tuple[Node, Dimensions]]] = {
    "Affine": dense,
    "Linear": dense,
    "Conv1d": convolution,
    "Conv2d": convolution,
    "SumPool2d": pool,
    "AvgPool2d": pool,
    "Flatten": flatten,
    "Scale": scale,
}
"""Nodes without a state: each gives its node and the shape of what that gives."""
