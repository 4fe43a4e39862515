"""Functional coverage: questions about one place of a network, and how often a run gave each answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from qblif.network.checks import IntArray
from qblif.network.graph import Network


@dataclass(frozen=True, kw_only=True, eq=False)
class ComputedRun:
    """What a network computes in a run: int64 arrays, one entry for each inference.

    Attributes:
        network: the network.
        bursts: of every node, (inferences, steps, C, H, W).
        potentials, membranes: M and V of every population after each timestep, (inferences, T, C, H, W).
        synaptics: J of every population with a synaptic current, as membranes are.
        logits: (inferences, classes).
    """

    network: Network
    bursts: Mapping[str, IntArray]
    potentials: Mapping[str, IntArray]
    membranes: Mapping[str, IntArray]
    synaptics: Mapping[str, IntArray]
    logits: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class CoverPoint:
    """Attributes:
    place: a node, layer or stream of the network.
    kind: the question about it.
    bins: the possible answers.
    hits: how often each bin was seen in each inference, int64 (inferences, bins).
    unreachable: bins that no input can reach, each with the reason.
    """

    place: str
    kind: str
    bins: tuple[str, ...]
    hits: IntArray
    unreachable: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Hits of every bin."""
        return dict(zip(self.bins, self.hits.sum(axis=0).tolist(), strict=True))

    @property
    def holes(self) -> tuple[str, ...]:
        """Bins without a hit that could have one."""
        return tuple(name for name, count in self.counts.items() if not count and name not in self.unreachable)

    @property
    def wrongly_unreachable(self) -> tuple[str, ...]:
        """Bins that were hit although they are declared unreachable; must be empty."""
        return tuple(name for name, count in self.counts.items() if count and name in self.unreachable)


def total(places: NDArray[Any]) -> IntArray:
    """Number of true ``places`` in each inference."""
    return places.reshape(len(places), -1).sum(axis=1)
