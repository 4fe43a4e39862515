"""The interface of all stages: top level, cycle model, resource model, memory images and planner use nothing else.

A stage is the hardware of one node of the network. Each kind of stage is completely defined in its own file, and
:mod:`hw.stages.registry` lists the kinds.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.coverage import ComputedRun, CoverPoint
from hw.divisors import divisors
from hw.engines.engine import Engine, Expectation, WorkTiming, numbered
from hw.features import Features
from hw.luts import LutShape
from hw.memory import Inventory, MemoryShape, MemoryStyle, under
from hw.neurons.config import NeuronConfig
from hw.rows_ahead import RowsAhead
from hw.schedule import Schedule, steps_per_frame
from hw.timing import Consumer
from hw.widths import Widths
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A stream of bursts from a node into one inlet of a stage.

    Attributes:
        source: the node that sends, a stage or the input.
        target: the stage that reads.
        inlet: its number among the stage's inlets; inlet 0 leads to the main engine or the pooling.
    """

    source: str
    target: str
    inlet: int


@dataclass(frozen=True, kw_only=True)
class StageCycles:
    """Expected cycles per frame: to take the source's beats, to accumulate, to update neurons or to pool."""

    arrival: float
    array: float
    neurons: float

    @property
    def bottleneck(self) -> float:
        """The largest of the three, which limits the stage."""
        return max(self.arrival, self.array, self.neurons)

    def times(self, frames: int) -> "StageCycles":
        """The same for several frames."""
        return StageCycles(arrival=self.arrival * frames, array=self.array * frames, neurons=self.neurons * frames)


@dataclass(frozen=True, kw_only=True)
class StageTiming:
    """Exact timing of a stage for given inferences: its inlets, the work of its engines, and, for the last stage, the
    cycle in which each inference's class leaves."""

    inlets: tuple[Consumer, ...]
    work: tuple[WorkTiming, ...] = ()
    finished: Sequence[int] = ()


class StagePlan(ABC):
    """How one stage is built. Subclasses are frozen dataclasses; ``type`` names them in a plan's JSON."""

    type: ClassVar[str]
    name: str

    @property
    def widths(self) -> Widths | None:
        """Fixed widths of registers and constants, so that other networks fit too; None for the widths that this
        network needs."""
        return None

    @abstractmethod
    def memories(self) -> dict[str, MemoryStyle]:
        """Style of each memory that the hardware writes, by name."""

    @abstractmethod
    def with_memories(self, styles: Mapping[str, MemoryStyle]) -> Self:
        """The same plan with other styles of some memories, by the names of :meth:`memories` and ``weights``."""

    @abstractmethod
    def tables(self) -> dict[str, MemoryStyle]:
        """Style of each table whose contents depend on training, by name."""

    @property
    def patchable(self) -> bool:
        """Whether everything that depends on training is in block RAM."""
        return all(style == "block" for style in self.tables().values())

    def beat_widths(self, most: int) -> list[int]:
        """Possible widths of the stage's beats, ascending; not implemented by stages that keep the width of the beats
        that arrive."""
        raise NotImplementedError

    def with_beats_of(self, group: int) -> Self:
        """The same plan with beats of another width."""
        raise NotImplementedError

    def regrouped(self, stream: BurstStream, group: int) -> BurstStream:
        """The stream that leaves, or one that a pooling made of it, with beats of another width."""
        return stream.regrouped(group)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Everything that the configuration of a stage depends on besides its node and its plan.

    Attributes:
        network: the network.
        schedule: the order of the timesteps.
        streams: the streams of all nodes before it, and of the sources of recurrent projections, by name.
        before: the stages before it, in order.
    """

    network: Network
    schedule: Schedule
    streams: Mapping[str, BurstStream]
    before: Sequence["Stage"]


@dataclass(frozen=True, kw_only=True)
class Room:
    """The limits and choices within which the planner asks a stage for plans.

    Attributes:
        network: the network.
        schedule: the order of the timesteps.
        streams: streams of the sources of its weighted projections, in order.
        limit: expected cycles per frame that the stage should stay under.
        lanes: numbers of lanes that are worth trying.
        most_banks: the largest number of banks.
        queues: whether banks may have queues.
        widest_beat: channels of the widest beat.
        most_classes: classes of the widest beat of the results.
        prompt: as in :class:`gen.planning.scope.Scope`.
        lut: LUTs of the chip, if weights may be constants in logic; otherwise None.
        skipped: beat widths of the skips into it; 0 for widths not yet decided.
        widths: widths of registers and constants, fixed for later networks; None for those that this network needs.
    """

    network: Network
    schedule: Schedule
    streams: Sequence[BurstStream]
    limit: float
    lanes: Sequence[int]
    most_banks: int
    queues: bool
    widest_beat: int
    most_classes: int
    prompt: bool
    lut: LutShape | None
    skipped: Sequence[int]
    widths: Widths | None

    def steps(self, node: str) -> int:
        """Timesteps of a node in each frame."""
        return steps_per_frame(self.network, node, self.schedule)

    @property
    def shortest_turn(self) -> int:
        """Fewest cycles per timestep and fold in which neurons are updated: position-major, the states of the same
        neurons are needed again at once."""
        return 4 if self.schedule == "position_major" else 1

    @property
    def banks(self) -> list[list[int]]:
        """For each stream: the numbers of banks to which the channels of a beat can be dealt, ascending."""
        return [[banks for banks in divisors(one.group) if banks <= self.most_banks] for one in self.streams]

    @property
    def constants(self) -> MemoryStyle:
        """Memory style of biases and exponents: block RAM if they can be replaced later."""
        return "logic" if self.widths is None else "block"


class Site(Protocol):
    """Where a stage is assembled: the top level's module, with the stage's own reset, and taps if it has any."""

    def add(self, name: str, component: Any) -> Any:
        """Make a component a submodule under ``name``, and return it."""

    def connect(self, source: Any, sink: Any) -> None:
        """Connect two ends of a stream."""

    def watch(self, flow: str, ends: Any) -> None:
        """Show valid and ready of a stream, one of :meth:`Stage.flows`, to a tap."""

    def tap(self, name: str, shown: Any) -> None:
        """Show a signal or an interface, one of :meth:`Stage.taps`, to a tap."""

    def results(self, ends: Any) -> None:
        """Make a stream the network's results."""


class Stage(ABC):
    """The configuration of a stage, and everything derived from it. Subclasses are frozen dataclasses.

    Attributes:
        type: type of its plan.
        name: name of its node.
        engines: engines of the projections into it, in the order of the network.
        output: the stream that leaves it; None for the last stage.
    """

    type: ClassVar[str]
    name: str
    engines: tuple[Engine, ...]
    output: BurstStream | None

    @property
    def neurons(self) -> NeuronConfig | None:
        """Its neurons, if it has any."""
        return None

    @classmethod
    @abstractmethod
    def builds(cls, node: object, schedule: Schedule) -> bool:
        """Whether a node of the network becomes this kind of stage under a schedule."""

    @classmethod
    @abstractmethod
    def derived(cls, node: Any, plan: Any, around: Surroundings) -> Self:
        """The stage of a node of the network under a plan; raises UserError if the plan does not fit."""

    @classmethod
    def output_of(cls, node: Any, plan: Any, network: Network, schedule: Schedule) -> BurstStream:
        """The stream that leaves the stage of a node under a plan; not implemented by stages whose stream depends on
        the one that arrives."""
        raise NotImplementedError

    @classmethod
    @abstractmethod
    def proposals(cls, node: Any, room: Room) -> Iterator[StagePlan]:
        """Plans that are worth trying, with every memory in block RAM that may be there."""

    @property
    def workers(self) -> tuple[str, ...]:
        """The name of each engine's work: the stage's name, from the second engine on with a number in front; no name
        of a node begins with a number."""
        return tuple(f"{number}_{self.name}" if number else self.name for number in range(len(self.engines)))

    @property
    def looping_workers(self) -> tuple[str, ...]:
        """Those that compute the currents of recurrent projections."""
        return ()

    @property
    @abstractmethod
    def edges(self) -> tuple[Edge, ...]:
        """The streams that come in."""

    @property
    @abstractmethod
    def latency(self) -> int:
        """Cycles from the last beat that a result depends on to the result, for one timestep and one event."""

    @property
    def delay(self) -> int:
        """Expected cycles from the last beat of the source to the last one that leaves, for an engine that keeps up
        with its beats."""
        return self.latency

    @abstractmethod
    def memories(self) -> Inventory:
        """Its memories, with their paths below the network's top level."""

    @abstractmethod
    def features(self) -> Features:
        """Its logic without the memories, for the resource model."""

    @abstractmethod
    def choosable_memories(self) -> dict[str, MemoryShape]:
        """The memories that may be in block RAM or elsewhere, by the names of :meth:`StagePlan.with_memories`."""

    @abstractmethod
    def rows_ahead(self, found: Mapping[str, RowsAhead]) -> RowsAhead | None:
        """Rows of some node that must have been sent before the stage can work on one of its rows; ``found``: the same
        for the nodes before it. None if the stage does not depend on that node."""

    @abstractmethod
    def expected_cycles(self, expectation: Expectation) -> StageCycles:
        """Cycles per inference before its inputs are known."""

    @abstractmethod
    def most_cycles(self) -> int:
        """Upper bound of the cycles per inference, for any input."""

    @abstractmethod
    def timing(self, reader: Consumer | None, bursts: Mapping[str, IntArray]) -> StageTiming:
        """Exact timing of given inferences.

        Args:
            reader: the receiver of the beats that leave; None for the last stage.
            bursts: the bursts of every node that an engine reads, (inferences, steps, C, H, W).
        """

    def coverage(self, run: ComputedRun) -> list[CoverPoint]:
        """Functional coverage of the stage in a run."""
        return [point for engine in self.engines for point in engine.coverage(self.name, run)]

    @abstractmethod
    def assemble(self, site: Site, arriving: Sequence[Any]) -> Any:
        """Assemble the hardware that reads the streams of :attr:`edges`; returns the stream that leaves, or None."""

    def add_engines(self, site: Site) -> list[Any]:
        """Add the engines' components to the top level, and show their currents and their work to taps."""
        components = []
        for number, (engine, worker) in enumerate(zip(self.engines, self.workers, strict=True)):
            components.append(site.add(self.part(numbered("projection", number)), engine.component()))
            site.watch(f"currents_{worker}", components[-1].currents)
            site.tap(f"working_{worker}", components[-1].working)
        return components

    def engine_memories(self) -> Inventory:
        """The memories of the engines, with the paths that :meth:`add_engines` gives them."""
        for number, engine in enumerate(self.engines):
            yield from under(self.part(numbered("projection", number)), engine.memories())

    def flows(self) -> Iterator[str]:
        """Names of the streams into and inside the stage, which taps can watch."""
        yield f"arriving_{self.name}"
        yield from (f"currents_{worker}" for worker in self.workers)

    def taps(self) -> dict[str, wiring.Member]:
        """Other ports of taps, by name."""
        return {f"working_{worker}": Out(1) for worker in self.workers}

    def part(self, name: str) -> str:
        """Name of a part of the stage in the top level."""
        return f"{self.name}_{name}"

    def figures(self) -> dict[str, Any]:
        """Its parameters, for tables and reports."""
        return {}
