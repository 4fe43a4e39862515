"""Expected cycles of a layer from how often its source's bit-planes are set on average, before any input is known."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gen.planning.costs import accumulation_costs, passing_costs, window_costs
from hw.configuration import LayerConfig, NeuronConfig, PoolingConfig, ProjectionConfig, TopConfig
from hw.neuron_bank import NeuronBank
from hw.pooling import PoolingStage
from hw.receptive_field import ReceptiveField
from qblif.network.checks import IntArray
from qblif.network.graph import Network

Activity = dict[str, list[float]]
"""Mean set bit-planes that a node sends, per timestep."""
KnownCycles = dict[tuple[object, ...], float]
SAMPLES = 64
UNKNOWN_SHARE = 0.5
"""Share of bit-planes that are taken to be set where a checkpoint does not say."""


@dataclass(frozen=True, kw_only=True)
class StageCycles:
    """Expected cycles an inference: to take the source's beats, to accumulate, to update neurons or to pool."""

    arrival: float
    array: float
    neurons: float

    @property
    def bottleneck(self) -> float:
        return max(self.arrival, self.array, self.neurons)


def expected_cycles(
    network: Network,
    config: TopConfig,
    activity: Activity,
    inputs: IntArray | None = None,
    known: KnownCycles | None = None,
) -> dict[str, StageCycles]:
    """Expected cycles of every stage."""
    return {stage.name: stage_cycles(network, stage, activity, inputs, known) for stage in config.stages}


def stage_cycles(
    network: Network,
    stage: LayerConfig | PoolingConfig,
    activity: Activity,
    inputs: IntArray | None = None,
    known: KnownCycles | None = None,
) -> StageCycles:
    """Expected cycles of one stage.

    Args:
        network: the network.
        stage: one of its stages.
        activity: what is known of its bursts.
        inputs: bursts of some inputs, (count, steps, C, H, W). With them the cycles of layers that read the input are
            those of these inputs, scaled to the mean activity: the spikes of pictures come in clusters, which
            independent events do not.
        known: what :func:`sampled_cycles` gave before for these inputs, by what it depends on; more is added.
    """
    if isinstance(stage, PoolingConfig):
        stream = stage.stream
        positions = stream.height * stream.width
        busy = positions * max(stream.beats_per_position, PoolingStage.write_latency)
        return StageCycles(arrival=0, array=0, neurons=busy)
    projection, target = stage.projection, stage.target
    window = projection.window
    windows = window.height * window.width * projection.folds
    if projection.source == network.input.name and inputs is not None:
        known = {} if known is None else known
        key = (window.source, window.kernel, window.stride, window.padding, projection.banks, projection.merged_steps)
        if key not in known:
            known[key] = sampled_cycles(projection, inputs)
        array = known[key] * projection.folds
        planes = sum(float((inputs >> plane & 1).sum()) for plane in range(network.input.bits)) / len(inputs)
        if projection.source in activity and planes:
            array *= max(1.0, sum(activity[projection.source]) / planes)
    else:
        array = windows * sum(
            accumulation_cycles(window.words, window.source.group, projection.banks, density)
            for density in densities(network, projection.source, activity)
        )
    if window.rows_kept:
        array += window.height * ReceptiveField.row_gap
    neurons = 0.0
    if isinstance(target, NeuronConfig):
        turn = max(target.slots, NeuronBank.write_latency)
        loads = windows * target.timesteps / projection.repeats
        neurons = windows * target.timesteps * turn + loads
    return StageCycles(arrival=window.source.beats_per_inference, array=array, neurons=neurons)


def sampled_cycles(projection: ProjectionConfig, inputs: IntArray) -> float:
    """Cycles an inference that the scanner works, in one fold, on given inputs that are always there.

    The neurons take every sum at once, so nothing stands still, and what the array's timing
    (:class:`gen.planning.timing.ArrayTiming`) does becomes a sum: from the last beat of one accumulation to that of the
    next it is the longer of the two ways that :class:`gen.planning.costs.WindowCosts` has.
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


def expected_accumulates(network: Network, layer: LayerConfig, activity: Activity) -> float:
    """Expected additions of one weight into one neuron an inference; windows in the padding are not left out."""
    projection = layer.projection
    window = projection.window
    synapses = window.kernel[0] * window.kernel[1] * network.shape(projection.source)[0]
    if window.source.height * window.source.width == 1:
        synapses = math.prod(network.shape(projection.source))
    seen = window.height * window.width * synapses * sum(densities(network, projection.source, activity))
    return seen * len(projection.weights)


def densities(network: Network, node: str, activity: Activity) -> list[float]:
    """Mean set bit-planes of one neuron of ``node`` at each timestep that its stream carries."""
    neurons = math.prod(network.shape(node))
    guess = UNKNOWN_SHARE * network.burst_ceiling(node).bit_length()
    known = activity.get(node, [])
    return [known[step] / neurons if step < len(known) else guess for step in range(network.steps(node))]


@lru_cache(maxsize=4096)
def accumulation_cycles(words: int, group: int, banks: int, density: float) -> float:
    """Expected cycles of one accumulation: the scanner's own rule, over random beats with independent events."""
    random = np.random.default_rng(1)
    events = random.poisson(density * group / banks, (words, banks, SAMPLES)).max(axis=1)
    events[-1] = np.maximum(events[-1], 1)
    taken, busy = np.full(SAMPLES, -1), np.zeros(SAMPLES, dtype=int)
    for cost in events:
        taken = np.where(cost > 0, np.maximum(taken + 1, busy), taken + 1)
        busy = np.where(cost > 0, taken + cost, busy)
    # The last beat's own events are counted here, the first beat's wait in the accumulation before.
    return float(np.maximum(busy, taken + 1).mean())
