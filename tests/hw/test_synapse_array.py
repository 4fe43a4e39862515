import random

import numpy as np
import pytest

from hw.configuration import BurstStream, ProjectionConfig
from hw.synapse_array import SynapseArray
from hw.weights import pack_weights
from tests.hw.streams import PAUSES, through


def make_config(weights: np.ndarray, weight_bits: int, burst_bits: int, accumulator_bits: int) -> ProjectionConfig:
    lanes, rows = weights.shape
    return ProjectionConfig(
        source=BurstStream(group=1, burst_bits=burst_bits, beats=rows, folds=1, steps=1),
        lanes=lanes,
        folds=1,
        cores=1,
        merged_steps=1,
        repeats=1,
        weight_bits=weight_bits,
        weight_words=pack_weights(weights, lanes=lanes, folds=1, rows=rows, bits=weight_bits),
        weight_memory="block",
        accumulator_bits=accumulator_bits,
    )


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize(("lanes", "weight_bits", "burst_bits"), [(3, 4, 2), (1, 1, 1), (5, 8, 4)])
def test_sums_are_shifted_weights_added(lanes, weight_bits, burst_bits, pauses):
    chance = random.Random(lanes)
    limit = 2 ** (weight_bits - 1)
    weights = np.array([[chance.randrange(-limit, limit) for _ in range(9)] for _ in range(lanes)])
    config = make_config(weights, weight_bits, burst_bits, 24)
    dut = SynapseArray(config)
    events, sums = [], []
    for _ in range(30):
        size = chance.choice([0, 1, 2, 7])
        chosen = [(chance.randrange(9), chance.randrange(burst_bits)) for _ in range(size)]
        sums.append([sum(int(weights[lane, row]) << plane for row, plane in chosen) for lane in range(lanes)])
        beats = [{"row": row, "plane": plane, "spike": 1, "last": 0} for row, plane in chosen]
        events += beats or [{"row": 3, "plane": 0, "spike": 0, "last": 0}]
        events[-1] = {**events[-1], "last": 1}
    taken = through(dut, dut.events, dut.sums, events, len(sums), pauses)
    shape = dut.sums.payload.shape()
    assert [list(shape.from_bits(word)) for word in taken] == sums


def test_extreme_weights_fill_the_proved_width_and_no_more():
    weights = np.array([[-8] * 4, [7] * 4])
    dut = SynapseArray(make_config(weights, 4, 2, 8))
    # 4 rows x 3 (both planes): -96 and 84, the ends of what 8 bits were proved to hold.
    events = [{"row": row, "plane": plane, "spike": 1, "last": 0} for row in range(4) for plane in range(2)]
    events[-1]["last"] = 1
    (word,) = through(dut, dut.events, dut.sums, events, 1, (0.0, 0.0))
    assert list(dut.sums.payload.shape().from_bits(word)) == [-96, 84]
