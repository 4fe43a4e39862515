"""The cost of given bursts for a layer's scanner: the data behind the exact timing (:mod:`hw.engines.event.timing`).

A beat costs as many cycles as its fullest bank has set bit-planes, so an empty beat costs none; the last beat of an
accumulation costs at least one. A beat is taken one cycle after the previous beat; a beat with a cost also waits until
the previous beat with a cost is done. So two numbers describe a whole accumulation: the cycles from the offer of its
first beat until its last beat is taken, and the cycles from the end of the previous accumulation's scan until then. The
later of the two applies: an accumulation is a map of the max-plus algebra (its sum is max, its product is +).

With a queue per bank, a beat costs each bank as many cycles as its own bursts have set bit-planes, and the last beat of
an accumulation at least one. All beats are taken one after the other, and the numbers say when the last bank ends.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hw.engines.event.config import ProjectionConfig
from qblif.network.checks import IntArray
from qblif.streams import stream_beats

NEVER = -(2**40)
SAMPLES = 64
"""Random accumulations over which :func:`accumulation_cycles` takes the mean."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowCosts:
    """Costs of a layer with a receptive field: int64 (inferences, window rows, windows per row, accumulations).

    ``after_first``, ``after_busy``: cycles to the last beat of an accumulation; ``closing``: that beat's cost.
    With a queue per bank: cycles to the end of the last bank; ``closing`` is 0.
    """

    after_first: IntArray
    after_busy: IntArray
    closing: IntArray


def bank_costs(bursts: IntArray, projection: ProjectionConfig) -> IntArray:
    """Set bit-planes of every beat of the source for each bank: (inferences, H, W, folds of the source, steps, beats,
    banks)."""
    source, banks = projection.window.source, projection.banks
    beats = stream_beats(bursts, source)
    planes = np.zeros_like(beats)
    for plane in range(source.burst_bits):
        planes += beats >> plane & 1
    shared = planes.reshape(*beats.shape[:2], source.group // banks, banks).sum(axis=2)
    shape = (source.height, source.width, source.folds, source.steps, source.beats, banks)
    return shared.reshape(len(bursts), *shape)


def beat_costs(bursts: IntArray, projection: ProjectionConfig) -> IntArray:
    """Cost of every beat of the source: (inferences, H, W, folds of the source, steps, beats)."""
    return bank_costs(bursts, projection).max(axis=-1)


def passing_costs(bursts: IntArray, projection: ProjectionConfig) -> IntArray:
    """Cost of every beat of a layer without a line buffer: (inferences, accumulations, beats); with queues, of every
    beat for each bank: (inferences, accumulations, beats, banks)."""
    source = projection.window.source
    shape = (len(bursts), source.steps // projection.merged_steps, projection.window.words * projection.merged_steps)
    if projection.queued:
        costs = bank_costs(bursts, projection).reshape(*shape, projection.banks)
    else:
        costs = beat_costs(bursts, projection).reshape(shape)
    costs[:, :, -1] = np.maximum(costs[:, :, -1], 1)
    return costs


def window_costs(bursts: IntArray, projection: ProjectionConfig) -> WindowCosts:
    """Costs of every accumulation of a layer with a receptive field; each accumulation is repeated for every fold."""
    window, merged = projection.window, projection.merged_steps
    costs = bank_costs(bursts, projection) if projection.queued else beat_costs(bursts, projection)

    def words() -> Iterator[IntArray]:
        for step in range(merged):
            for seen in window.window.views(costs):
                for fold in range(window.source.folds):
                    for beat in range(window.source.beats):
                        yield seen[:, :, :, fold, step::merged, beat]

    return queued_costs(words()) if projection.queued else accumulation_costs(words())


def accumulation_costs(words: Iterable[IntArray]) -> WindowCosts:
    """Costs of accumulations whose successive beats cost ``words``; the last beat costs at least one cycle."""
    costs = iter(words)
    cost = next(costs)
    shape = cost.shape
    first, busy = np.full(shape, -1), np.full(shape, NEVER)
    first_busy, busy_busy = np.full(shape, NEVER), np.zeros(shape, dtype=np.int64)
    while True:
        following = next(costs, None)
        if following is None:
            cost = np.maximum(cost, 1)
        spikes = cost > 0
        first = np.where(spikes, np.maximum(first + 1, busy), first + 1)
        first_busy = np.where(spikes, np.maximum(first_busy + 1, busy_busy), first_busy + 1)
        if following is None:
            return WindowCosts(after_first=first, after_busy=first_busy, closing=cost)
        busy, busy_busy = np.where(spikes, first + cost, busy), np.where(spikes, first_busy + cost, busy_busy)
        cost = following


def queued_costs(words: Iterable[IntArray]) -> WindowCosts:
    """Costs of accumulations whose successive beats, taken one per cycle, cost each bank ``words``, (..., banks).

    A beat that is taken in a cycle is scanned from the cycle after the next one on.
    """
    beats = list(words)
    beats[-1] = np.maximum(beats[-1], 1)
    ends, total = np.full(beats[0].shape, NEVER), np.zeros(beats[0].shape, dtype=np.int64)
    for number, cost in enumerate(beats):
        ends = np.where(cost > 0, np.maximum(ends, number + 1) + cost, ends)
        total = total + cost
    return WindowCosts(
        after_first=ends.max(axis=-1), after_busy=total.max(axis=-1), closing=np.zeros(ends.shape[:-1], dtype=np.int64)
    )


def sampled_cycles(projection: ProjectionConfig, inputs: IntArray) -> float:
    """Scanner cycles per inference and fold for given inputs, if these are always available.

    The neurons take every sum at once, so nothing stalls, and the array's timing
    (:class:`hw.engines.event.timing.ArrayTiming`) reduces to a sum: from the last beat of one accumulation to the last
    beat of the next it takes the longer of the two delays in :class:`WindowCosts`.
    """
    if projection.window.rows_kept:
        costs = window_costs(inputs, projection)
    elif projection.queued:
        costs = queued_costs(np.moveaxis(passing_costs(inputs, projection), 2, 0))
    else:
        costs = accumulation_costs(np.moveaxis(passing_costs(inputs, projection), 2, 0))
    if projection.queued:
        return queued_cycles(costs, projection.window.words * projection.merged_steps) / len(inputs)
    after_first, after_busy, closing = (
        field.reshape(-1) for field in (costs.after_first, costs.after_busy, costs.closing)
    )
    between = np.maximum(after_first[1:] + 1, closing[:-1] + after_busy[1:])
    return float(after_first[0] + 1 + between.sum() + closing[-1]) / len(inputs)


def queued_cycles(costs: WindowCosts, beats: int) -> int:
    """Cycles of accumulations of ``beats`` beats each, one after the other, with queues."""
    last, ends = -1, (-1, -1)
    for after_first, after_busy in zip(costs.after_first.flat, costs.after_busy.flat, strict=True):
        first = max(last, ends[0]) + 1
        last, ends = first + beats - 1, (ends[1], max(first + int(after_first), ends[1] + int(after_busy)))
    return ends[1] + 1


@lru_cache(maxsize=4096)
def accumulation_cycles(words: int, group: int, banks: int, density: float, queued: bool = False) -> float:
    """Expected cycles of one accumulation: the scanner's rule, applied to random beats with independent events.

    From one beat with a cost to the next it takes the longer of their distance in beats and the first one's cost.
    """
    random = np.random.default_rng(1)
    every = random.poisson(density * group / banks, (words, banks, SAMPLES))
    if queued:
        return queued_cycles(queued_costs(every.transpose(0, 2, 1)), words) / SAMPLES
    events = every.max(axis=1)
    events[-1] = np.maximum(events[-1], 1)
    # The scan of the last beat is counted here; the first beat's wait belongs to the previous accumulation.
    sample, beat = np.nonzero(events.T)
    costs, begins = events[beat, sample], np.diff(sample, prepend=-1) > 0
    steps = np.maximum(np.diff(beat, prepend=0), np.roll(costs, 1))
    return float(np.where(begins, beat, steps).sum() + events[-1].sum()) / SAMPLES
