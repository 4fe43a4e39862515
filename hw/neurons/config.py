"""The configuration of a population's parts: its neurons, and the identity skips into them."""

from dataclasses import dataclass
from typing import Literal

from amaranth.hdl import ShapeLike, signed
from amaranth.lib import data

from hw.layouts import bursts_layout
from hw.memory import MemoryDeclaration, MemoryStyle
from hw.neurons.constants import constants_declaration
from hw.schedule import Schedule
from qblif.network.nodes import Leak, Limits
from qblif.streams import BurstStream


@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    """Bursts of ``source`` that wait until the parallel path has caught up; at most ``depth`` beats."""

    source: str
    stream: BurstStream
    depth: int
    memory: MemoryStyle

    @property
    def queue(self) -> MemoryDeclaration:
        """The memory of the waiting beats."""
        return MemoryDeclaration(
            name="queue",
            depth=self.depth,
            layout=bursts_layout(self.stream.group, self.stream.burst_bits),
            style=self.memory,
        )


@dataclass(frozen=True, kw_only=True)
class SkipConfig(QueueConfig):
    """An identity connection into a population: each burst counts ``weight``."""

    weight: int


@dataclass(frozen=True, kw_only=True)
class FrameBufferConfig(QueueConfig):
    """Bursts of ``source`` that wait for the next timestep of a sample of ``frames`` frames; 0 for a stream without
    end."""

    frames: int


@dataclass(frozen=True, kw_only=True)
class NeuronConfig:
    """The configuration of a :class:`hw.neurons.bank.NeuronBank`.

    Attributes:
        schedule: the order in which its neurons come; time-major, the states of all of them are stored.
        positions: height times width.
        unrolled: every timestep has neuron cores of its own, as :class:`hw.neurons.unrolled.UnrolledBank` says.
        shared_sums: with ``unrolled``: one sum serves all timesteps.
        endless: timesteps come without end, and only a reset brings the neurons to rest; otherwise every sample does.
        rounding: r, as :class:`qblif.network.nodes.Population` has it.
        bias, exponent: (folds * lanes,).
    """

    schedule: Schedule = "position_major"
    lanes: int
    folds: int
    positions: int
    cores: int
    group: int
    timesteps: int
    unrolled: bool = False
    shared_sums: bool = False
    endless: bool = False
    fraction_bits: int
    rounding: int
    burst_ceiling: int
    leak: Leak
    reset: Literal["soft", "hard"]
    current_leak: Leak | None = None
    membrane_limits: Limits | None = None
    current_limits: Limits | None = None
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    skips: tuple[SkipConfig, ...]
    membrane_memory: MemoryStyle
    constants_memory: MemoryStyle
    bias_bits: int
    exponent_bits: int
    accumulator_bits: int
    current_bits: int
    summed_bits: int
    synaptic_bits: int
    potential_bits: int
    membrane_bits: int

    @property
    def burst_bits(self) -> int:
        return self.burst_ceiling.bit_length()

    @property
    def slots(self) -> int:
        """Cycles in which all lanes pass through the cores once."""
        return self.lanes // self.cores

    @property
    def parts(self) -> int:
        """Cycles in which the bursts of a beat are gathered; with ``unrolled``, beats in which the cores' bursts of all
        timesteps are sent."""
        return self.cores * self.timesteps // self.group if self.unrolled else self.group // self.cores

    @property
    def turns(self) -> int:
        """Turns of all lanes through the cores until a state is needed again."""
        return self.positions * self.folds if self.schedule == "time_major" else 1

    @property
    def burst_latency(self) -> int:
        """Cycles from a sum to its burst in a neuron core."""
        return 4 + (self.current_leak is not None) + (self.current_limits is not None)

    @property
    def write_latency(self) -> int:
        """Cycles from a sum to the state that it leaves."""
        return self.burst_latency + (self.membrane_limits is not None)

    @property
    def pause(self) -> int:
        """Cycles to wait after the last neuron of a timestep until the state of the first one is written; 0 where no
        state is read again."""
        forgets = self.schedule == "position_major" and self.timesteps == 1
        return 0 if forgets else max(0, self.write_latency - self.membranes.depth)

    @property
    def constants(self) -> MemoryDeclaration:
        """Biases and exponents, with M neighbouring neurons per word."""
        return constants_declaration(self, per_word=self.cores)

    @property
    def state_layout(self) -> ShapeLike:
        """The state of one neuron: its membrane and, if it has one, its synaptic current."""
        membrane = signed(self.membrane_bits)
        if self.current_leak is None:
            return membrane
        return data.StructLayout({"membrane": membrane, "synaptic": signed(self.synaptic_bits)})

    @property
    def membranes(self) -> MemoryDeclaration:
        """The states of the neurons of one fold or, time-major, of all neurons."""
        return MemoryDeclaration(
            name="membranes",
            depth=self.slots * self.turns,
            layout=data.ArrayLayout(self.state_layout, self.cores),
            style=self.membrane_memory,
        )
