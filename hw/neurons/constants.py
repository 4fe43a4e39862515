"""Biases and exponents: their layout, their memory, and how a pipeline reads it."""

from typing import Protocol

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data

from hw.features import Features
from hw.memory import MemoryDeclaration, MemoryStyle


class Constants(Protocol):
    """A configuration with biases and exponents: one of each per neuron or class, and the memory that holds them."""

    @property
    def bias(self) -> tuple[int, ...]: ...
    @property
    def exponent(self) -> tuple[int, ...]: ...
    @property
    def bias_bits(self) -> int: ...
    @property
    def exponent_bits(self) -> int: ...
    @property
    def constants_memory(self) -> MemoryStyle: ...
    @property
    def constants(self) -> MemoryDeclaration: ...


def constants_layout(config: Constants) -> data.StructLayout:
    """The constants of one neuron or class: ``bias`` and, unless all are 0, ``exponent``."""
    fields: dict[str, object] = {"bias": signed(config.bias_bits)}
    if config.exponent_bits:
        fields["exponent"] = unsigned(config.exponent_bits)
    return data.StructLayout(fields)


def constants_declaration(config: Constants, *, per_word: int) -> MemoryDeclaration:
    """The memory of biases and exponents, in the order fold -> slot (readout: class by class), with ``per_word``
    neighbours per word."""
    one = constants_layout(config)
    layout = data.ArrayLayout(one, per_word)

    def words() -> tuple[int, ...]:
        neurons = [
            {name: value for name, value in (("bias", bias), ("exponent", exponent)) if name in one.members}
            for bias, exponent in zip(config.bias, config.exponent, strict=True)
        ]
        rows = [neurons[start : start + per_word] for start in range(0, len(neurons), per_word)]
        return tuple(layout.const(row).as_bits() for row in rows)

    return MemoryDeclaration(
        name="constants_table",
        depth=len(config.bias) // per_word,
        layout=layout,
        style=config.constants_memory,
        words=words,
    )


def constants_features(config: Constants) -> Features:
    """The register after a block RAM of constants."""
    return Features(rom_register=config.constants.width if config.constants_memory == "block" else 0)


def constants_memory(
    m: Module, config: Constants, *, advance: Value, taken: Value, row: Value, next_row: Value
) -> "tuple[data.View[data.ArrayLayout], Value]":
    """The constants of ``row`` in the cycle after it was taken, and whether anything may be taken.

    A table made of logic is read on demand. A block RAM's output goes through a register before any arithmetic; to add
    no latency, the block RAM is always read one row ahead. It is first read in the first cycle after reset, in which
    nothing may be taken yet.

    Args:
        m: the module that the memory is added to.
        config: the configuration that has the constants.
        advance: the pipeline advances; while it does not, the returned constants do not change.
        taken: the sums of ``row`` are taken in this cycle.
        row, next_row: the row that is taken now, and the one after it.
    """
    declaration = config.constants
    m.submodules[declaration.name] = memory = declaration.memory()
    read = memory.read_port()
    if config.constants_memory == "logic":
        m.d.comb += [read.en.eq(advance), read.addr.eq(row)]
        return read.data, Const(1, 1)
    begun = Signal(name="constants_begun")
    current = Signal(declaration.layout, name="current_constants", reset_less=True)
    m.d.comb += [read.en.eq(taken | ~begun), read.addr.eq(Mux(begun, next_row, 0))]
    m.d.sync += begun.eq(1)
    with m.If(advance):
        m.d.sync += current.eq(read.data)
    return current, begun
