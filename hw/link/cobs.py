"""Consistent overhead byte stuffing (Cheshire and Baker, 1999): no zero byte inside a frame, one at its end."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory import MemoryDeclaration

LONGEST_BLOCK = 254
BLOCK_DEPTH = 256


def decoded_layout() -> data.StructLayout:
    """Payload of a decoded stream: a byte, or the ``end`` of a frame, ``whole`` if its last block is complete."""
    return data.StructLayout({"byte": 8, "end": 1, "whole": 1})


def framed_layout() -> data.StructLayout:
    """Payload of a stream of bytes in frames; ``last`` marks the end of one."""
    return data.StructLayout({"byte": 8, "last": 1})


class CobsDecoder(wiring.Component):
    """Removes the stuffing. Zero bytes between frames are ignored.

    Throughput: one byte per cycle. Latency: none, it is combinational.

    Ports:
        arriving: bytes of the line.
        leaving: ``decoded_layout()``.
    """

    def __init__(self) -> None:
        super().__init__({"arriving": In(stream.Signature(8)), "leaving": Out(stream.Signature(decoded_layout()))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        begun = Signal()
        left = Signal(8)
        zero_due = Signal()
        byte, told = self.arriving.payload, Signal()
        at_code = Signal()
        m.d.comb += [
            at_code.eq((byte != 0) & (left == 0)),
            told.eq(Mux(at_code, zero_due, begun)),
            self.leaving.valid.eq(self.arriving.valid & told),
            self.leaving.payload.byte.eq(Mux(at_code, 0, byte)),
            self.leaving.payload.end.eq(byte == 0),
            self.leaving.payload.whole.eq(left == 0),
            self.arriving.ready.eq(self.leaving.ready | ~told),
        ]
        with m.If(self.arriving.valid & self.arriving.ready):
            with m.If(byte == 0):
                m.d.sync += [begun.eq(0), left.eq(0), zero_due.eq(0)]
            with m.Elif(at_code):
                m.d.sync += [begun.eq(1), left.eq(byte - 1), zero_due.eq(byte != LONGEST_BLOCK + 1)]
            with m.Else():
                m.d.sync += left.eq(left - 1)
        return m


def block_memory() -> MemoryDeclaration:
    """A block of an answer."""
    return MemoryDeclaration(name="block", depth=BLOCK_DEPTH, layout=8, style="block")


class CobsEncoder(wiring.Component):
    """Stuffs frames block by block: a block is gathered, then sent. The first thing sent after a reset is a zero byte.

    Throughput: four cycles per byte, plus three per block. Latency: one block.

    Ports:
        arriving: ``framed_layout()``, frames of at least one byte.
        leaving: bytes for the line.
    """

    def __init__(self) -> None:
        super().__init__({"arriving": In(stream.Signature(framed_layout())), "leaving": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        declaration = block_memory()
        m.submodules[declaration.name] = block = declaration.memory()
        write, read = block.write_port(), block.read_port()
        byte, last = self.arriving.payload.byte, self.arriving.payload.last
        length = Signal(8)
        index = Signal(8)
        frame_ends = Signal()
        ends_in_zero = Signal()
        m.d.comb += [
            write.addr.eq(length),
            write.data.eq(byte),
            read.addr.eq(index),
            read.en.eq(1),
        ]
        # A register after the block RAM, whose output comes late in a cycle.
        fetched = Signal(8)
        m.d.sync += fetched.eq(read.data)
        sent = self.leaving.valid & self.leaving.ready
        with m.FSM(name="state"):
            with m.State("CLOSE"):
                m.d.comb += [self.leaving.valid.eq(1), self.leaving.payload.eq(0)]
                with m.If(sent):
                    m.d.sync += [length.eq(0), frame_ends.eq(0)]
                    m.next = "GATHER"
            with m.State("GATHER"):
                m.d.comb += self.arriving.ready.eq(1)
                with m.If(self.arriving.valid):
                    m.d.comb += write.en.eq(byte != 0)
                    m.d.sync += [
                        length.eq(length + (byte != 0)),
                        frame_ends.eq(last),
                        ends_in_zero.eq(last & (byte == 0)),
                    ]
                    with m.If((byte == 0) | last | (length == LONGEST_BLOCK - 1)):
                        m.next = "CODE"
            with m.State("CODE"):
                m.d.comb += [self.leaving.valid.eq(1), self.leaving.payload.eq(length + 1)]
                m.d.sync += index.eq(0)
                with m.If(sent):
                    with m.If(length != 0):
                        m.next = "READ"
                    with m.Else():
                        self._block_ends(m, length, frame_ends, ends_in_zero)
            with m.State("READ"):
                m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += [self.leaving.valid.eq(1), self.leaving.payload.eq(fetched)]
                with m.If(sent):
                    m.d.sync += index.eq(index + 1)
                    m.next = "READ"
                    with m.If(index == length - 1):
                        self._block_ends(m, length, frame_ends, ends_in_zero)
        return m

    def _block_ends(self, m: Module, length: Signal, frame_ends: Signal, ends_in_zero: Signal) -> None:
        """Select the state after a block; a frame that ends in a zero byte has one more block, which is empty."""
        m.d.sync += [length.eq(0), ends_in_zero.eq(0)]
        with m.If(ends_in_zero):
            m.next = "CODE"
        with m.Elif(frame_ends):
            m.next = "CLOSE"
        with m.Else():
            m.next = "GATHER"
