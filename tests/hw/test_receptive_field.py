import pytest

from hw.configuration import BurstStream
from hw.receptive_field import DenseReceptiveField
from tests.hw.streams import PAUSES, through

CASES = [
    (BurstStream(group=2, burst_bits=2, beats=3, folds=1, steps=2), 2),
    (BurstStream(group=2, burst_bits=2, beats=2, folds=3, steps=4), 1),
    (BurstStream(group=1, burst_bits=4, beats=1, folds=2, steps=3), 3),
    (BurstStream(group=1, burst_bits=4, beats=1, folds=1, steps=1), 2),
]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize(("source", "folds"), CASES)
def test_reorders_and_replays(source, folds, pauses):
    size = source.folds * source.steps * source.beats
    width = source.group * source.burst_bits
    inputs = [[(37 * (number * size + place) + 5) % 2**width for place in range(size)] for number in range(5)]
    expected = []
    for beats in inputs:
        for _ in range(folds):
            for step in range(source.steps):
                for fold in range(source.folds):
                    start = (fold * source.steps + step) * source.beats
                    expected += beats[start : start + source.beats]
    dut = DenseReceptiveField(source=source, folds=folds, memory="block")
    shape = dut.arriving.payload.shape()
    beats = [shape.from_bits(word) for words in inputs for word in words]
    assert through(dut, dut.arriving, dut.leaving, beats, len(expected), pauses) == expected
