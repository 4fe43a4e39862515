"""The order in which things travel in a stream of bursts: weights, and bursts as beats. Needs numpy alone."""

import numpy as np

from hw.configuration import BurstStream
from hw.network import IntArray, Shape


def stream_order(weights: IntArray, source: BurstStream) -> IntArray:
    """Weights with their fan-in in the order in which a window's beats arrive: row -> column -> channel.

    Args:
        weights: (channels, C, kernel height, kernel width), or dense (channels, C*H*W) in (C, H, W) order.
        source: the stream that brings the bursts; its padding channels get weight 0.

    Returns:
        (channels, kernel height * kernel width * source.channels).
    """
    if weights.ndim == 2:
        weights = weights.reshape(len(weights), -1, source.height, source.width)
    missing = source.channels - weights.shape[1]
    full = np.pad(weights, ((0, 0), (0, missing), (0, 0), (0, 0)))
    return full.transpose(0, 2, 3, 1).reshape(len(weights), -1)


def from_stream_order(rows: IntArray, shape: tuple[int, ...], source: BurstStream) -> IntArray:
    """The weights of ``shape`` that :func:`stream_order` turned into ``rows``; exact inverse."""
    height, width = shape[2:] if len(shape) == 4 else (source.height, source.width)
    full = rows.reshape(len(rows), height, width, source.channels).transpose(0, 3, 1, 2)
    channels = int(np.prod(shape[1:])) // (height * width)
    return full[:, :channels].reshape(shape)


def stream_beats(bursts: IntArray, stream: BurstStream) -> IntArray:
    """Bursts in stream order: position -> fold -> timestep -> beat, padded with burst 0.

    Args:
        bursts: (count, steps, C, H, W) as :func:`hw.network.encode` gives them.
        stream: shape of the stream; where it has one position, the whole (C, H, W) is its channels.

    Returns:
        int64 (count, beats, group).
    """
    count, steps = bursts.shape[:2]
    shaped = bursts.reshape(count, steps, -1, stream.height, stream.width)
    padded = np.pad(shaped, ((0, 0), (0, 0), (0, stream.channels - shaped.shape[2]), (0, 0), (0, 0)))
    split = padded.reshape(count, steps, stream.folds, stream.beats, stream.group, stream.height, stream.width)
    return split.transpose(0, 5, 6, 2, 1, 3, 4).reshape(count, -1, stream.group)


def from_stream_beats(beats: IntArray, shape: Shape, stream: BurstStream) -> IntArray:
    """The bursts (count, steps, C, H, W) of a node of ``shape`` that :func:`stream_beats` turned into ``beats``."""
    axes = (stream.height, stream.width, stream.folds, stream.steps, stream.beats, stream.group)
    split = beats.reshape(len(beats), *axes).transpose(0, 4, 3, 5, 6, 1, 2)
    full = split.reshape(len(beats), stream.steps, stream.channels, stream.height, stream.width)
    channels = int(np.prod(shape)) // (stream.height * stream.width)
    return full[:, :, :channels].reshape(len(beats), stream.steps, *shape)


def beat_words(beats: IntArray, burst_bits: int) -> list[int]:
    """Each beat, (..., group), as one integer with the lowest channel in the lowest bits."""
    return [
        sum(burst << (position * burst_bits) for position, burst in enumerate(beat))
        for beat in beats.reshape(-1, beats.shape[-1]).tolist()
    ]
