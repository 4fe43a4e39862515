"""The cycle model's components against theirs in hardware, one by one: readers and sources pause at random."""

import dataclasses
import random
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from hw.engines.event.costs import window_costs
from hw.engines.event.engine import ProjectionEngine
from hw.engines.event.timing import FieldTiming, array_timing
from hw.fork import ForkTiming
from hw.neurons.bank import NeuronBank, NeuronBankTiming
from hw.neurons.config import SkipConfig
from hw.neurons.skip_queue import SkipQueue, SkipTiming
from hw.stages.pooling import PoolingTiming, PoolingUnit
from hw.timing import REMEMBERED, PipelineClock
from hw.windows.config import WindowConfig
from qblif.network.window import make_window
from qblif.streams import BurstStream, stream_beats
from studies.small_configs import projection
from tests.hw.streams import run
from tests.hw.test_neuron_bank import CASES
from tests.hw.test_pooling import stage

BEATS = 120


def pauses(seed: int, count: int = BEATS) -> list[int]:
    """Long runs without a pause between some long pauses, so that queues fill and run empty."""
    chance = random.Random(seed)
    return [chance.choice((0, 0, 0, 0, 1, 2, 9)) for _ in range(count)]


def watched(dut, arriving, leaving, waits: Iterable[int], reads: Iterable[int], beats: Iterable | None = None):
    """Cycles in which beats are offered and taken at either end of a component.

    A beat is offered ``waits`` cycles later than the one before it allows; a beat that leaves is taken after ``reads``.

    Returns:
        What is offered to and taken by ``arriving``, and by the reader of ``leaving``: four lists of cycles.
    """
    cycles: list[list[int]] = [[], [], [], []]
    waits, reads = list(waits), list(reads)
    offered = iter(beats) if beats is not None else None
    done = [False]

    async def source(ctx):
        for wait in waits:
            if wait:
                await ctx.tick().repeat(wait)
            if offered is not None:
                ctx.set(arriving.payload, next(offered))
            ctx.set(arriving.valid, 1)
            await ctx.tick().until(arriving.ready)
            ctx.set(arriving.valid, 0)

    async def reader(ctx):
        for read in reads:
            while not ctx.get(leaving.valid):
                await ctx.tick()
            if read:
                await ctx.tick().repeat(read)
            ctx.set(leaving.ready, 1)
            await ctx.tick()
            ctx.set(leaving.ready, 0)
        done[0] = True

    async def watcher(ctx):
        cycle, fresh = 0, [True, True]
        ports = (arriving.valid, arriving.ready, leaving.valid, leaving.ready)
        async for _, _, *signals in ctx.tick().sample(*ports):
            for side in (0, 1):
                valid, ready = signals[2 * side : 2 * side + 2]
                if valid and fresh[side]:
                    cycles[2 * side].append(cycle)
                if valid and ready:
                    cycles[2 * side + 1].append(cycle)
                fresh[side] = fresh[side] and not valid if not ready else True
            cycle += 1

    run(dut, source, reader, background=[watcher])
    assert done[0]
    return cycles


class SlowReader:
    """Takes each beat so many cycles after it is offered."""

    def __init__(self, reads: Iterable[int]) -> None:
        self.reads: Iterator[int] = iter(reads)
        self.offered: list[int] = []

    def offer(self, at: int) -> int:
        self.offered.append(at)
        return at + next(self.reads)


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_a_skip(depth):
    config = SkipConfig(
        source="input",
        stream=BurstStream(group=2, burst_bits=3, beats=1, steps=1),
        weight=1,
        depth=depth,
        memory="block",
    )
    dut, timing = SkipQueue(config), SkipTiming(config)
    offered, taken, seen, left = watched(dut, dut.arriving, dut.leaving, pauses(depth), pauses(depth + 100))
    events = [(cycle, "enters", at) for cycle, at in zip(taken, offered, strict=True)]
    events += [(cycle, "leaves", at) for cycle, at in zip(left, seen, strict=True)]
    for cycle, what, at in sorted(events):
        if what == "enters":
            assert timing.offer(at) == cycle
        else:
            assert timing.available() == at
            timing.take(cycle)


@pytest.mark.parametrize("size", [(5, 5), (4, 3)])
@pytest.mark.parametrize("words", [(1, 1, 1), (1, 2, 1), (2, 2, 1)])
def test_a_pooling(size, words):
    config = stage(size, 2, "max", *words)
    reads = pauses(2, 2 * config.output.beats_per_inference)
    waits = [wait if wait < 9 else 0 for wait in pauses(1, 2 * config.stream.beats_per_inference)]
    dut, reader = PoolingUnit(config), SlowReader(reads)
    offered, taken, seen, _ = watched(dut, dut.arriving, dut.leaving, waits, reads)
    timing = PoolingTiming(config, reader)
    assert [timing.offer(at) for at in offered] == taken
    assert reader.offered == seen


@pytest.mark.parametrize("name", [name for name, config in CASES.items() if not config.skips])
def test_a_neuron_bank(name):
    config = CASES[name]
    turns = 8
    reads = pauses(3, turns * config.lanes // config.group)
    waits = [0 if number % config.slots else 1 + number % 3 for number in range(turns * config.slots)]
    dut, reader = NeuronBank(config), SlowReader(reads)
    offered, taken, seen, _ = watched(dut, dut.currents, dut.bursts, waits, reads)
    timing = NeuronBankTiming(config, 1, (), reader)
    # A ring turns until all its sums are taken: what is offered first is what matters.
    assert [timing.feed(at) for at in offered[:: config.slots]] == taken[config.slots - 1 :: config.slots]
    assert reader.offered == seen


class TakesEverySum:
    """Neurons that never wait."""

    def __init__(self, turns: int) -> None:
        self.turns = turns

    def feed(self, valid: int) -> int:
        return valid + self.turns - 1


@pytest.mark.parametrize("folds", [1, 3])
def test_a_receptive_field_takes_rows_as_others_are_released(folds):
    stream = BurstStream(height=6, width=3, steps=1, beats=1, group=1, burst_bits=1)
    numbers = np.random.default_rng(1)
    config = projection(stream, numbers.integers(-8, 8, (3, 1, 3, 3)), folds=folds)
    slides = make_window(3, 1, 1, name="window")
    window = WindowConfig(source=stream, window=slides, folds=folds, rows_kept=0, memory="block").kept()
    config = dataclasses.replace(config, window=window)
    bursts = numbers.integers(0, 2, (3, 1, 1, 6, 3))
    beats = stream_beats(bursts, stream).reshape(-1, 1).tolist()
    dut = ProjectionEngine(config)
    sums = len(bursts) * window.height * window.width * folds * config.lanes
    offered, taken, *_ = watched(dut, dut.bursts, dut.currents, [0] * len(beats), [0] * sums, beats)
    timing = FieldTiming(config.window, array_timing(config, TakesEverySum(config.lanes)), window_costs(bursts, config))
    assert [timing.offer(at) for at in offered] == taken


def test_a_fork_waits_for_its_slowest_reader():
    assert ForkTiming([SlowReader([3]), SlowReader([5])]).offer(10) == 15
    assert ForkTiming([SlowReader([5]), SlowReader([3])]).offer(10) == 15


def test_a_stall_that_was_forgotten_is_an_error_and_no_wrong_cycle():
    clock = PipelineClock()
    for number in range(REMEMBERED):
        clock.wait(10 * number, clock.wall(10 * number) + 2)
    # Before all stalls, and behind the last one.
    assert clock.wall(-1) == -1
    assert clock.local(-1) == -1
    assert clock.wall(10 * REMEMBERED) == 12 * REMEMBERED
    clock.wait(10 * REMEMBERED, clock.wall(10 * REMEMBERED) + 2)
    assert clock.wall(10 * REMEMBERED) == 12 * REMEMBERED + 2
    with pytest.raises(RuntimeError, match="remembers 32 stalls"):
        clock.wall(5)
    with pytest.raises(RuntimeError, match="remembers 32 stalls"):
        clock.local(0)
