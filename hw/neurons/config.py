"""The configuration of a population's parts: its neurons, and the identity skips into them."""

from dataclasses import dataclass
from typing import Literal

from amaranth.hdl import signed
from amaranth.lib import data

from hw.layouts import bursts_layout
from hw.memory import MemoryDeclaration, MemoryStyle
from hw.neurons.constants import constants_declaration
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
class NeuronConfig:
    """The configuration of a :class:`hw.neurons.bank.NeuronBank`; ``rounding`` is r, as
    :class:`qblif.network.nodes.Population` has it; ``bias`` and ``exponent`` are (folds * lanes,)."""

    lanes: int
    folds: int
    cores: int
    group: int
    timesteps: int
    fraction_bits: int
    rounding: int
    burst_ceiling: int
    leak: Leak
    reset: Literal["soft", "hard"]
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    skips: tuple[SkipConfig, ...]
    membrane_memory: MemoryStyle
    constants_memory: MemoryStyle
    bias_bits: int
    exponent_bits: int
    accumulator_bits: int
    current_bits: int
    potential_bits: int
    membrane_bits: int
    current_leak: Leak | None = None
    membrane_limits: Limits | None = None
    current_limits: Limits | None = None

    @property
    def burst_bits(self) -> int:
        return self.burst_ceiling.bit_length()

    @property
    def slots(self) -> int:
        """Cycles in which all lanes pass through the cores once."""
        return self.lanes // self.cores

    @property
    def constants(self) -> MemoryDeclaration:
        """Biases and exponents, with M neighbouring neurons per word."""
        return constants_declaration(self, per_word=self.cores)

    @property
    def membranes(self) -> MemoryDeclaration:
        """The membranes of the neurons of one fold."""
        return MemoryDeclaration(
            name="membranes",
            depth=self.slots,
            layout=data.ArrayLayout(signed(self.membrane_bits), self.cores),
            style=self.membrane_memory,
        )
