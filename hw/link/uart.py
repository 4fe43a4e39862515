"""The serial line: each byte has one start bit, eight data bits, lowest first, and one stop bit."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

DATA_BITS = 8


class UartReceiver(wiring.Component):
    """Receives bytes. Every bit is sampled in its middle; start bits shorter than half a bit period are ignored as
    glitches.

    A byte that is not taken before the next one is complete, ``10 * divisor`` cycles later, is lost. A wrong stop bit
    is not reported, since the frame's checksum detects it. Latency: ``9.5 * divisor`` cycles from the start bit's edge,
    plus two for the synchronizer.

    Ports:
        line: the pin, asynchronous to the clock.
        leaving: bytes.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"line": In(1, init=1), "leaving": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.line, line, init=1)
        wait = Signal(range(self.divisor))
        bit = Signal(range(DATA_BITS))
        bits = Signal(DATA_BITS)
        with m.If(self.leaving.ready):
            m.d.sync += self.leaving.valid.eq(0)
        m.d.sync += wait.eq(wait - 1)
        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.sync += wait.eq(self.divisor // 2 - 1)
                with m.If(~line):
                    m.next = "START"
            with m.State("START"), m.If(wait == 0):
                m.d.sync += [wait.eq(self.divisor - 1), bit.eq(0)]
                with m.If(line):
                    m.next = "IDLE"
                with m.Else():
                    m.next = "DATA"
            with m.State("DATA"), m.If(wait == 0):
                m.d.sync += [wait.eq(self.divisor - 1), bits.eq(Cat(bits[1:], line)), bit.eq(bit + 1)]
                with m.If(bit == DATA_BITS - 1):
                    m.next = "STOP"
            with m.State("STOP"), m.If(wait == 0):
                m.d.sync += [self.leaving.payload.eq(bits), self.leaving.valid.eq(1)]
                m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Sends bytes. Throughput: one byte per ``10 * divisor + 1`` cycles.

    Ports:
        arriving: bytes.
        line: the pin; 1 when idle.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"arriving": In(stream.Signature(8)), "line": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        frame_bits = DATA_BITS + 2
        bits = Signal(frame_bits, init=-1)
        left = Signal(range(frame_bits + 1))
        wait = Signal(range(self.divisor))
        m.d.comb += [self.arriving.ready.eq(left == 0), self.line.eq(bits[0])]
        with m.If(left == 0):
            m.d.sync += wait.eq(self.divisor - 1)
            with m.If(self.arriving.valid):
                m.d.sync += [bits.eq(Cat(Const(0, 1), self.arriving.payload, Const(1, 1))), left.eq(frame_bits)]
        with m.Elif(wait == 0):
            m.d.sync += [wait.eq(self.divisor - 1), bits.eq(Cat(bits[1:], Const(1, 1))), left.eq(left - 1)]
        with m.Else():
            m.d.sync += wait.eq(wait - 1)
        return m
