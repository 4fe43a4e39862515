"""Integer weights, sorted in the order in which bursts arrive and packed into the synapse array's rows, and back."""

import numpy as np

from qblif.network.checks import IntArray
from qblif.streams import BurstStream


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


def pack_weights(weights: IntArray, *, lanes: int, folds: int, rows: int, bits: int) -> tuple[int, ...]:
    """One word per row and fold; lane k's weight in bits ``k * bits`` upward, two's complement.

    Args:
        weights: (channels, fan-in), fan-in at most ``rows`` and channels at most ``lanes * folds``; the rest is 0.

    Returns:
        ``folds * rows`` words; fold f's row r is word ``f * rows + r`` and lane k of it is channel ``f * lanes + k``.
    """
    padded = np.zeros((folds * lanes, rows), dtype=np.int64)
    padded[: weights.shape[0], : weights.shape[1]] = weights
    fields = padded.reshape(folds, lanes, rows).transpose(0, 2, 1).reshape(folds * rows, lanes) & (2**bits - 1)
    return tuple(sum(field << (lane * bits) for lane, field in enumerate(row)) for row in fields.tolist())


def unpack_weights(words: tuple[int, ...], *, shape: tuple[int, int], lanes: int, folds: int, bits: int) -> IntArray:
    """The weights, (channels, fan-in), that :func:`pack_weights` packed; exact inverse."""
    rows = len(words) // folds
    fields = np.array([[word >> (lane * bits) & (2**bits - 1) for lane in range(lanes)] for word in words])
    signed = fields - (fields >> (bits - 1) << bits)
    channels = signed.reshape(folds, rows, lanes).transpose(0, 2, 1).reshape(folds * lanes, rows)
    return channels[: shape[0], : shape[1]].astype(np.int64)
