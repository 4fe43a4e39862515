import random

import pytest

from hw.engines.event.handover import Handover
from tests.hw.streams import PAUSES, through


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize(("lanes", "cores", "repeats"), [(6, 2, 1), (6, 2, 3), (4, 4, 2), (5, 1, 1), (1, 1, 4)])
def test_hands_on_lanes_in_order_and_repeats(lanes, cores, repeats, pauses):
    chance = random.Random(lanes)
    loads = [[chance.randrange(-100, 100) for _ in range(lanes)] for _ in range(12)]
    dut = Handover(lanes=lanes, cores=cores, bits=8, repeats=repeats)
    expected = [load[k : k + cores] for load in loads for _ in range(repeats) for k in range(0, lanes, cores)]
    taken = through(dut, dut.sums, dut.currents, loads, len(expected), pauses)
    assert [list(dut.currents.payload.shape().from_bits(word)) for word in taken] == expected
