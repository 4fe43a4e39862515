"""The exact cycle model: for given inputs, the cycle in which every class leaves, and how long every layer works."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hw.configuration import INPUT, TopConfig
from hw.fork import ForkTiming
from hw.stages.stage import Edge, StageTiming
from hw.timing import Consumer
from qblif.network.checks import IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedCycles:
    """The predicted behaviour of the hardware if inferences are offered back to back and every result is taken at once.

    Attributes:
        finished: the cycle in which each inference's class leaves; the first beat is taken in cycle 0.
        worked: for every engine, the cycles in which its scanner works, without those in which it waits for a beat or
            for the neurons after it. Engines of recurrent projections are left out: after the last result they already
            work for a timestep that does not come.
    """

    finished: IntArray
    worked: dict[str, int]

    @property
    def mean(self) -> float:
        """Cycles per inference, mean over all but the first."""
        gaps = np.diff(self.finished)
        return float(gaps.mean()) if len(gaps) else math.nan


def predict(config: TopConfig, bursts: Mapping[str, IntArray]) -> PredictedCycles:
    """Predict a run.

    Args:
        config: the hardware.
        bursts: for every node that a layer reads, (inferences, steps, C, H, W), as the golden model gives them.
    """
    bursts = {name: config.framed(values) for name, values in bursts.items()}
    inlets: dict[Edge, Consumer] = {}
    looping = {edge.source: Junction() for edge in config.loops}
    timings: dict[str, StageTiming] = {}
    for stage in reversed(config.stages):
        reader: Consumer | None = looping.get(stage.name)
        if reader is None and stage.output is not None:
            reader = reader_of(config, stage.name, inlets)
        timings[stage.name] = timing = stage.timing(reader, bursts)
        inlets |= dict(zip(stage.edges, timing.inlets, strict=True))
    for name, junction in looping.items():
        junction.reader = reader_of(config, name, inlets)
    first, count = reader_of(config, INPUT, inlets), len(bursts[INPUT])
    begins = taken = first.offer(0)
    for _ in range(count * config.input.beats_per_inference - 1):
        taken = first.offer(taken + 1)
    return PredictedCycles(
        finished=np.array(timings[config.stages[-1].name].finished) - begins,
        worked={
            worker: work.worked
            for stage in config.stages
            for worker, work in zip(stage.workers, timings[stage.name].work, strict=True)
            if worker not in stage.looping_workers
        },
    )


class Junction:
    """The reader of a stream that is set later, since the stream leads back."""

    reader: Consumer

    def offer(self, at: int) -> int:
        """As in :class:`hw.timing.Consumer`."""
        return self.reader.offer(at)


def reader_of(config: TopConfig, name: str, inlets: Mapping[Edge, Consumer]) -> Consumer:
    """The consumer that the stream of node ``name`` leads into."""
    readers = [inlets[edge] for edge in config.readers(name)]
    return readers[0] if len(readers) == 1 else ForkTiming(readers)
