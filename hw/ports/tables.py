"""Tables of a running network that a host can write and check."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Elaboratable, Fragment, MemoryInstance, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from hw.ports.bus import WORD_BITS, WORD_BYTES
from hw.ports.registers import Table


class TableAccess(wiring.Component):
    """Gathers words of tables from the bus, and computes the checksum of a table from what its memory holds.

    The checksum takes ``4 * chunks + 3`` cycles per word.

    Args:
        tables: the tables, in the order of their numbers.

    Ports:
        select, select_written: number of the table, and whether it is set in this cycle from ``data``.
        address, address_written: likewise, the next word.
        data, pushed: the next 32 bits of a word.
        check: begin the checksum.
        checking, checksum: it is being computed; its value then. Writes and other checksums must wait until then.
        patched: a word was written since power-on or a reset of the whole core.
        store: write ``word`` to ``address`` of each of these tables.
        word: the word; that of a table of k chunks is in the highest k chunks.
        read: read ``address`` of every table.
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tuple(tables)
        self.chunks = max(table.chunks for table in tables)
        self.words = [Signal(table.width, name=f"table_{number}") for number, table in enumerate(tables)]
        super().__init__(
            {
                "select": Out(range(max(2, len(tables)))),
                "select_written": In(1),
                "address": Out(range(max(table.depth for table in tables))),
                "address_written": In(1),
                "data": In(WORD_BITS),
                "pushed": In(1),
                "check": In(1),
                "checking": Out(1),
                "patched": Out(1),
                "checksum": Out(WORD_BITS),
                "store": Out(len(tables)),
                "word": Out(WORD_BITS * self.chunks),
                "read": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        chunks = Array(table.chunks for table in self.tables)[self.select]
        depth = Array(table.depth for table in self.tables)[self.select]
        chunk = Signal(range(self.chunks + 1))
        storing = Signal()
        left = Signal(range(WORD_BYTES * self.chunks + 1))
        last = Signal()
        m.d.comb += [
            crc.data.eq(self.word[:8]),
            self.checksum.eq(crc.crc),
            self.store.eq(storing << self.select),
            last.eq(self.address == depth - 1),
        ]
        m.d.sync += storing.eq(0)
        with m.If(storing):
            m.d.sync += self.patched.eq(1)
            m.d.sync += self.address.eq(Mux(last, 0, self.address + 1))
        with m.If(self.pushed):
            m.d.sync += [
                self.word.eq(Value.cast(self.word >> WORD_BITS) | self.data << WORD_BITS * (self.chunks - 1)),
                storing.eq(chunk == chunks - 1),
                chunk.eq(Mux(chunk == chunks - 1, 0, chunk + 1)),
            ]
        with m.If(self.select_written):
            m.d.sync += [self.select.eq(self.data), self.address.eq(0), chunk.eq(0)]
        with m.If(self.address_written):
            m.d.sync += [self.address.eq(self.data), chunk.eq(0)]

        with m.FSM(name="state"):
            with m.State("IDLE"), m.If(self.check):
                m.d.comb += crc.start.eq(1)
                m.d.sync += [self.checking.eq(1), self.address.eq(0)]
                m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.read.eq(1)
                m.next = "LOAD"
            with m.State("LOAD"):
                m.d.sync += left.eq(chunks << (WORD_BYTES - 1).bit_length())
                with m.Switch(self.select):
                    for number, word in enumerate(self.words):
                        with m.Case(number):
                            m.d.sync += self.word.eq(word)
                m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += crc.valid.eq(1)
                m.d.sync += [self.word.eq(self.word >> 8), left.eq(left - 1)]
                with m.If(left == 1):
                    m.d.sync += self.address.eq(Mux(last, 0, self.address + 1))
                    m.next = "READ"
                    with m.If(last):
                        m.d.sync += self.checking.eq(0)
                        m.next = "IDLE"
        return m

    def attach(self, network: Elaboratable, domain: str, platform: object) -> Fragment:
        """The elaborated network, each of whose tables this component can write and read.

        A table has one more port for writing. Its port for reading is shared, so it stays in the same block RAMs: a
        checksum may be computed only while the network does not need it, and the network must be restarted then.
        """
        elaborated = Fragment.get(network, platform)
        for number, table in enumerate(self.tables):
            memory = memory_at(elaborated, table.name)
            bits = (table.depth - 1).bit_length()
            address = self.address[:bits]
            [read] = memory._read_ports
            top = self.word[WORD_BITS * (self.chunks - table.chunks) :]
            memory.write_port(domain=domain, addr=address, data=top[: table.width], en=self.store[number])
            read._addr, read._en = Mux(self.read, address, read._addr), read._en | self.read
            self.words[number] = read._data
        return elaborated


def memory_at(fragment: Fragment, path: str) -> MemoryInstance:
    """The memory below an elaborated component that the names of ``path`` lead to."""
    found: Any = fragment
    for name in path.split("."):
        found = next(part for part, own_name, _ in found.subfragments if own_name == name)
    assert isinstance(found, MemoryInstance), f"{path} is not a memory"
    return found
