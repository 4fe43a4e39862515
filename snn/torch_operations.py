"""What torch's own modules and functions do to bursts, where they stand between our layers.

What is exactly an integer operation that the hardware has is taken: Flatten, Identity, Dropout (which does nothing
outside training), and poolings over square windows that do not overlap, whose division folds into the next weights.
Everything else would train and then have no hardware, so it is refused at once.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from qblif.errors import UserError
from snn.bursts import Bursts, Flatten, MaxPool2d, SumPool2d

WAY_OUT = (
    "between layers stand SpikingLayer, SumPool2d, MaxPool2d and Flatten, or torch's Flatten, Dropout, Identity and "
    "poolings of square windows that do not overlap"
)


class NotOnBurstsError(UserError, AttributeError):
    """An operation that bursts do not have, in training and hardware alike."""


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
    """``function`` on the counts, every timestep on its own."""

    def drop(bursts: Bursts, p: float = 0.5, training: bool = True, inplace: bool = False) -> Bursts:
        del inplace
        if not training:
            return bursts
        counts = function(bursts.counts.flatten(0, 1), p, True)
        return replace(bursts, counts=counts.unflatten(0, bursts.counts.shape[:2]))

    return drop


def pair(value: Any) -> tuple[int, int]:
    """Height and width of what torch takes as one number or two."""
    height, width = value if isinstance(value, tuple | list) else (value, value)
    return height, width


def pool(kind: type[SumPool2d | MaxPool2d], bursts: Bursts, kernel: tuple[int, int], *, plain: bool) -> Bursts:
    """Pooling in integers; ``plain`` says that nothing asks for more. Raises NotOnBurstsError where that differs."""
    if not plain or kernel[0] != kernel[1]:
        raise NotOnBurstsError(
            "only pooling over square windows that do not overlap, without padding, has hardware; "
            f"take {kind.__name__}(kernel)"
        )
    if kernel[0] == 1:
        return bursts
    pooled = kind(kernel[0])(bursts)
    assert isinstance(pooled, Bursts)
    return pooled


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
    del count_include_pad
    kernel = pair(kernel_size)
    same = (pair(stride or kernel), pair(padding)) == (kernel, (0, 0))
    plain = same and not ceil_mode and divisor_override in (None, kernel[0] * kernel[1])
    return pool(SumPool2d, bursts, kernel, plain=plain)


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
    kernel = pair(kernel_size)
    same = (pair(stride or kernel), pair(padding), pair(dilation)) == (kernel, (0, 0), (1, 1))
    return pool(MaxPool2d, bursts, kernel, plain=same and not ceil_mode and not return_indices)


def adaptive_pool(kind: type[SumPool2d | MaxPool2d]) -> Callable[..., Bursts]:
    """torch.nn.functional.adaptive_avg_pool2d or adaptive_max_pool2d, where all windows are alike."""

    def adaptive(bursts: Bursts, output_size: Any, return_indices: bool = False) -> Bursts:
        sizes = tuple(bursts.counts.shape[3:])
        wanted = tuple(size or own for size, own in zip(pair(output_size), sizes, strict=False))
        alike = len(sizes) == 2 and all(own % size == 0 for own, size in zip(sizes, wanted, strict=True))
        kernel = (sizes[0] // wanted[0], sizes[1] // wanted[1]) if alike else (0, 0)
        return pool(kind, bursts, kernel, plain=alike and not return_indices)

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
"""What is exact, by the name of torch's function."""
INSTEAD = {
    "linear": "take SpikingLayer(QuantLinear(...), QBLIF(...))",
    "conv2d": "take SpikingLayer(QuantConv2d(...), QBLIF(...))",
    "batch_norm": "QuantLinear and QuantConv2d have BatchNorm inside, which folds into their weights",
    "relu": "bursts are never negative, so leave it out",
}
"""What to take for others that are often met."""


def apply(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bursts:
    """``function`` of bursts; raises NotOnBurstsError where the hardware has no such thing."""
    name = getattr(function, "__name__", str(function))
    if name not in OPERATIONS or not isinstance(args[0] if args else None, Bursts):
        raise NotOnBurstsError(f"torch's {name} cannot stand between layers; {INSTEAD.get(name, WAY_OUT)}")
    return OPERATIONS[name](*args, **kwargs)
