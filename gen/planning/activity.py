"""Expected cycles of a stage before any input is known, from the mean set bit-planes that its source sends."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from hw.configuration import TopConfig
from hw.schedule import Schedule, steps_per_frame
from hw.stages.stage import Stage, StageCycles
from qblif.network.checks import IntArray
from qblif.network.graph import Network

Activity = dict[str, list[float]]
"""Mean set bit-planes that a node sends, per timestep."""
KnownCycles = dict[tuple[object, ...], float]
UNKNOWN_SHARE = 0.5
"""Share of bit-planes that is assumed to be set if a checkpoint does not say."""


@dataclass(frozen=True, kw_only=True)
class KnownActivity:
    """The known and assumed activity of a network, from which cycles are estimated.

    Attributes:
        network: the network.
        activity: the known mean activity of its nodes.
        inputs: bursts of some inputs, (count, steps, C, H, W). With them the cycles of layers that read the input are
            those of these inputs, scaled to the mean activity: the spikes of pictures come in clusters, which
            independent events do not model.
        schedule: the order of the timesteps.
        known: cache of cycles on these inputs, by everything they depend on.
    """

    network: Network
    activity: Activity
    inputs: IntArray | None = None
    schedule: Schedule = "position_major"
    known: KnownCycles = field(default_factory=dict)

    def densities(self, node: str) -> list[float]:
        """Mean set bit-planes of one neuron of ``node`` at each timestep of a frame."""
        return self._densities[node]

    @cached_property
    def _densities(self) -> dict[str, list[float]]:
        return {node.name: self._density(node.name) for node in (self.network.input, *self.network.nodes)}

    def _density(self, node: str) -> list[float]:
        neurons = math.prod(self.network.shape(node))
        guess = UNKNOWN_SHARE * self.network.burst_ceiling(node).bit_length()
        known = self.activity.get(node, [])
        found = [known[step] / neurons if step < len(known) else guess for step in range(self.network.steps(node))]
        return [sum(found) / len(found)] if self.schedule == "time_major" else found

    def sampled(self, node: str, key: tuple[object, ...], cycles: Callable[[IntArray], float]) -> float | None:
        """The result of ``cycles`` for the known inputs, cached under ``key`` (equal keys must give equal results);
        None without inputs and for a node that is not the input."""
        if node != self.network.input.name or self.inputs is None:
            return None
        if key not in self.known:
            frames = steps_per_frame(self.network, node, self.schedule)
            self.known[key] = cycles(self.inputs.reshape(-1, frames, *self.inputs.shape[2:]))
        return self.known[key]

    def scale(self, node: str) -> float:
        """How much more active ``node``, the input, is than in the known inputs; at least 1."""
        planes = self._input_planes
        return max(1.0, sum(self.activity[node]) / planes) if node in self.activity and planes else 1.0

    @cached_property
    def _input_planes(self) -> float:
        """Mean set bit-planes of the known inputs."""
        assert self.inputs is not None
        planes = sum(float((self.inputs >> plane & 1).sum()) for plane in range(self.network.input.bits))
        return planes / len(self.inputs)


def expected_cycles(config: TopConfig, expectation: KnownActivity) -> dict[str, StageCycles]:
    """Expected cycles of every stage for each result."""
    return {stage.name: stage.expected_cycles(expectation).times(config.frames) for stage in config.stages}


def expected_accumulates(stage: Stage, expectation: KnownActivity) -> float:
    """Expected additions of one weight into one neuron per inference; padding counts like the rest of a window."""
    total = 0.0
    for engine in stage.engines:
        density = sum(expectation.densities(engine.source))
        channels = math.prod(expectation.network.shape(engine.source)) / (engine.stream.height * engine.stream.width)
        total += engine.looks * channels * density * len(engine.weights)
    return total
