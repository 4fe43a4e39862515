import random

import numpy as np
import pytest
from amaranth.hdl import Value

from hw.engines.event.queued import QueuedScanner
from hw.engines.event.scanner import EventScanner
from qblif.streams import BurstStream
from studies.small_configs import projection
from tests.hw.streams import PAUSES, put, run, through


def expected_events(beats, source: BurstStream, folds: int, merged: int, banks: int):
    """For every accumulation: the (row, plane) of every event of each bank, in order, from the bursts alone."""
    accumulations = []
    per_step, share = source.beats * source.folds, source.group // banks
    index = 0
    while index < len(beats):
        for fold in range(folds):
            for _ in range(source.steps // merged):
                found: list[list[tuple[int, int]]] = [[] for _ in range(banks)]
                for _ in range(merged):
                    for beat in range(per_step):
                        for channel, count in enumerate(beats[index]):
                            row = (fold * per_step + beat) * share + channel // banks
                            found[channel % banks] += [(row, k) for k in range(source.burst_bits) if count >> k & 1]
                        index += 1
                accumulations.append(found)
    return accumulations


CASES = [
    (BurstStream(group=4, burst_bits=2, beats=3, steps=2), 1, 1, 1),
    (BurstStream(group=1, burst_bits=1, beats=5, steps=1), 1, 1, 1),
    (BurstStream(group=3, burst_bits=4, beats=2, folds=2, steps=3), 2, 1, 3),
    (BurstStream(group=8, burst_bits=2, beats=1, steps=4), 3, 4, 2),
    (BurstStream(group=8, burst_bits=2, beats=3, steps=1), 1, 1, 4),
]


def random_beats(source: BurstStream, folds: int, density: float) -> list[list[int]]:
    """The beats of four inferences, each fold's."""
    chance = random.Random(repr((source, density)))
    count = source.beats * source.folds * source.steps * folds * 4
    top = 2**source.burst_bits - 1
    return [
        [chance.randint(1, top) if chance.random() < density else 0 for _ in range(source.group)] for _ in range(count)
    ]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
@pytest.mark.parametrize(("source", "folds", "merged", "banks"), CASES)
def test_every_set_plane_once_in_order(source, folds, merged, banks, density, pauses):
    beats = random_beats(source, folds, density)
    weights = np.zeros((folds, source.channels), dtype=np.int64)
    dut = EventScanner(projection(source, weights, folds=folds, banks=banks, merged_steps=merged))
    expected = expected_events(beats, source, folds, merged, banks)
    # An accumulation takes as many cycles as its beats' fullest banks have planes, its last beat at least one.
    cycles, per_sum = 0, len(beats) // len(expected)
    for place, beat in enumerate(beats):
        cost = max(sum(n.bit_count() for n in beat[bank::banks]) for bank in range(banks))
        cycles += max(cost, int(place % per_sum == per_sum - 1))
    events = through(dut, dut.bursts, dut.events, beats, cycles, pauses)
    assert accumulations(dut, events) == expected


def accumulations(dut, events: list[int]) -> list[list[list[tuple[int, int]]]]:
    """The (row, plane) of every event with a spike, for every closed accumulation and every bank."""
    banks, shape = dut.config.banks, dut.events.payload.shape()
    got: list[list[list[tuple[int, int]]]] = [[[] for _ in range(banks)]]
    for event in map(shape.from_bits, events):
        for bank in range(banks):
            if event.banks[bank].spike:
                got[-1][bank].append((event.banks[bank].row, event.banks[bank].plane))
        if event.last:
            got.append([[] for _ in range(banks)])
    return got[:-1]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
@pytest.mark.parametrize(("source", "folds", "merged", "banks"), CASES)
def test_queues_keep_every_plane_in_order(source, folds, merged, banks, density, pauses):
    beats = random_beats(source, folds, density)
    weights = np.zeros((folds, source.channels), dtype=np.int64)
    dut = QueuedScanner(projection(source, weights, folds=folds, banks=banks, merged_steps=merged, queued=True))
    expected = expected_events(beats, source, folds, merged, banks)
    shape, chance = dut.events.payload.shape(), random.Random(3)
    events: list[int] = []
    offered: list[int] = []

    async def producer(ctx):
        await put(ctx, dut.bursts, beats, pauses[0])

    async def consumer(ctx):
        while sum(shape.from_bits(event).last for event in events) < len(expected):
            ready = chance.random() >= pauses[1]
            ctx.set(dut.events.ready, ready)
            _, _, valid, payload = await ctx.tick().sample(dut.events.valid, Value.cast(dut.events.payload))
            assert not offered or (valid and offered.pop() == payload), "an event that waited changed"
            if valid:
                (events if ready else offered).append(payload)

    run(dut, producer, consumer)
    assert accumulations(dut, events) == expected


def event_cycles(dut, beats, count: int) -> list[int]:
    """The cycles in which the first ``count`` events leave, if nothing ever waits behind the scanner."""
    cycles: list[int] = []

    async def producer(ctx):
        await put(ctx, dut.bursts, beats, 0.0)

    async def consumer(ctx):
        ctx.set(dut.events.ready, 1)
        cycle = 0
        while len(cycles) < count:
            _, _, valid = await ctx.tick().sample(dut.events.valid)
            cycle += 1
            if valid:
                cycles.append(cycle)

    run(dut, producer, consumer)
    return cycles


def test_banks_with_queues_wait_once_per_accumulation():
    source = BurstStream(group=2, burst_bits=4, beats=4, steps=1)
    dut = QueuedScanner(projection(source, np.zeros((1, 8), dtype=np.int64), banks=2, queued=True))
    # The banks have 4 and 1 planes in turn: 10 cycles for both, where banks that share every beat need 16.
    beats = [[15, 1], [1, 15], [15, 1], [1, 15]] * 3
    cycles = event_cycles(dut, beats, 3 * 10)
    assert cycles == list(range(cycles[0], cycles[0] + 3 * 10)), "an event per cycle, without a gap"
    assert cycles[0] == dut.latency + 1


def test_beats_without_spikes_cost_nothing_behind_a_busy_beat():
    source = BurstStream(group=4, burst_bits=4, beats=8, steps=1)
    dut = EventScanner(projection(source, np.zeros((1, 32), dtype=np.int64)))
    beats = [[15, 15, 15, 15], *[[0] * 4] * 6, [1, 0, 0, 0]] * 3
    cycles = event_cycles(dut, beats, 3 * 17)
    assert cycles == list(range(cycles[0], cycles[0] + 3 * 17)), "an event per cycle, without a gap"
    assert cycles[0] == dut.latency + 1
