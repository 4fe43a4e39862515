"""The cost of given bursts for a layer's scanner: the data behind the exact timing (:mod:`hw.engines.event.timing`).

A beat costs as many cycles as its fullest bank has set bit-planes, so an empty beat costs none; the last beat of an
accumulation costs at least one. A beat is taken one cycle after the previous beat; a beat with a cost also waits until
the previous beat with a cost is done. So two numbers describe a whole accumulation: the cycles from the offer of its
first beat until its last beat is taken, and the cycles from the end of the previous accumulation's scan until then. The
later of the two applies: an accumulation is a map of the max-plus algebra (its sum is max, its product is +).
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
    """

    after_first: IntArray
    after_busy: IntArray
    closing: IntArray


def beat_costs(bursts: IntArray, projection: ProjectionConfig) -> IntArray:
    """Cost of every beat of the source: (inferences, H, W, folds of the source, steps, beats)."""
    source, banks = projection.window.source, projection.banks
    beats = stream_beats(bursts, source)
    planes = np.zeros_like(beats)
    for plane in range(source.burst_bits):
        planes += beats >> plane & 1
    shared = planes.reshape(*beats.shape[:2], source.group // banks, banks).sum(axis=2).max(axis=2)
    shape = (source.height, source.width, source.folds, source.steps, source.beats)
    return shared.reshape(len(bursts), *shape)


def passing_costs(bursts: IntArray, projection: ProjectionConfig) -> IntArray:
    """Cost of every beat of a layer without a line buffer: (inferences, accumulations, beats)."""
    sums = projection.window.source.steps // projection.merged_steps
    costs = beat_costs(bursts, projection).reshape(len(bursts), sums, -1)
    costs[:, :, -1] = np.maximum(costs[:, :, -1], 1)
    return costs


def window_costs(bursts: IntArray, projection: ProjectionConfig) -> WindowCosts:
    """Costs of every accumulation of a layer with a receptive field; each accumulation is repeated for every fold."""
    window, merged = projection.window, projection.merged_steps
    costs = beat_costs(bursts, projection)

    def words() -> Iterator[IntArray]:
        for step in range(merged):
            for seen in window.window.views(costs):
                for fold in range(window.source.folds):
                    for beat in range(window.source.beats):
                        yield seen[:, :, :, fold, step::merged, beat]

    return accumulation_costs(words())


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


def sampled_cycles(projection: ProjectionConfig, inputs: IntArray) -> float:
    """Scanner cycles per inference and fold for given inputs, if these are always available.

    The neurons take every sum at once, so nothing stalls, and the array's timing
    (:class:`hw.engines.event.timing.ArrayTiming`) reduces to a sum: from the last beat of one accumulation to the last
    beat of the next it takes the longer of the two delays in :class:`WindowCosts`.
    """
    if projection.window.rows_kept:
        costs = window_costs(inputs, projection)
    else:
        costs = accumulation_costs(np.moveaxis(passing_costs(inputs, projection), -1, 0))
    after_first, after_busy, closing = (
        field.reshape(-1) for field in (costs.after_first, costs.after_busy, costs.closing)
    )
    between = np.maximum(after_first[1:] + 1, closing[:-1] + after_busy[1:])
    return float(after_first[0] + 1 + between.sum() + closing[-1]) / len(inputs)


@lru_cache(maxsize=4096)
def accumulation_cycles(words: int, group: int, banks: int, density: float) -> float:
    """Expected cycles of one accumulation: the scanner's rule, applied to random beats with independent events.

    From one beat with a cost to the next it takes the longer of their distance in beats and the first one's cost.
    """
    random = np.random.default_rng(1)
    events = random.poisson(density * group / banks, (words, banks, SAMPLES)).max(axis=1)
    events[-1] = np.maximum(events[-1], 1)
    # The scan of the last beat is counted here; the first beat's wait belongs to the previous accumulation.
    sample, beat = np.nonzero(events.T)
    costs, begins = events[beat, sample], np.diff(sample, prepend=-1) > 0
    steps = np.maximum(np.diff(beat, prepend=0), np.roll(costs, 1))
    return float(np.where(begins, beat, steps).sum() + events[-1].sum()) / SAMPLES
