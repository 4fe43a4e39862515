"""The serial line: bytes of one start bit, eight data bits from the lowest up, one stop bit."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

DATA_BITS = 8


class UartReceiver(wiring.Component):
    """Bytes of a line; every bit is sampled in its middle, and what begins no whole start bit is passed over.

    A byte that is not taken before the next one is complete, ``10 * divisor`` cycles later, is lost. A wrong stop bit
    is not told: the frames' checksum finds out. Latency: ``9.5 * divisor`` cycles from the start bit's edge, and the
    two of the synchronizer.

    Ports:
        line: the pin; it may change at any time.
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
    """Sends bytes. Throughput: a byte in ``10 * divisor + 1`` cycles.

    Ports:
        arriving: bytes.
        line: the pin; 1 while nothing is sent.
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
