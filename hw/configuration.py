"""The configuration of a whole network: its input stream and its stages, derived from network and plan."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import numpy as np

from hw.neurons.config import NeuronConfig
from hw.schedule import Schedule
from hw.stages.readout import ReadoutStage
from hw.stages.readout_unit import ReadoutConfig
from hw.stages.stage import Edge, Stage
from qblif.network.checks import IntArray
from qblif.streams import BurstStream

INPUT = "input"


@dataclass(frozen=True, kw_only=True)
class TopConfig:
    """The whole network.

    Attributes:
        input: the input's stream.
        stages: all stages in topological order, the readout last.
        mode: ``window`` or ``stream``, as in :class:`qblif.network.graph.Network`.
        schedule: the order of the timesteps.
        frames: frames of the input stream for each result.
    """

    input: BurstStream
    stages: tuple[Stage, ...]
    mode: Literal["window", "stream"] = "window"
    schedule: Schedule = "position_major"
    frames: int = 1

    @property
    def beats_per_result(self) -> int:
        """Beats of the input stream for each result."""
        return self.input.beats_per_inference * self.frames

    def framed(self, bursts: IntArray) -> IntArray:
        """Bursts of a node, (samples, steps, C, H, W), as the frames in which they pass through the hardware: whole
        samples, or, time-major, single timesteps. A direct input is sent again for every timestep."""
        if self.schedule == "position_major":
            return bursts
        steps = bursts.shape[1]
        repeated = np.repeat(bursts, self.frames // steps if steps < self.frames else 1, axis=1)
        return repeated.reshape(-1, 1, *bursts.shape[2:])

    @property
    def layers(self) -> tuple[Stage, ...]:
        """The stages that have weights."""
        return tuple(stage for stage in self.stages if stage.engines)

    @property
    def workers(self) -> tuple[str, ...]:
        """The name of every engine's work."""
        return tuple(worker for stage in self.stages for worker in stage.workers)

    @property
    def populations(self) -> tuple[tuple[str, NeuronConfig, BurstStream], ...]:
        """Name, neurons and outgoing stream of every population."""
        return tuple(
            (stage.name, stage.neurons, stage.output)
            for stage in self.stages
            if stage.neurons is not None and stage.output is not None
        )

    @property
    def readout(self) -> ReadoutConfig:
        """The configuration of the component that turns sums into logits."""
        return cast(ReadoutStage, self.stages[-1]).readout

    @cached_property
    def streams(self) -> dict[str, BurstStream]:
        """The stream that leaves each node."""
        return {INPUT: self.input, **{stage.name: stage.output for stage in self.stages if stage.output is not None}}

    def stream(self, name: str) -> BurstStream:
        """The stream that leaves the node called ``name``; raises KeyError."""
        return self.streams[name]

    @property
    def loops(self) -> tuple[Edge, ...]:
        """The edges that lead from a stage to itself or to one before it."""
        known = {INPUT}
        found = []
        for stage in self.stages:
            found += [edge for edge in stage.edges if edge.source not in known]
            known.add(stage.name)
        return tuple(found)

    def readers(self, name: str) -> tuple[Edge, ...]:
        """The inlets that read the stream of ``name``."""
        edges = [edge for stage in self.stages for edge in stage.edges if edge.source == name]
        # Queues first: the cycle model must offer a burst to a skip queue before it offers it to the layer beside it.
        return tuple(sorted(edges, key=lambda edge: edge.inlet == 0))
