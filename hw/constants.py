"""Biases and exponents: their layout, their memory, and how a pipeline is served from it."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory

from hw.configuration import NeuronConfig, ReadoutConfig


def constants_layout(config: NeuronConfig | ReadoutConfig) -> data.StructLayout:
    """The constants of one neuron or class: ``bias`` and, where any may differ from 0, ``exponent``."""
    fields: dict[str, object] = {"bias": signed(config.bias_bits)}
    if config.exponent_bits:
        fields["exponent"] = unsigned(config.exponent_bits)
    return data.StructLayout(fields)


def row_layout(config: NeuronConfig | ReadoutConfig) -> data.ArrayLayout:
    """One row of the memory: the constants of M neighbouring neurons, of one class in the readout."""
    return data.ArrayLayout(constants_layout(config), config.cores if isinstance(config, NeuronConfig) else 1)


def constants_words(config: NeuronConfig | ReadoutConfig) -> tuple[int, ...]:
    """The memory's rows as integers, in the order fold -> slot, of the readout class after class."""
    layout = row_layout(config)
    names = constants_layout(config).members
    neurons = [
        {name: value for name, value in (("bias", bias), ("exponent", exponent)) if name in names}
        for bias, exponent in zip(config.bias, config.exponent, strict=True)
    ]
    rows = [neurons[start : start + layout.length] for start in range(0, len(neurons), layout.length)]
    return tuple(layout.const(row).as_bits() for row in rows)


def constants_memory(
    m: Module, config: NeuronConfig | ReadoutConfig, *, advance: Value, taken: Value, row: Value, next_row: Value
) -> "tuple[data.View[data.ArrayLayout], Value]":
    """The constants of ``row`` in the cycle after it was taken, and whether anything may be taken.

    A table made of logic is read as it is needed. A block RAM's output ends in a register before any arithmetic, and
    that must not take longer: so it is always read one row ahead, from the first cycle after reset on, in which nothing
    may be taken yet.

    Args:
        m: the module that the memory becomes a part of, as ``constants_table``.
        config: whose constants.
        advance: the pipeline moves; what is handed out stays as it is where it does not.
        taken: the sums of ``row`` are taken in this cycle.
        row, next_row: those that are taken now and after it.
    """
    words = constants_words(config)
    m.submodules.constants_table = memory = Memory(
        shape=row_layout(config),
        depth=max(2, len(words)),
        init=[row_layout(config).from_bits(word) for word in words],
        attrs={"ram_style": config.constants_memory},
    )
    read = memory.read_port()
    if config.constants_memory == "logic":
        m.d.comb += [read.en.eq(advance), read.addr.eq(row)]
        return read.data, Const(1, 1)
    begun = Signal(name="constants_begun")
    current = Signal(row_layout(config), name="current_constants", reset_less=True)
    m.d.comb += [read.en.eq(taken | ~begun), read.addr.eq(Mux(begun, next_row, 0))]
    m.d.sync += begun.eq(1)
    with m.If(advance):
        m.d.sync += current.eq(read.data)
    return current, begun
