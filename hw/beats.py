"""Samples as the beats of the network's input stream; numpy only, so that the host driver can use it."""

import numpy as np

from hw.configuration import BurstStream
from hw.network import IntArray


def input_beats(bursts: IntArray, stream: BurstStream) -> IntArray:
    """Bursts in stream order: position -> timestep -> group, padded with burst 0.

    Args:
        bursts: (count, steps, C, H, W) as :func:`hw.network.encode` gives them.
        stream: shape of the input stream.

    Returns:
        int64 (count, steps * beats, group).
    """
    count, steps = bursts.shape[:2]
    padded = np.zeros((count, steps, stream.rows), dtype=np.int64)
    flat = bursts.reshape(count, steps, -1)
    padded[:, :, : flat.shape[2]] = flat
    return padded.reshape(count, steps * stream.beats, stream.group)


def beat_words(beats: IntArray, burst_bits: int) -> list[int]:
    """Each beat, (..., group), as one integer with the lowest channel in the lowest bits."""
    return [
        sum(burst << (position * burst_bits) for position, burst in enumerate(beat))
        for beat in beats.reshape(-1, beats.shape[-1]).tolist()
    ]
