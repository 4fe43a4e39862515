import dataclasses
import random

import numpy as np
import pytest

from hw.engines.event.config import ProjectionConfig
from hw.engines.event.synapse_array import SynapseArray
from qblif.streams import BurstStream
from studies.small_configs import projection
from tests.hw.streams import PAUSES, through


def config_of(
    weights: np.ndarray, weight_bits: int, burst_bits: int, accumulator_bits: int, banks: int = 1
) -> ProjectionConfig:
    source = BurstStream(group=banks, burst_bits=burst_bits, beats=weights.shape[1] // banks, steps=1)
    return projection(source, weights, banks=banks, weight_bits=weight_bits, accumulator_bits=accumulator_bits)


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("constants", [{}, {"weight_memory": "logic", "lut_inputs": 4}])
@pytest.mark.parametrize(
    ("lanes", "weight_bits", "burst_bits", "banks"),
    [(3, 4, 2, 1), (1, 1, 1, 1), (5, 8, 4, 1), (3, 4, 2, 3), (2, 1, 3, 9)],
)
def test_sums_are_shifted_weights_added(lanes, weight_bits, burst_bits, banks, constants, pauses):
    chance = random.Random(lanes)
    limit = 2 ** (weight_bits - 1)
    weights = np.array([[chance.randrange(-limit, limit) for _ in range(9)] for _ in range(lanes)])
    dut = SynapseArray(dataclasses.replace(config_of(weights, weight_bits, burst_bits, 24, banks), **constants))
    events, sums = [], []
    for _ in range(30):
        size = chance.choice([0, 1, 2, 7])
        total = [0] * lanes
        for position in range(max(1, size)):
            chosen = []
            for bank in range(banks):
                row, plane, spike = chance.randrange(9 // banks), chance.randrange(burst_bits), chance.randrange(2)
                spike = spike if size else 0
                chosen.append({"row": row, "plane": plane, "spike": spike})
                for lane in range(lanes):
                    total[lane] += spike * int(weights[lane, row * banks + bank]) << plane
            events.append({"banks": chosen, "last": position == max(1, size) - 1})
        sums.append(total)
    taken = through(dut, dut.events, dut.sums, events, len(sums), pauses)
    shape = dut.sums.payload.shape()
    assert [list(shape.from_bits(word)) for word in taken] == sums


def test_extreme_weights_fill_the_proved_width_and_no_more():
    weights = np.array([[-8] * 4, [7] * 4])
    dut = SynapseArray(config_of(weights, 4, 2, 8))
    # 4 rows x 3 (both planes): -96 and 84, the ends of what 8 bits were proved to hold.
    events = [
        {"banks": [{"row": row, "plane": plane, "spike": 1}], "last": row == 3 and plane == 1}
        for row in range(4)
        for plane in range(2)
    ]
    (word,) = through(dut, dut.events, dut.sums, events, 1, (0.0, 0.0))
    assert list(dut.sums.payload.shape().from_bits(word)) == [-96, 84]
