import numpy as np
import pytest

from hw.stages.readout_unit import ReadoutConfig, ReadoutTiming, ReadoutUnit
from tests.hw.streams import PAUSES, get, put, run, through
from tests.networks import logits_in


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("memory", ["logic", "block"])
@pytest.mark.parametrize("together", [1, 2])
def test_logits_and_first_maximum(together, memory, repeats, pauses):
    config = ReadoutConfig(
        classes=4, classes_per_beat=together, repeats=repeats, bias=(5, -3, 0, 7), exponent=(0, 1, 2, 0),
        constants_memory=memory, bias_bits=4, exponent_bits=2, accumulator_bits=8, logit_bits=14,
    )  # fmt: skip
    dut = ReadoutUnit(config, lanes_total=6)
    # The second inference has its largest logit twice: 12 * repeats for classes 1 and 2 once biases are equal.
    inferences = [[3, -9, 100, 1, 0, 0], [-128, 6, 3, -128, 9, 9], [-5, -5, -5, -5, 0, 0], [0, 0, 0, 0, 127, 127]]
    sums = np.array(inferences).reshape(-1, together).tolist()
    taken = through(dut, dut.currents, dut.results, sums, config.beats * len(inferences), pauses)
    found = logits_in(taken, config)
    results = [dut.results.payload.shape().from_bits(word) for word in taken]
    for number, values in enumerate(inferences):
        logits = [repeats * values[k] * 2 ** config.exponent[k] + config.bias[k] for k in range(4)]
        got = results[config.beats * number : config.beats * (number + 1)]
        assert found[4 * number : 4 * number + 4] == logits
        assert [result.last for result in got] == [0] * (config.beats - 1) + [1]
        assert got[-1].winner == logits.index(max(logits))


@pytest.mark.parametrize(("classes", "together"), [(3, 1), (3, 3), (4, 2), (4, 4), (6, 3), (10, 5), (10, 10)])
def test_a_tie_goes_to_the_lowest_class(classes, together):
    config = plain(classes, together)
    dut, random = ReadoutUnit(config, lanes_total=classes), np.random.default_rng(classes + together)
    # Few different logits, so that every pair of classes is tied for the first place sooner or later.
    inferences = random.integers(-1, 2, (60, classes))
    taken = through(
        dut, dut.currents, dut.results, inferences.reshape(-1, together).tolist(), 60 * config.beats, (0, 0)
    )
    assert logits_in(taken, config) == inferences.reshape(-1).tolist()
    results = [dut.results.payload.shape().from_bits(word) for word in taken]
    assert [result.winner for result in results if result.last] == inferences.argmax(axis=1).tolist()
    for number, result in enumerate(results):
        inference, beat = divmod(number, config.beats)
        assert result.winner == inferences[inference, : (beat + 1) * together].argmax()


@pytest.mark.parametrize(("classes", "together", "lanes"), [(10, 10, 10), (10, 5, 10), (6, 2, 8), (4, 1, 4)])
def test_results_follow_each_other_without_a_gap_and_leave_when_predicted(classes, together, lanes):
    config = plain(classes, together)
    dut, count = ReadoutUnit(config, lanes_total=lanes), 5
    timing = ReadoutTiming(config, lanes, 1)
    for number in range(count):
        timing.feed(number * lanes // together)
    first: list[int] = []
    ends: list[int] = []
    cycle = [0]

    async def producer(ctx):
        await put(ctx, dut.currents, [[1] * together] * (count * lanes // together), 0.0)

    async def consumer(ctx):
        await get(ctx, dut.results, count * config.beats, 0.0)

    async def watcher(ctx):
        ports = (dut.currents.valid, dut.currents.ready, dut.results.valid, dut.results.ready, dut.results.payload.last)
        async for _, _, valid, ready, done, read, last in ctx.tick().sample(*ports):
            if valid and ready and not first:
                first.append(cycle[0])
            if done and read and last:
                ends.append(cycle[0] - first[0])
            cycle[0] += 1

    run(dut, producer, consumer, background=[watcher])
    assert ends == timing.finished
    assert set(np.diff(ends)) == {lanes // together}


def plain(classes: int, together: int) -> ReadoutConfig:
    """A readout whose logits are its sums."""
    return ReadoutConfig(
        classes=classes, classes_per_beat=together, repeats=1, bias=(0,) * classes, exponent=(0,) * classes,
        constants_memory="logic", bias_bits=1, exponent_bits=0, accumulator_bits=8, logit_bits=8,
    )  # fmt: skip
