"""Spike trains of images and recordings: rate, latency and delta coding, as snntorch.spikegen defines them.

Each function gives event counts of 0 and 1, which a network with the input coding ``events`` takes. The same samples
and the same seed give the same spikes everywhere: in training, in the golden model, and on the host of a board. Needs
only numpy.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qblif.network.checks import MOST_TIMESTEPS, require

Bytes = NDArray[np.uint8]
EPSILON = 1e-7
"""The smallest distance from the threshold, as in snnTorch; it keeps the latest spike finite."""


def rate(
    samples: NDArray[Any], timesteps: int, *, seed: int, first: int = 0, gain: float = 1.0, offset: float = 0.0
) -> Bytes:
    """Spikes whose probability at every timestep is ``gain * x + offset``, for x from 0 to 1.

    Args:
        samples: unsigned bytes, (count, C, H, W); x is a byte divided by 255.
        timesteps: T.
        seed: of the random numbers. Each sample has its own, which follow from the seed and its place.
        first: the place of the first sample in its data set, so that parts of a set can be coded one by one.
        gain, offset: as above; what is outside 0 to 1 is clipped.

    Returns:
        uint8 (count, T, C, H, W).

    Raises:
        NetworkError: the samples are not bytes of that shape, or the timesteps are too few or too many.
    """
    check(samples, 4, timesteps)
    chance = np.clip(samples / 255 * gain + offset, 0, 1)
    spikes = np.empty((len(samples), timesteps, *samples.shape[1:]), dtype=np.uint8)
    for place, probability in enumerate(chance):
        random = np.random.default_rng((seed, first + place))
        spikes[place] = random.random((timesteps, *probability.shape)) < probability
    return spikes


def latency(
    samples: NDArray[Any],
    timesteps: int,
    *,
    tau: float = 1.0,
    threshold: float = 0.01,
    linear: bool = False,
    normalize: bool = False,
    clip: bool = False,
) -> Bytes:
    """One spike for each value, the earlier the larger it is.

    The spike comes at ``tau * ln(x / (x - threshold))``, or, if ``linear``, at ``tau * (1 - x)``, rounded to a whole
    timestep; values below the threshold count as the threshold. Spikes behind the last timestep are lost.

    Args:
        samples: unsigned bytes, (count, C, H, W); x is a byte divided by 255.
        timesteps: T.
        tau: the time constant in timesteps.
        threshold: the smallest x that fires.
        linear: as above.
        normalize: choose tau so that x = 0 fires at the last timestep. snnTorch takes the smallest x that it is given.
        clip: leave out the spikes of values below the threshold.

    Returns:
        uint8 (count, T, C, H, W).

    Raises:
        NetworkError: the samples are not bytes of that shape, or a number is outside its range.
    """
    check(samples, 4, timesteps)
    require(0 < threshold < 1, f"the threshold {threshold:g} is not between 0 and 1")
    require(0 < tau < math.inf, f"tau {tau:g} is not a number above 0")
    every = np.arange(256) / 255
    if linear:
        factor = timesteps - 1 if normalize else tau
        times = np.minimum(factor * (1 - every), factor * (1 - threshold))
    else:
        saturated = np.maximum(every, threshold + EPSILON)
        times = tau * np.log(saturated / (saturated - threshold))
        if normalize:
            times = times * (timesteps - 1) / times.max()
    steps = np.rint(times).astype(np.int64)
    table = steps == np.arange(timesteps)[:, np.newaxis]
    if clip:
        table &= every >= threshold
    return np.moveaxis(table[:, samples], 0, 1).astype(np.uint8)


def delta(recordings: NDArray[Any], *, threshold: float, padding: bool = False, off_spikes: bool = False) -> Bytes:
    """Spikes where a value has grown by at least ``threshold`` since the timestep before.

    Args:
        recordings: unsigned bytes, (count, T, C, H, W); the threshold is compared with bytes divided by 255.
        threshold: above 0.
        padding: whether the first timestep is compared with itself, not with 0.
        off_spikes: also give spikes where a value has fallen by as much, as C more channels behind the others.

    Returns:
        uint8 (count, T, C, H, W), or (count, T, 2 * C, H, W).

    Raises:
        NetworkError: the recordings are not bytes of that shape, or the threshold is outside its range.
    """
    check(recordings, 5, recordings.shape[1] if recordings.ndim > 1 else 0)
    require(0 < threshold <= 1, f"the threshold {threshold:g} is not above 0 and at most 1")
    values = recordings.astype(np.int64)
    before = np.concatenate([values[:, :1] if padding else np.zeros_like(values[:, :1]), values[:, :-1]], axis=1)
    risen = values - before
    parts = [risen >= threshold * 255, risen <= -threshold * 255] if off_spikes else [risen >= threshold * 255]
    return np.concatenate(parts, axis=2).astype(np.uint8)


def check(samples: NDArray[Any], dimensions: int, timesteps: int) -> None:
    """Raise NetworkError unless these are unsigned bytes of so many dimensions, and T is possible."""
    require(samples.dtype == np.uint8, f"spikes are made of unsigned bytes, not {samples.dtype}")
    require(samples.ndim == dimensions, f"the samples have {samples.ndim} dimensions, not {dimensions}")
    require(1 <= timesteps <= MOST_TIMESTEPS, f"{timesteps} timesteps are not 1 to {MOST_TIMESTEPS}")
