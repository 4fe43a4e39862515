"""Expected cycles of a layer from how often its source's bit-planes are set on average, before any input is known."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hw.configuration import LayerConfig, NeuronConfig, PoolingConfig, TopConfig
from hw.network import Network
from hw.neuron_bank import NeuronBank
from hw.pooling import PoolingStage
from hw.receptive_field import ReceptiveField

Activity = dict[str, list[float]]
"""Mean set bit-planes that a node sends, per timestep."""
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


def expected_cycles(network: Network, config: TopConfig, activity: Activity) -> dict[str, StageCycles]:
    """Expected cycles of every stage."""
    return {stage.name: stage_cycles(network, stage, activity) for stage in config.stages}


def stage_cycles(network: Network, stage: LayerConfig | PoolingConfig, activity: Activity) -> StageCycles:
    """Expected cycles of one stage."""
    if isinstance(stage, PoolingConfig):
        stream = stage.stream
        positions = stream.height * stream.width
        busy = positions * max(stream.beats_per_position, PoolingStage.write_latency)
        return StageCycles(arrival=0, array=0, neurons=busy)
    projection, target = stage.projection, stage.target
    window = projection.window
    windows = window.height * window.width * projection.folds
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
