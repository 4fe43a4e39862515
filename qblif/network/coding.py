"""The input coding: raw samples to bursts. Needs only numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qblif.network.checks import IntArray, require
from qblif.network.nodes import InputSpec


def encode(samples: NDArray[Any], spec: InputSpec) -> IntArray:
    """Turn raw samples into input bursts; the only definition of the input coding, for training, golden model and host.

    Args:
        samples: ``direct``: unsigned bytes of shape (count, C, H, W) or (count, H, W) with one channel;
            ``events``: counts of shape (count, T, C, H, W); ``frames``: unsigned bytes of that shape.
        spec: the network's input.

    Returns:
        int64 bursts of shape (count, steps, C, H, W); steps is 1 for ``direct``.

    Raises:
        NetworkError: the samples' shape or type does not fit the input.
    """
    samples = np.asarray(samples)
    if spec.coding != "events":
        require(samples.dtype == np.uint8, f"{spec.coding} input takes unsigned bytes, not {samples.dtype}")
    if spec.coding == "direct":
        require(samples.size == len(samples) * np.prod(spec.shape), f"samples {samples.shape}, input {spec.shape}")
        return levels(samples.reshape(len(samples), 1, *spec.shape), spec)
    require(samples.ndim == 5 and samples.shape[2:] == spec.shape, f"samples {samples.shape}, input {spec.shape}")
    if spec.coding == "frames":
        return levels(samples, spec)
    require(samples.dtype.kind in "iu" and bool((samples >= 0).all()), "event counts must be integers from 0 upward")
    return np.minimum(samples.astype(np.int64), spec.burst_ceiling)


def levels(samples: NDArray[np.uint8], spec: InputSpec) -> IntArray:
    """The nearest of the bursts 0 to ``2^bits - 1`` for every byte."""
    return (2 * samples.astype(np.int64) * spec.burst_ceiling + 255) // 510
