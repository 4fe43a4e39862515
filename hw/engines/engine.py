"""The interface of every kind of projection engine: bursts of a node in, the currents of a layer's neurons out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.coverage import ComputedRun, CoverPoint
from hw.features import Features
from hw.layouts import bursts_layout, sums_layout
from hw.memory import Inventory, MemoryShape
from hw.rows_ahead import RowsAhead
from hw.timing import Consumer, CurrentConsumer
from qblif.network.checks import IntArray
from qblif.network.window import Window
from qblif.streams import BurstStream, stream_beats


class Expectation(Protocol):
    """The bursts expected before an input is known; see :class:`gen.planning.activity.KnownActivity`."""

    def densities(self, node: str) -> list[float]:
        """Mean number of set bit-planes of one neuron of ``node`` at each timestep of a frame."""

    def sampled(self, node: str, key: tuple[object, ...], cycles: Callable[[IntArray], float]) -> float | None:
        """The result of ``cycles`` for the known inputs; None for a node whose bursts are not known. Equal keys give
        equal cycles."""

    def scale(self, node: str) -> float:
        """Expected activity of ``node`` divided by its activity in the known inputs."""


@dataclass(frozen=True, kw_only=True)
class EngineCycles:
    """Expected cycles per inference: to take the source's beats, and to accumulate."""

    arrival: float
    array: float


class WorkTiming(Protocol):
    """The exact timing of an engine; ``worked`` counts the cycles in which its scanner works."""

    worked: int


class SideTiming(Protocol):
    """The exact timing of an engine whose sums wait for those of another, computed one sum at a time."""

    def arrive(self, at: int) -> int:
        """Like :meth:`hw.timing.Consumer.offer`, but no sum is computed before :meth:`advance` asks for it."""

    def advance(self) -> bool:
        """Compute the next sum; False if beats are missing."""

    def release(self, at: int) -> None:
        """The last sum was taken: the ring is free from cycle ``at`` on."""


class EngineInput(Consumer, SideTiming, Protocol):
    """The input of an engine, which is offered beats or asked for sums."""


class Engine(ABC):
    """One way to compute the currents of a projection: everything that the rest of the compiler uses.

    Attributes:
        source: name of the node whose bursts come in.
        accumulator_bits: signed width of a current.
        cores: currents in one beat.
        repeats: how often each sum is handed on (direct input: once for every timestep).
        weights: int64 (channels, ...) in the order of the network, with 0 between different groups.
        lanes, folds: neurons that accumulate at the same time, and passes that cover all neurons.
    """

    source: str
    accumulator_bits: int
    cores: int
    repeats: int
    weights: IntArray
    lanes: int
    folds: int

    @property
    @abstractmethod
    def stream(self) -> BurstStream:
        """The stream that comes in."""

    @property
    @abstractmethod
    def adds_per_cycle(self) -> int:
        """Weights that each lane can add per cycle."""

    @property
    def skips_silence(self) -> bool:
        """Whether its cycles depend on the bursts."""
        return True

    @property
    def hands_over(self) -> bool:
        """Whether sums pass through a hand-over, which takes one cycle for each load."""
        return True

    @property
    @abstractmethod
    def latency(self) -> int:
        """Cycles from the closing beat of an accumulation with one event to its first currents."""

    @property
    def work_left(self) -> int:
        """Cycles after its last beat, besides ``latency``, until all sums are complete, if beats never wait."""
        return 0

    @abstractmethod
    def component(self) -> Any:
        """The hardware: a component with the streams ``bursts`` and ``currents`` and the tap ``working``."""

    @abstractmethod
    def memories(self) -> Inventory:
        """Its memories."""

    @abstractmethod
    def choosable_memories(self) -> dict[str, MemoryShape]:
        """The memories that may be in block RAM or elsewhere, see :meth:`hw.stages.stage.Stage.choosable_memories`."""

    @property
    @abstractmethod
    def table_depth(self) -> int:
        """Words of the deepest table of weights in block RAM; 0 if no table is in block RAM."""

    @property
    @abstractmethod
    def looks(self) -> int:
        """Source positions that its windows read in an inference, counted once per window."""

    @abstractmethod
    def accumulates(self, bursts: IntArray) -> int:
        """Additions of one weight into one neuron, one per set bit-plane of the source's bursts."""

    @abstractmethod
    def stored_weights(self, shape: tuple[int, ...]) -> IntArray:
        """The weights that the hardware's tables or constants hold, in the order of the network and of ``shape``."""

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """Its parameters, for tables and reports."""

    @abstractmethod
    def features(self) -> Features:
        """Its logic, for the resource model."""

    @abstractmethod
    def rows_ahead(self, before: RowsAhead) -> RowsAhead:
        """Rows of some node that must have been sent before a row of currents can be computed; ``before`` gives those
        that must have been sent before a row of the source is sent."""

    @abstractmethod
    def rows_done(self, row: int) -> int:
        """Rows of its source that it no longer needs once it has computed everything before row ``row`` of currents."""

    @abstractmethod
    def expected_cycles(self, expectation: Expectation) -> EngineCycles:
        """Cycles per inference before its inputs are known."""

    @abstractmethod
    def most_cycles(self) -> int:
        """Upper bound of the cycles per inference, with every bit-plane of every burst set."""

    @abstractmethod
    def coverage(self, name: str, run: ComputedRun) -> list[CoverPoint]:
        """Functional coverage of the layer ``name`` in a run."""

    @abstractmethod
    def timing(self, neurons: CurrentConsumer, bursts: IntArray) -> tuple[EngineInput, WorkTiming]:
        """Exact timing of given inferences, with the ``bursts`` of its source: the engine's input, and its work."""


def additions(bursts: IntArray, source: BurstStream, window: Window, channels: int) -> int:
    """Additions of one weight into one of ``channels`` neurons, one per set bit-plane of the source's ``bursts``,
    (inferences, timesteps, C, H, W)."""
    beats = stream_beats(bursts, source)
    planes = sum((beats >> plane & 1).sum(axis=(0, 2)) for plane in range(source.burst_bits))
    positions = np.asarray(planes).reshape(source.height, source.width, -1).sum(axis=2)
    looks = np.outer(window.rows.looks(source.height), window.columns.looks(source.width))
    return int((positions * looks).sum()) * channels


def engine_ports(engine: Engine) -> dict[str, wiring.Member]:
    """The ports of every engine's component: ``bursts``, ``currents`` and ``working``."""
    source = engine.stream
    return {
        "bursts": In(stream.Signature(bursts_layout(source.group, source.burst_bits))),
        "currents": Out(stream.Signature(sums_layout(engine.cores, engine.accumulator_bits))),
        "working": Out(1),
    }


def numbered(name: str, number: int) -> str:
    """The name of something that every engine of a layer has: the first engine's has no number, the others' do."""
    return f"{name}_{number}" if number else name
