"""The exact cycle model: for given inputs, in which cycle every class leaves, and how long every layer works."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gen.planning.costs import passing_costs, window_costs
from gen.planning.timing import (
    ArrayTiming,
    Consumer,
    ForkTiming,
    NeuronBankTiming,
    PoolingTiming,
    ReadoutTiming,
    ReceptiveFieldTiming,
    SkipTiming,
    StreamRegisterTiming,
)
from hw.configuration import LayerConfig, NeuronConfig, PoolingConfig, TopConfig
from qblif.network.checks import IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedCycles:
    """What the hardware will do, inferences offered back to back and every result taken at once.

    Attributes:
        finished: the cycle in which each inference's class leaves, the first beat being taken in cycle 0.
        worked: of every layer, the cycles in which its scanner works; those in which it waits for a beat or for the
            neurons behind it are not among them.
    """

    finished: IntArray
    worked: dict[str, int]

    @property
    def mean(self) -> float:
        """Cycles an inference, mean over all but the first."""
        gaps = np.diff(self.finished)
        return float(gaps.mean()) if len(gaps) else math.nan


def predict(config: TopConfig, bursts: Mapping[str, IntArray]) -> PredictedCycles:
    """Predict a run.

    Args:
        config: the hardware.
        bursts: of every node that a layer reads, (inferences, steps, C, H, W), as the golden model gives them.
    """
    inputs: dict[str, Consumer] = {}
    arrays: dict[str, ArrayTiming] = {}
    readout: ReadoutTiming | None = None
    for stage in reversed(config.stages):
        if isinstance(stage, PoolingConfig):
            inputs[stage.name] = PoolingTiming(stage, reader_of(config, stage.name, inputs))
            continue
        neurons: NeuronBankTiming | ReadoutTiming
        if isinstance(stage.target, NeuronConfig):
            skips = [SkipTiming(skip) for skip in stage.target.skips]
            inputs |= {f"{stage.name}.skip_{index}": skip for index, skip in enumerate(skips)}
            reader = reader_of(config, stage.name, inputs)
            neurons = NeuronBankTiming(stage.target, stage.projection.repeats, skips, reader)
        else:
            projection = stage.projection
            readout = neurons = ReadoutTiming(stage.target.classes, projection.lanes, projection.folds)
        arrays[stage.name] = ArrayTiming(stage.projection, neurons)
        inputs[stage.name] = arrival(stage, arrays[stage.name], bursts[stage.projection.source])
    assert readout is not None
    first, count = reader_of(config, "input", inputs), len(bursts["input"])
    begins = taken = first.offer(0)
    for _ in range(count * config.input.beats_per_inference - 1):
        taken = first.offer(taken + 1)
    return PredictedCycles(
        finished=np.array(readout.finished) - begins,
        worked={name: array.worked for name, array in reversed(arrays.items())},
    )


def reader_of(config: TopConfig, name: str, inputs: Mapping[str, Consumer]) -> Consumer:
    """What the stream of node ``name`` leads into."""
    readers = [inputs[reader] for reader in config.consumers(name)]
    return readers[0] if len(readers) == 1 else ForkTiming(readers)


def arrival(stage: LayerConfig, array: ArrayTiming, bursts: IntArray) -> Consumer:
    """The front of a layer: a receptive field, or the register through which beats pass."""
    projection = stage.projection
    if projection.window.rows_kept:
        return ReceptiveFieldTiming(projection.window, array, window_costs(bursts, projection))
    return StreamRegisterTiming(array, in_order(passing_costs(bursts, projection)))


def in_order(costs: IntArray) -> Iterator[tuple[int, bool]]:
    """Cost of every beat, and whether it closes an accumulation."""
    for accumulation in costs.reshape(-1, costs.shape[-1]).tolist():
        for cost in accumulation[:-1]:
            yield cost, False
        yield accumulation[-1], True
