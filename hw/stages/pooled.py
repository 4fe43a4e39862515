"""The common parts of all poolings, however they read their windows."""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.coverage import ComputedRun, CoverPoint
from hw.engines.engine import Engine
from hw.layouts import bursts_layout
from hw.memory import MemoryStyle
from hw.stages.stage import Edge, Site, Stage, StagePlan, Surroundings
from qblif.network.checks import IntArray
from qblif.network.nodes import Pooling
from qblif.network.window import Window
from qblif.streams import BurstStream

UNIT = "pooling"
"""The part of the stage in the top level."""


@dataclass(frozen=True, kw_only=True)
class PooledPlan(StagePlan):
    """How a pooling is built.

    Attributes:
        held: what its memory is called.
        memory: memory style.
    """

    held: ClassVar[str]
    name: str
    memory: MemoryStyle

    def memories(self) -> dict[str, MemoryStyle]:
        return {self.held: self.memory}

    def tables(self) -> dict[str, MemoryStyle]:
        return {}

    def with_memories(self, styles: Mapping[str, MemoryStyle]) -> Self:
        return dataclasses.replace(self, memory=styles[self.held])


@dataclass(frozen=True, kw_only=True)
class PooledStage(Stage):
    """A pooling; ``stream`` comes in, ``output`` leaves."""

    name: str
    source: str
    kind: Literal["sum", "max"]
    window: Window
    stream: BurstStream
    output: BurstStream
    engines: tuple[Engine, ...] = ()

    @property
    def edges(self) -> tuple[Edge, ...]:
        return (Edge(source=self.source, target=self.name, inlet=0),)

    @abstractmethod
    def unit(self) -> Any:
        """Its component."""

    def coverage(self, run: ComputedRun) -> list[CoverPoint]:
        return pooled_windows(self.name, self.kind, self.window, run.bursts[self.source])

    def assemble(self, site: Site, arriving: Sequence[Any]) -> Any:
        unit = site.add(self.part(UNIT), self.unit())
        site.connect(arriving[0], unit.arriving)
        site.watch(f"arriving_{self.name}", unit.arriving)
        return unit.leaving


def shared(node: Pooling, around: Surroundings) -> dict[str, Any]:
    """The fields of a :class:`PooledStage` that follow from its node and its surroundings."""
    incoming, network = around.streams[node.source], around.network
    _, height, width = network.shape(node.name)
    bits = network.burst_ceiling(node.name).bit_length()
    return {
        "name": node.name,
        "source": node.source,
        "kind": node.kind,
        "window": node.window,
        "stream": incoming,
        "output": dataclasses.replace(incoming, height=height, width=width, burst_bits=bits),
    }


def pooling_ports(stage: PooledStage) -> dict[str, wiring.Member]:
    """Ports of a pooling's components: ``arriving`` and ``leaving``."""
    return {
        "arriving": In(stream.Signature(bursts_layout(stage.stream.group, stage.stream.burst_bits))),
        "leaving": Out(stream.Signature(bursts_layout(stage.output.group, stage.output.burst_bits))),
    }


def pooled_windows(name: str, kind: str, window: Window, bursts: IntArray) -> list[CoverPoint]:
    """Cover points: where in a window the maximum was, and whether only there; whether any bursts arrived in rows and
    columns that no window reads.

    Args:
        name: name of the pooling.
        kind: sum or max.
        window: its window.
        bursts: the bursts of its source, (inferences, steps, C, H, W).
    """
    count, positions = len(bursts), np.moveaxis(bursts, (3, 4), (1, 2))
    points = []
    if kind == "max":
        windows = np.stack([view.reshape(count, -1) for view in window.views(positions)], axis=2)
        largest = windows.max(axis=2)
        at_largest = windows == largest[:, :, np.newaxis]
        alone = (at_largest.sum(axis=2) == 1)[:, :, np.newaxis] & at_largest
        tied = (at_largest.sum(axis=2) > 1) & (largest > 0)
        hits = np.concatenate([alone.sum(axis=1), np.stack([tied.sum(axis=1), (largest == 0).sum(axis=1)], 1)], 1)
        places = np.ndindex(window.rows.kernel, window.columns.kernel)
        bins = [f"row {row}, column {column} alone" for row, column in places]
        points.append(CoverPoint(place=name, kind="maxima", bins=(*bins, "tied", "all 0"), hits=hits))
    height, width = bursts.shape[3:]
    rows, columns = window.rows.looks(height) == 0, window.columns.looks(width) == 0
    dropped = {"a row": bursts[..., rows, :], "a column": bursts[..., columns]}
    dropped = {name: part for name, part in dropped.items() if part.size}
    if dropped:
        hits = np.stack([(part > 0).reshape(count, -1).sum(axis=1) for part in dropped.values()], axis=1)
        points.append(CoverPoint(place=name, kind="dropped", bins=tuple(dropped), hits=hits))
    return points
