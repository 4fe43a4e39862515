"""Rules for all parts of an integer network: limits, names, shapes and arrays of integers."""

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qblif.errors import UserError
from qblif.reading import shown

IntArray = NDArray[np.int64]


Shape = tuple[int, int, int]
"""Channels, height, width; a dense population of N neurons is (N, 1, 1)."""


NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


MOST_WEIGHT_BITS = 16


MOST_FRACTION_BITS = 32


MOST_TIMESTEPS = 4096


LARGEST_EXTENT = 2**16
"""Limit of a shape, kernel, stride or dilation in each direction."""


ADDED = {"added": True}
"""Metadata of a field that a later version added: it is written only if it differs from its default, so that networks
of older versions keep their bytes and hashes."""


MOST_NEURONS = 2**24
"""Limit of one node; far more than any board can process."""


MOST_WEIGHTS = 2**26
"""Of one projection, the zeros between groups included; far more than any board holds."""


LARGEST_BIAS = 2**40


LARGEST = 2**50
"""Bound of every sum in a network: exact in int64 and in float64."""


class NetworkError(UserError):
    """A network that breaks the rules for shapes, ranges, order or names."""


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
    """A shape in a form for messages."""
    return f"({', '.join(map(shown, shape[:4]))})" if isinstance(shape, tuple) else shown(shape)


def frozen_integers(values: Any, name: str) -> IntArray:
    """``values`` as a read-only int64 array; raises :class:`NetworkError` for anything but integers."""
    array = np.asarray(values)
    require(array.dtype.kind in "iu", f"{name} must be integers, not {array.dtype}")
    require(array.dtype != np.uint64 or bool((array < 2**63).all()), f"{name} holds integers beyond 2^63")
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array


def require_name(name: object) -> None:
    """Raise :class:`NetworkError` unless ``name`` is a valid name of a node and of hardware modules."""
    fine = isinstance(name, str) and NAME.fullmatch(name) is not None
    require(fine, f"{shown(name)} is not a name of at most 100 letters, digits and _")
