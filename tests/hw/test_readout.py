import pytest

from hw.stages.readout import ReadoutConfig, ReadoutUnit
from tests.hw.streams import PAUSES, through


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("memory", ["logic", "block"])
def test_logits_and_first_maximum(memory, repeats, pauses):
    config = ReadoutConfig(
        classes=4, repeats=repeats, bias=(5, -3, 0, 7), exponent=(0, 1, 2, 0), constants_memory=memory, bias_bits=4,
        exponent_bits=2, accumulator_bits=8, logit_bits=14,
    )  # fmt: skip
    dut = ReadoutUnit(config, lanes_total=6)
    # The second inference has its largest logit twice: 12 * repeats for classes 1 and 2 once biases are equal.
    inferences = [[3, -9, 100, 1, 0, 0], [-128, 6, 3, -128, 9, 9], [-5, -5, -5, -5, 0, 0], [0, 0, 0, 0, 127, 127]]
    sums = [[value] for sums in inferences for value in sums]
    taken = through(dut, dut.currents, dut.results, sums, 4 * len(inferences), pauses)
    results = [dut.results.payload.shape().from_bits(word) for word in taken]
    for number, values in enumerate(inferences):
        logits = [repeats * values[k] * 2 ** config.exponent[k] + config.bias[k] for k in range(4)]
        got = results[4 * number : 4 * number + 4]
        assert [result.logit for result in got] == logits
        assert [result.last for result in got] == [0, 0, 0, 1]
        assert got[-1].winner == logits.index(max(logits))


def test_a_tie_goes_to_the_lowest_class():
    config = ReadoutConfig(
        classes=3, repeats=1, bias=(0, 0, 0), exponent=(0, 0, 0), constants_memory="logic", bias_bits=1,
        exponent_bits=0, accumulator_bits=8, logit_bits=8,
    )  # fmt: skip
    dut = ReadoutUnit(config, lanes_total=3)
    taken = through(dut, dut.currents, dut.results, [[1], [9], [9], [-4], [-4], [-4]], 6, (0.0, 0.0))
    winners = [dut.results.payload.shape().from_bits(word).winner for word in taken]
    assert (winners[2], winners[5]) == (1, 0)
