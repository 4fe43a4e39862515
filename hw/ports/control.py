"""The registers of a core in hardware: decoder, control bits, interrupts, counters and tables."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.memory import MemoryStyle
from hw.ports.bus import WORD_BITS, RegisterBus
from hw.ports.counters import CounterBank
from hw.ports.registers import PACKET_COUNTERS, RegisterMap
from hw.ports.tables import TableAccess
from hw.shell.reset import reset_by

COUNTERS = "counters"
"""The submodule that has a memory."""


class ControlRegisters(wiring.Component):
    """Serves the register bus. An access takes two cycles, or three for a counter.

    An address without a register, a write to one that can only be read (or the reverse), and a write of less than a
    word are refused and change nothing.

    Args:
        registers: the register map.
        widths: name and width of every counter's increment.
        memory: memory style of the counters' totals.
        tables: what writes the tables; None if they are constant.

    Ports:
        bus: accesses.
        reset: 1 for one cycle to restart the network.
        hold: begin no further sample.
        busy, resetting: as in the register STATUS; the counters are reset too.
        short, long, finished: a packet was too short, too long; a result has left: for one cycle each.
        increments: of the network's own counters.
        irq: an enabled interrupt waits.
    """

    def __init__(
        self, registers: RegisterMap, widths: Mapping[str, int], memory: MemoryStyle, tables: TableAccess | None
    ) -> None:
        self.registers, self.tables = registers, tables
        self.bank = CounterBank(widths, memory)
        network = {name: Out(width) for name, width in widths.items() if name not in PACKET_COUNTERS}
        super().__init__(
            {
                "bus": In(RegisterBus(registers.address_bits)),
                "reset": Out(1),
                "hold": Out(1),
                "busy": In(1),
                "resetting": In(1),
                "short": In(1),
                "long": In(1),
                "finished": In(1),
                "increments": In(wiring.Signature(network)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        m.submodules[COUNTERS] = reset_by(self.resetting)(self.bank)
        enabled = Signal(2)
        waiting = Signal(2)
        cleared = Signal(2)
        known = Const(self.tables is not None)
        patched, checking = (self.tables.patched, self.tables.checking) if self.tables else (Const(0), Const(0))
        values: dict[str, Value] = {
            "CONTROL": Cat(Const(0), self.hold),
            "STATUS": Cat(self.busy, self.resetting, known, patched, checking),
            "IRQ_ENABLE": enabled,
            "IRQ_STATUS": waiting,
        }
        writes = {
            register.name: Signal(name=f"writes_{register.name.lower()}") for register in self.registers.registers
        }
        locked: list[Value] = []
        if self.tables is not None:
            values |= self._tables(m, self.tables, writes)
            locked = [Const(self.registers[name].word_address) for name in ("TABLE_DATA", "TABLE_CHECK")]
        counted = self._decode(m, values, writes, locked)
        waited = Signal()
        m.d.sync += waited.eq(bus.request & ~bus.done)
        m.d.comb += [
            bus.done.eq(waited & (~counted | self.bank.valid)),
            cleared.eq(Mux(writes["IRQ_STATUS"], bus.data, 0)),
            self.irq.eq((waiting & enabled).any()),
            self.reset.eq(writes["CONTROL"] & bus.data[0]),
        ]
        m.d.sync += waiting.eq((waiting & ~cleared) | Cat(self.finished, self.short | self.long))
        with m.If(writes["CONTROL"]):
            m.d.sync += self.hold.eq(bus.data[1])
        with m.If(writes["IRQ_ENABLE"]):
            m.d.sync += enabled.eq(bus.data)
        increments = {"clock_cycles": Const(1), "short_packets": self.short, "long_packets": self.long}
        for name in self.bank.widths:
            amount = increments[name] if name in increments else getattr(self.increments, name)
            m.d.comb += getattr(self.bank.increments, name).eq(amount)
        return m

    def _decode(
        self, m: Module, values: Mapping[str, Value], writes: Mapping[str, Signal], locked: Sequence[Value]
    ) -> Value:
        """Connect the bus with the ``values`` that are read and the pulses of ``writes``, by the names of registers;
        returns whether a counter is addressed. The addresses ``locked`` are refused while the network may work."""
        bus = self.bus
        read = Signal(WORD_BITS)
        written = Signal()
        readable = Signal()
        writable = Signal()
        counted = Signal()
        with m.Switch(bus.address):
            for register in self.registers.registers:
                for word in range(register.words):
                    with m.Case(register.word_address + word):
                        m.d.comb += [
                            readable.eq(register.readable),
                            writable.eq(register.writable),
                            writes[register.name].eq(written),
                        ]
                        if register.values:
                            m.d.comb += read.eq(register.values[word])
                        elif register.names:
                            m.d.comb += [counted.eq(1), self.bank.index.eq(word)]
                        elif register.readable:
                            m.d.comb += read.eq(values[register.name])
        working = self.busy | ~self.hold | self.resetting | (self.tables.checking if self.tables else 0)
        is_locked = Cat(bus.address == address for address in locked).any() & working
        allowed = Mux(bus.write, writable & bus.whole & ~is_locked, readable)
        m.d.comb += [
            bus.read_data.eq(Mux(counted, self.bank.value, read)),
            bus.refused.eq(~allowed),
            written.eq(bus.done & bus.write & allowed),
        ]
        return counted

    def _tables(self, m: Module, tables: TableAccess, writes: Mapping[str, Signal]) -> dict[str, Value]:
        """Connect the registers of the tables; returns the values that are read."""
        m.d.comb += [
            tables.data.eq(self.bus.data),
            tables.select_written.eq(writes["TABLE_SELECT"]),
            tables.address_written.eq(writes["TABLE_ADDRESS"]),
            tables.pushed.eq(writes["TABLE_DATA"]),
            tables.check.eq(writes["TABLE_CHECK"]),
        ]
        return {"TABLE_SELECT": tables.select, "TABLE_ADDRESS": tables.address, "TABLE_CHECK": tables.checksum}
