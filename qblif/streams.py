"""Streams of bursts: their shape, and the order in which bursts travel as beats. Needs only numpy."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from qblif.network.checks import IntArray, Shape


@dataclass(frozen=True, kw_only=True)
class BurstStream:
    """Shape of a stream of bursts: position (raster) -> fold -> timestep -> beat of neighbouring channels.

    Attributes:
        height, width: positions; 1 and 1 for dense populations.
        folds: folds of the population that sends it.
        steps: timesteps; 1 for a direct input, which is sent once for all of them.
        merged: timesteps that share a beat; ``steps`` then counts groups of so many timesteps.
        beats: beats of one (group of) timesteps of one fold.
        group: G, bursts per beat: of ``group // merged`` channels, timestep after timestep.
        burst_bits: bits of one burst.
    """

    height: int = 1
    width: int = 1
    folds: int = 1
    steps: int
    merged: int = 1
    beats: int
    group: int
    burst_bits: int

    @property
    def channels(self) -> int:
        """Channels of all folds, padding included."""
        return self.group // self.merged * self.beats * self.folds

    @property
    def timesteps(self) -> int:
        """Timesteps of a position, merged or not."""
        return self.steps * self.merged

    def regrouped(self, group: int) -> Self:
        """The same stream with beats of another width."""
        return replace(self, group=group, beats=self.beats * self.group // group)

    @property
    def beats_per_position(self) -> int:
        return self.folds * self.steps * self.beats

    @property
    def beats_per_inference(self) -> int:
        return self.height * self.width * self.beats_per_position


def stream_beats(bursts: IntArray, stream: BurstStream) -> IntArray:
    """Bursts in stream order: position -> fold -> timestep -> beat, padded with burst 0.

    Args:
        bursts: (count, timesteps, C, H, W) as :func:`qblif.network.coding.encode` returns them.
        stream: shape of the stream; if it has one position, all of (C, H, W) are its channels.

    Returns:
        int64 (count, beats, group).
    """
    count, timesteps = bursts.shape[:2]
    shaped = bursts.reshape(count, timesteps, -1, stream.height, stream.width)
    padded = np.pad(shaped, ((0, 0), (0, 0), (0, stream.channels - shaped.shape[2]), (0, 0), (0, 0)))
    axes = (stream.folds, stream.beats, stream.group // stream.merged, stream.height, stream.width)
    split = padded.reshape(count, -1, stream.merged, *axes)
    return split.transpose(0, 6, 7, 3, 1, 4, 2, 5).reshape(count, -1, stream.group)


def from_stream_beats(beats: IntArray, shape: Shape, stream: BurstStream) -> IntArray:
    """The bursts (count, steps, C, H, W) of a node of ``shape`` that :func:`stream_beats` turned into ``beats``."""
    axes = (stream.height, stream.width, stream.folds, stream.steps, stream.beats, stream.merged)
    split = beats.reshape(len(beats), *axes, -1).transpose(0, 4, 6, 3, 5, 7, 1, 2)
    full = split.reshape(len(beats), stream.timesteps, stream.channels, stream.height, stream.width)
    channels = int(np.prod(shape)) // (stream.height * stream.width)
    return full[:, :, :channels].reshape(len(beats), stream.timesteps, *shape)


def beat_octets(beats: IntArray, burst_bits: int) -> npt.NDArray[np.uint8]:
    """Each beat, (..., group), as whole bytes with the highest first and the lowest channel in the lowest bits: uint8
    (beats, bytes)."""
    bursts = beats.reshape(-1, beats.shape[-1])
    bits = np.empty((*bursts.shape, burst_bits), dtype=np.uint8)
    for place in range(burst_bits):
        bits[:, :, place] = bursts >> place & 1
    return np.packbits(bits.reshape(len(bursts), bursts.shape[1] * burst_bits), axis=1, bitorder="little")[:, ::-1]


def beat_words(beats: IntArray, burst_bits: int) -> list[int]:
    """Each beat, (..., group), as one integer with the lowest channel in the lowest bits."""
    return [int.from_bytes(octets.tobytes(), "big") for octets in beat_octets(beats, burst_bits)]
