import random

import pytest

from hw.configuration import BurstStream
from hw.scanner import EventScanner
from tests.hw.streams import PAUSES, put, run, through


def expected_events(beats, source: BurstStream, folds: int, merged: int) -> list[tuple[int, int, bool, bool]]:
    """(row, plane, spike, last) of every event, computed from the bursts alone."""
    events = []
    per_step = source.beats * source.folds
    index = 0
    while index < len(beats):
        for fold in range(folds):
            for _ in range(source.steps // merged):
                found = []
                for _ in range(merged):
                    for beat in range(per_step):
                        for lane, count in enumerate(beats[index]):
                            row = fold * source.rows + beat * source.group + lane
                            found += [(row, k) for k in range(source.burst_bits) if count >> k & 1]
                        index += 1
                events += [(row, plane, True, False) for row, plane in found]
                if any(beats[index - 1]):
                    events[-1] = (*events[-1][:3], True)
                else:
                    events.append((0, 0, False, True))
    return events


CASES = [
    (BurstStream(group=4, burst_bits=2, beats=3, folds=1, steps=2), 1, 1),
    (BurstStream(group=1, burst_bits=1, beats=5, folds=1, steps=1), 1, 1),
    (BurstStream(group=3, burst_bits=4, beats=2, folds=2, steps=3), 2, 1),
    (BurstStream(group=8, burst_bits=2, beats=1, folds=1, steps=4), 3, 4),
]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
@pytest.mark.parametrize(("source", "folds", "merged"), CASES)
def test_every_set_plane_once_in_order(source, folds, merged, density, pauses):
    chance = random.Random(repr((source, density)))
    count = source.beats * source.folds * source.steps * folds * 4
    top = 2**source.burst_bits - 1
    beats = [
        [chance.randint(1, top) if chance.random() < density else 0 for _ in range(source.group)] for _ in range(count)
    ]
    dut = EventScanner(source=source, folds=folds, merged_steps=merged)
    expected = expected_events(beats, source, folds, merged)
    taken = through(dut, dut.bursts, dut.events, beats, len(expected), pauses)
    shape = dut.events.payload.shape()
    got = [shape.from_bits(word) for word in taken]
    for event, (row, plane, spike, last) in zip(got, expected, strict=True):
        assert (event.spike, event.last) == (spike, last)
        if spike:
            assert (event.row, event.plane) == (row, plane)


def test_beats_without_spikes_cost_nothing_behind_a_busy_beat():
    source = BurstStream(group=4, burst_bits=4, beats=8, folds=1, steps=1)
    dut = EventScanner(source=source, folds=1, merged_steps=1)
    beats = [[15, 15, 15, 15], *[[0] * 4] * 6, [1, 0, 0, 0]] * 3
    cycles = []

    async def producer(ctx):
        await put(ctx, dut.bursts, beats, 0.0)

    async def consumer(ctx):
        ctx.set(dut.events.ready, 1)
        cycle = 0
        while len(cycles) < 3 * 17:
            _, _, valid = await ctx.tick().sample(dut.events.valid)
            cycle += 1
            if valid:
                cycles.append(cycle)

    run(dut, producer, consumer)
    assert cycles == list(range(cycles[0], cycles[0] + 3 * 17)), "an event a cycle, without a gap"
    assert cycles[0] == dut.latency + 1
