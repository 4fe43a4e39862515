"""The effect of torch's own modules and functions on bursts, when they are used between our layers.

Operations that are exact in integers and exist in hardware are accepted: Flatten, Identity, Dropout (which does nothing
outside training), and poolings, whose division folds into the next weights. Everything else would train but have no
hardware, so it is refused at once.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from qblif.errors import UserError
from qblif.network.window import per_axis
from snn.bursts import Bursts, Flatten, MaxPool2d, SumPool2d

WAY_OUT = (
    "between layers stand SpikingLayer, SumPool2d, MaxPool2d and Flatten, or torch's Flatten, Dropout, Identity and "
    "poolings"
)


class NotOnBurstsError(UserError, AttributeError):
    """An operation that bursts do not have, neither in training nor in hardware."""


def flatten(bursts: Bursts, start_dim: int = 0, end_dim: int = -1) -> Bursts:
    """(batch, C, H, W) as (batch, C*H*W); raises NotOnBurstsError for other dimensions."""
    last = bursts.dim() - 1
    if start_dim % (last + 1) != 1 or end_dim % (last + 1) != last:
        raise NotOnBurstsError(
            f"bursts are flattened from dimension 1 to -1, not {start_dim} to {end_dim}; take Flatten()"
        )
    flat = Flatten()(bursts)
    assert isinstance(flat, Bursts)
    return flat


def dropout(
    function: Callable[..., torch.Tensor],
) -> Callable[..., Bursts]:
    """``function`` applied to the counts, independently for every timestep."""

    def drop(bursts: Bursts, p: float = 0.5, training: bool = True, inplace: bool = False) -> Bursts:
        del inplace
        if not training:
            return bursts
        counts = function(bursts.counts.flatten(0, 1), p, True)
        return replace(bursts, counts=counts.unflatten(0, bursts.counts.shape[:2]))

    return drop


def pooled(
    kind: type[SumPool2d | MaxPool2d], bursts: Bursts, kernel: Any, stride: Any = None, padding: Any = 0
) -> Bursts:
    """Pooling in integers; raises UserError for windows that have no hardware."""
    height, width = per_axis(kernel)
    step = per_axis(stride or kernel)
    if (height, width) == step == (1, 1):
        return bursts
    pooled = kind((height, width), stride=step, padding=per_axis(padding))(bursts)
    assert isinstance(pooled, Bursts)
    return pooled


def refuse(option: str, kind: type[SumPool2d | MaxPool2d]) -> NotOnBurstsError:
    """The error for an option of a pooling that has no hardware."""
    return NotOnBurstsError(f"a pooling with {option} has no hardware; take {kind.__name__}(kernel, stride=, padding=)")


def average_pool(
    bursts: Bursts,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Bursts:
    """torch.nn.functional.avg_pool2d."""
    height, width = per_axis(kernel_size)
    if ceil_mode:
        raise refuse("ceil_mode", SumPool2d)
    if divisor_override not in (None, height * width):
        raise refuse("divisor_override", SumPool2d)
    if not count_include_pad and per_axis(padding) != (0, 0):
        raise refuse("count_include_pad=False", SumPool2d)
    return pooled(SumPool2d, bursts, kernel_size, stride, padding)


def max_pool(
    bursts: Bursts,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Bursts:
    """torch.nn.functional.max_pool2d."""
    for option, given in {
        "dilation": per_axis(dilation) != (1, 1),
        "ceil_mode": ceil_mode,
        "return_indices": return_indices,
    }.items():
        if given:
            raise refuse(option, MaxPool2d)
    return pooled(MaxPool2d, bursts, kernel_size, stride, padding)


def adaptive_pool(kind: type[SumPool2d | MaxPool2d]) -> Callable[..., Bursts]:
    """torch.nn.functional.adaptive_avg_pool2d or adaptive_max_pool2d, if all windows have the same size."""

    def adaptive(bursts: Bursts, output_size: Any, return_indices: bool = False) -> Bursts:
        sizes = tuple(bursts.counts.shape[3:])
        wanted = tuple(size or own for size, own in zip(per_axis(output_size), sizes, strict=False))
        alike = len(sizes) == 2 and all(own % size == 0 for own, size in zip(sizes, wanted, strict=True))
        if not alike:
            raise refuse("windows of several sizes", kind)
        if return_indices:
            raise refuse("return_indices", kind)
        return pooled(kind, bursts, (sizes[0] // wanted[0], sizes[1] // wanted[1]))

    return adaptive


OPERATIONS: dict[str, Callable[..., Bursts]] = {
    "flatten": flatten,
    "dropout": dropout(nn.functional.dropout),
    "dropout2d": dropout(nn.functional.dropout2d),
    "avg_pool2d": average_pool,
    "max_pool2d": max_pool,
    "adaptive_avg_pool2d": adaptive_pool(SumPool2d),
    "adaptive_max_pool2d": adaptive_pool(MaxPool2d),
}
"""The exact operations, by the name of torch's function."""
INSTEAD = {
    "linear": "take SpikingLayer(QuantLinear(...), QBLIF(...))",
    "conv2d": "take SpikingLayer(QuantConv2d(...), QBLIF(...))",
    "batch_norm": "QuantLinear and QuantConv2d have BatchNorm inside, which folds into their weights",
    "relu": "bursts are never negative, so leave it out",
}
"""Advice for other functions that are often used."""


def apply(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bursts:
    """``function`` applied to bursts; raises NotOnBurstsError if the hardware has no such operation."""
    name = getattr(function, "__name__", str(function))
    if name not in OPERATIONS or not isinstance(args[0] if args else None, Bursts):
        raise NotOnBurstsError(f"torch's {name} cannot stand between layers; {INSTEAD.get(name, WAY_OUT)}")
    return OPERATIONS[name](*args, **kwargs)
