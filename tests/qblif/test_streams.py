"""The order of bursts and weights in a stream, stated place by place."""

import itertools

import numpy as np
import pytest

from hw.engines.event.weights import from_stream_order, stream_order
from qblif.streams import BurstStream, beat_octets, beat_words, from_stream_beats, stream_beats

STREAMS = [
    (BurstStream(height=2, width=3, folds=2, steps=3, beats=2, group=2, burst_bits=3), (7, 2, 3)),
    (BurstStream(height=3, width=1, folds=1, steps=1, beats=3, group=1, burst_bits=3), (3, 3, 1)),
    (BurstStream(folds=2, steps=2, beats=1, group=7, burst_bits=3), (2, 2, 3)),
]
"""Streams, and the shapes of what they bring; the last brings a map as channels of one position."""


def channel_and_place(stream: BurstStream, shape: tuple[int, int, int], c: int, y: int, x: int) -> tuple[int, int]:
    """Channel and position of a neuron in the stream: its own, or one after the other of a single position."""
    if stream.height * stream.width == 1:
        return (c * shape[1] + y) * shape[2] + x, 0
    return c, y * stream.width + x


@pytest.mark.parametrize(("stream", "shape"), STREAMS)
def test_every_burst_has_its_place_in_a_beat(stream, shape):
    bursts = np.random.default_rng(1).integers(0, 8, (2, stream.steps, *shape))
    expected = np.zeros((2, stream.beats_per_inference, stream.group), dtype=np.int64)
    for number, step, c, y, x in itertools.product(*map(range, bursts.shape)):
        channel, position = channel_and_place(stream, shape, c, y, x)
        fold, channel = divmod(channel, stream.beats * stream.group)
        beat, part = divmod(channel, stream.group)
        row = ((position * stream.folds + fold) * stream.steps + step) * stream.beats + beat
        expected[number, row, part] = bursts[number, step, c, y, x]
    beats = stream_beats(bursts, stream)
    assert beats.tolist() == expected.tolist()
    assert from_stream_beats(beats, shape, stream).tolist() == bursts.tolist()


@pytest.mark.parametrize(("stream", "shape"), STREAMS)
def test_every_weight_of_a_dense_layer_has_the_row_of_its_burst(stream, shape):
    weights = np.random.default_rng(2).integers(-8, 8, (4, *shape))
    expected = np.zeros((4, stream.height * stream.width * stream.channels), dtype=np.int64)
    for target, c, y, x in itertools.product(*map(range, weights.shape)):
        channel, position = channel_and_place(stream, shape, c, y, x)
        expected[target, position * stream.channels + channel] = weights[target, c, y, x]
    rows = stream_order(weights.reshape(4, -1), stream)
    assert rows.tolist() == expected.tolist()
    assert from_stream_order(rows, (4, weights[0].size), stream).tolist() == weights.reshape(4, -1).tolist()


def test_every_weight_of_a_convolution_has_the_row_of_its_burst():
    stream, (channels, *_) = STREAMS[0]
    weights = np.random.default_rng(3).integers(-8, 8, (4, channels, 3, 2))
    expected = np.zeros((4, 3 * 2 * stream.channels), dtype=np.int64)
    for target, c, y, x in itertools.product(*map(range, weights.shape)):
        expected[target, (y * 2 + x) * stream.channels + c] = weights[target, c, y, x]
    rows = stream_order(weights, stream)
    assert rows.tolist() == expected.tolist()
    assert from_stream_order(rows, weights.shape, stream).tolist() == weights.tolist()


def test_the_lowest_channel_is_in_the_lowest_bits():
    beats = np.array([[[1, 0, 7], [2, 3, 0]]])
    assert beat_words(beats, 3) == [0o701, 0o032]
    assert beat_octets(beats, 3).tolist() == [[0o701 >> 8, 0o701 & 255], [0, 0o032]]


@pytest.mark.parametrize(("group", "bits"), [(1, 1), (8, 1), (14, 1), (5, 3), (1, 16), (112, 2)])
def test_words_are_sums_of_shifted_bursts(group, bits):
    beats = np.random.default_rng(4).integers(0, 2**bits, (3, 2, group))
    words = [
        sum(burst << place * bits for place, burst in enumerate(beat)) for beat in beats.reshape(-1, group).tolist()
    ]
    octets = beat_octets(beats, bits)
    assert octets.shape == (6, -(-group * bits // 8))
    assert [int.from_bytes(bytes(row), "big") for row in octets.tolist()] == words
    assert beat_words(beats, bits) == words
