"""Counters in a memory: small ones beside what they count, and one adder that collects them in turn."""

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.memory import MemoryDeclaration, MemoryStyle
from hw.ports.bus import WORD_BITS

CYCLES_PER_COUNTER = 2


def collected_bits(increment_bits: int, counters: int) -> int:
    """Bits of a small counter, which is collected once in ``CYCLES_PER_COUNTER * counters`` cycles."""
    return int((2**increment_bits - 1) * CYCLES_PER_COUNTER * counters).bit_length()


class CounterBank(wiring.Component):
    """32-bit counters that wrap to 0 after 2^32 - 1. What is counted is seen within two turns around all counters.

    The totals are in one memory, with one adder for all of them; so a counter takes a few bits of logic instead of 32,
    and no selector. Every other cycle the memory's port is free for the reader. After a reset the first turn begins
    with totals of 0.

    Args:
        widths: name and width of every counter's increment.
        memory: memory style of the totals.

    Ports:
        increments: the amount that is added to each counter in this cycle, by name.
        index: the counter to read.
        value: total of the counter that ``index`` named two cycles before, while ``valid`` is 1.
        valid: ``value`` is that of the ``index`` of two cycles before, if that has not changed since.
    """

    def __init__(self, widths: Mapping[str, int], memory: MemoryStyle) -> None:
        self.widths, self.memory = dict(widths), memory
        super().__init__(
            {
                "increments": In(wiring.Signature({name: Out(width) for name, width in widths.items()})),
                "index": In(range(max(2, len(widths)))),
                "value": Out(WORD_BITS),
                "valid": Out(1),
            }
        )

    @property
    def totals(self) -> MemoryDeclaration:
        """The memory of the totals."""
        return MemoryDeclaration(name="totals", depth=len(self.widths), layout=WORD_BITS, style=self.memory)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count, last = len(self.widths), len(self.widths) - 1
        declaration = self.totals
        m.submodules[declaration.name] = memory = declaration.memory()
        read, write = memory.read_port(), memory.write_port()

        # A step of two cycles: read the total and take the small counter, then write the sum; the second cycle's read
        # is the reader's.
        turn = Signal(range(count))
        writing = Signal()
        fresh = Signal(init=1)
        bits = max(collected_bits(width, count) for width in self.widths.values())
        collected = Signal(bits, reset_less=True)
        small = Signal(data.ArrayLayout(unsigned(bits), count))
        for number, (name, width) in enumerate(self.widths.items()):
            counted = Signal(collected_bits(width, count), name=f"{name}_counted")
            taken = ~writing & (turn == number)
            m.d.sync += counted.eq(Mux(taken, 0, counted) + getattr(self.increments, name))
            m.d.comb += small[number].eq(counted)
        m.d.sync += writing.eq(~writing)
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(Mux(writing, self.index, turn)),
            write.en.eq(writing),
            write.addr.eq(turn),
            write.data.eq(Mux(fresh, 0, read.data) + collected),
            self.value.eq(read.data),
            self.valid.eq(~writing & ~fresh),
        ]
        with m.If(~writing):
            m.d.sync += collected.eq(small[turn])
        with m.Else():
            m.d.sync += turn.eq(Mux(turn == last, 0, turn + 1))
            with m.If(turn == last):
                m.d.sync += fresh.eq(0)
        return m
