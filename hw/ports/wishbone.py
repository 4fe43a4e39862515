"""Wishbone slave, classic standard cycles: turns them into accesses of the register bus.

WISHBONE System-on-Chip Interconnection Architecture, revision B4, chapter 3.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.ports.bus import WORD_BITS, WORD_BYTES, RegisterBus


class WishboneSignature(wiring.Signature):
    """A Wishbone master's side of the bus.

    Args:
        address_bits: bits of the address of a word.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "cyc": Out(1),
                "stb": Out(1),
                "we": Out(1),
                "adr": Out(address_bits),
                "sel": Out(WORD_BYTES),
                "dat_w": Out(WORD_BITS),
                "dat_r": In(WORD_BITS),
                "ack": In(1),
                "err": In(1),
            }
        )


class Wishbone(wiring.Component):
    """Wishbone slave with 32-bit data and addresses of words; 8-bit granularity, but writes must be of whole words.

    ``ack`` or ``err`` come one cycle after the registers' answer and last one cycle. A master that gives up a cycle
    before gets neither; its access may have been done.

    Ports:
        port: the slave's side of the bus.
        bus: to the registers.
    """

    prefix = "s_wb"
    outside = WishboneSignature
    """The port as seen from outside."""

    def __init__(self, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__({"port": In(WishboneSignature(address_bits)), "bus": Out(RegisterBus(address_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port, bus = self.port, self.bus
        given_up = Signal()
        selected = port.cyc & port.stb
        m.d.sync += [port.ack.eq(0), port.err.eq(0)]
        with m.FSM(name="state"):
            with m.State("IDLE"), m.If(selected):
                m.d.sync += [
                    bus.write.eq(port.we),
                    bus.whole.eq(port.sel.all() | ~port.we),
                    bus.address.eq(port.adr),
                    bus.data.eq(port.dat_w),
                    given_up.eq(0),
                ]
                m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.comb += bus.request.eq(1)
                with m.If(~selected):
                    m.d.sync += given_up.eq(1)
                with m.If(bus.done):
                    answered = selected & ~given_up
                    m.d.sync += [
                        port.ack.eq(answered & ~bus.refused),
                        port.err.eq(answered & bus.refused),
                        port.dat_r.eq(bus.read_data),
                    ]
                    m.next = "ANSWERED"
            # The master sees the answer in this cycle, and may begin another access in the next.
            with m.State("ANSWERED"):
                m.next = "IDLE"
        return m
