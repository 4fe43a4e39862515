"""Frame receiver: keeps valid frames, and leaves a note in the place of each invalid one."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.link.cobs import decoded_layout
from hw.link.configuration import LinkConfig
from hw.memory import MemoryDeclaration
from hw.stream_register import StreamRegister
from qblif.protocol import CRC_BYTES, HEADER_BYTES, Command, Error

MOST_OWED = 4095
"""Notes that can wait for room: no line brings this many frames while a network works through a full ring."""
LATE_WRITES = 2
"""Writes that the free space does not account for yet."""
FAULTS = (
    Error.SHORT,
    Error.OVERSIZED,
    Error.CORRUPT,
    Error.UNKNOWN,
    Error.SHORT,
    Error.OVERSIZED,
    Error.BUSY,
    Error.OUT_OF_ORDER,
)
"""What a frame is checked for, in the order in which faults are reported; the lengths first of any frame, then of one
of its kind."""


def ring_memory(buffer_bytes: int) -> MemoryDeclaration:
    """The ring of requests."""
    return MemoryDeclaration(name="ring", depth=buffer_bytes, layout=8, style="block")


class FrameReceiver(wiring.Component):
    """Turns frames into records: ``kind, id`` and the data of a sample or timestep.

    A frame is written into a ring as it arrives and becomes a record when its end proves it valid. An invalid frame is
    replaced by a note, ``Error, next expected id``, so all frames are answered in order. Notes that find no room are
    counted, up to ``MOST_OWED``, and written as soon as there is room. Until then every frame that begins or ends is
    refused as ``BUSY``.

    ``RESET`` empties the ring and restarts everything after it. Its record waits until the restart is complete and
    leaves first.

    Throughput: one byte per cycle, seven cycles for the end of a frame. Latency: 4 cycles from the end to the record.

    Ports:
        decoded: ``decoded_layout()``.
        records: bytes; the kind of a record determines its length.
        restart: 1 for one cycle before the record of a ``RESET`` leaves.
        restarting: a restart is in progress and no record leaves; 1 from the cycle after ``restart``.
    """

    def __init__(self, config: LinkConfig) -> None:
        self.config = config
        super().__init__(
            {
                "decoded": In(stream.Signature(decoded_layout())),
                "records": Out(stream.Signature(8)),
                "restart": Out(1),
                "restarting": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        depth, longest = config.buffer_bytes, config.longest_frame
        declaration = ring_memory(depth)
        m.submodules[declaration.name] = ring = declaration.memory()
        write, read = ring.write_port(), ring.read_port()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()

        # Addresses with one bit more than the memory needs: the next byte to write, the end of complete records, and
        # the next byte to read.
        written = Signal(range(2 * depth))
        committed = Signal.like(written)
        fetched = Signal.like(written)
        m.d.comb += write.addr.eq(written[:-1])

        # Subtraction and comparison take a cycle each, so the last two writes may not be accounted for yet.
        space = Signal(range(depth + 1), init=depth)
        full = Signal()
        cramped = Signal()
        m.d.sync += [
            space.eq(depth - (written - fetched)[: len(written)]),
            full.eq(space <= LATE_WRITES),
            cramped.eq(space < HEADER_BYTES + LATE_WRITES),
        ]
        owed = Signal(range(MOST_OWED + 1))
        owing = Signal()

        byte = self.decoded.payload.byte
        length = Signal(range(longest + 2))
        kind = Signal(8)
        identifier = Signal(8)
        expected = Signal(8)
        no_room = Signal()
        note_kind = Signal(8)
        found = self._found(length, kind, identifier, expected, no_room, crc.match_detected)
        faults = Signal(len(FAULTS))
        resets = Signal()
        restarting = Signal()
        m.d.sync += self.restart.eq(restarting)
        with m.FSM(name="state"):
            with m.State("RECEIVE"):
                m.d.comb += [crc.data.eq(byte), write.data.eq(byte)]
                with m.If(owing & ~cramped):
                    # While notes are owed no byte of a frame is written, so the notes follow the last record.
                    m.d.sync += [owed.eq(owed - 1), owing.eq(owed != 1), note_kind.eq(Error.BUSY)]
                    m.next = "NOTE KIND"
                with m.Else():
                    m.d.comb += self.decoded.ready.eq(1)
                    with m.If(self.decoded.valid & ~self.decoded.payload.end):
                        m.d.comb += [crc.valid.eq(1), write.en.eq((length < longest) & ~full & ~owing)]
                        m.d.sync += [
                            length.eq(Mux(length > longest, length, length + 1)),
                            written.eq(written + write.en),
                            no_room.eq(no_room | full | owing),
                        ]
                        with m.If(length == 0):
                            m.d.sync += kind.eq(byte)
                        with m.If(length == 1):
                            m.d.sync += identifier.eq(byte)
                    with m.Elif(self.decoded.valid):
                        m.d.comb += crc.start.eq(1)
                        m.d.sync += [faults.eq(found), resets.eq(kind == Command.RESET), length.eq(0), no_room.eq(0)]
                        m.next = "JUDGE"
            with m.State("JUDGE"):
                m.d.sync += note_kind.eq(kind)
                with m.If(faults.any()):
                    m.d.sync += [note_kind.eq(self._error(m, faults)), written.eq(committed)]
                    m.next = "DROPPED"
                with m.Else():
                    m.d.sync += expected.eq(identifier + 1)
                    m.next = "RECEIVE"
                    with m.If(resets):
                        m.d.comb += restarting.eq(1)
                        m.d.sync += [written.eq(0), committed.eq(0), owed.eq(0), owing.eq(0)]
                        m.next = "NOTE KIND"
                    with m.Else():
                        end = (written - CRC_BYTES)[: len(written)]
                        m.d.sync += [written.eq(end), committed.eq(end)]
            with m.State("DROPPED"):
                # The free space without the dropped frame is known only two cycles later.
                m.next = "SETTLED"
            with m.State("SETTLED"):
                m.next = "REFUSE"
            with m.State("REFUSE"):
                with m.If(~owing & ~cramped):
                    m.next = "NOTE KIND"
                with m.Else():
                    m.d.sync += [owed.eq(Mux(owed == MOST_OWED, owed, owed + 1)), owing.eq(1)]
                    m.next = "RECEIVE"
            with m.State("NOTE KIND"):
                m.d.comb += [write.data.eq(note_kind), write.en.eq(1)]
                m.d.sync += written.eq(written + 1)
                m.next = "NOTE ID"
            with m.State("NOTE ID"):
                m.d.comb += [write.data.eq(Mux(note_kind == Command.RESET, identifier, expected)), write.en.eq(1)]
                m.d.sync += [written.eq(written + 1), committed.eq(written + 1)]
                m.next = "RECEIVE"

        # A register after the block RAM, whose output comes late in a cycle.
        m.submodules.register = register = ResetInserter(restarting)(StreamRegister(8))
        read_valid = Signal()
        m.d.comb += [
            read.addr.eq(fetched[:-1]),
            read.en.eq(~read_valid | register.arriving.ready),
            register.arriving.valid.eq(read_valid),
            register.arriving.payload.eq(read.data),
        ]
        connect(m, register.leaving, flipped(self.records))
        fetching = (fetched != committed) & ~self.restarting
        with m.If(read.en):
            m.d.sync += [read_valid.eq(fetching), fetched.eq(fetched + fetching)]
        with m.If(restarting):
            m.d.sync += [read_valid.eq(0), fetched.eq(0)]
        return m

    def _found(
        self, length: Value, kind: Value, identifier: Value, expected: Value, no_room: Value, matches: Value
    ) -> Value:
        """Which of :data:`FAULTS` the frame that ends now has."""
        shortest = HEADER_BYTES + CRC_BYTES
        works = kind == self.config.identity.command
        wanted = Mux(works, self.config.longest_frame, shortest)
        any_order = (kind == Command.IDENTIFY) | (kind == Command.RESET)
        known = any_order | works | (kind == Command.COUNTERS)
        return Cat(
            length < shortest,
            length > self.config.longest_frame,
            ~self.decoded.payload.whole | ~matches,
            ~known,
            length < wanted,
            length > wanted,
            no_room & (kind != Command.RESET),
            ~any_order & (identifier != expected),
        )

    @staticmethod
    def _error(m: Module, faults: Value) -> Value:
        """The error of a frame: its first fault."""
        error = Signal(8)
        for position, fault in enumerate(FAULTS):
            with m.If(faults[position]) if position == 0 else m.Elif(faults[position]):
                m.d.comb += error.eq(fault)
        return error
