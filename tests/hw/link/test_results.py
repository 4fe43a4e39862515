import numpy as np
import pytest

from hw.link.results import ResultUnpacker, one_by_one
from tests.hw.streams import PAUSES, through
from tests.hw.test_readout import plain


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize(("classes", "together"), [(4, 2), (3, 3), (10, 5)])
def test_every_class_leaves_once_and_the_last_with_the_answer(classes, together, pauses):
    config = plain(classes, together)
    dut, random = ResultUnpacker(config), np.random.default_rng(classes)
    logits = random.integers(-128, 128, (5, config.beats, together))
    winners = random.integers(0, classes, (5, config.beats))
    beats = [
        {
            "logits": logits[inference, beat].tolist(),
            "winner": winners[inference, beat],
            "last": beat + 1 == config.beats,
        }
        for inference in range(5)
        for beat in range(config.beats)
    ]
    taken = through(dut, dut.arriving, dut.leaving, beats, 5 * classes, pauses)
    results = [dut.leaving.payload.shape().from_bits(word) for word in taken]
    assert one_by_one(config).classes_per_beat == 1
    assert [result.logit for result in results] == logits.reshape(-1).tolist()
    assert [result.last for result in results] == ([0] * (classes - 1) + [1]) * 5
    assert [result.winner for result in results if result.last] == winners[:, -1].tolist()
