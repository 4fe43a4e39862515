"""AXI4-Lite slave: turns the five channels into accesses of the register bus, one at a time.

AMBA AXI and ACE Protocol Specification (ARM IHI 0022), chapter B1.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.ports.bus import WORD_BITS, WORD_BYTES, RegisterBus

BYTE_ADDRESS_BITS = 2
OKAY, SLAVE_ERROR = 0b00, 0b10


class AxiLiteSignature(wiring.Signature):
    """The five channels of an AXI4-Lite master.

    Args:
        address_bits: bits of the address of a word.
    """

    def __init__(self, address_bits: int) -> None:
        byte_address_bits = address_bits + BYTE_ADDRESS_BITS
        super().__init__(
            {
                "awaddr": Out(byte_address_bits),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(WORD_BITS),
                "wstrb": Out(WORD_BYTES),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(byte_address_bits),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(WORD_BITS),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLite(wiring.Component):
    """AXI4-Lite slave with 32-bit data.

    A write is taken when its address and its data are both there. If a read and a write wait, they take turns. Access
    rights (``prot``) are ignored. An access that the registers refuse is answered with SLVERR.

    Throughput: one access every four cycles, if the registers answer in the second cycle. No output depends on an
    input of the same cycle.

    Args:
        address_bits: bits of the address of a word; ``addr`` has two more.

    Ports:
        port: the five channels.
        bus: to the registers.
    """

    prefix = "s_axi"
    outside = AxiLiteSignature
    """The port as seen from outside."""

    def __init__(self, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__({"port": In(AxiLiteSignature(address_bits)), "bus": Out(RegisterBus(address_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port, bus = self.port, self.bus
        wrote = Signal()
        answer = Signal(2)
        m.d.comb += [port.bresp.eq(answer), port.rresp.eq(answer)]
        with m.FSM(name="state"):
            with m.State("IDLE"):
                write, read = port.awvalid & port.wvalid, port.arvalid
                with m.If(write & (~read | ~wrote)):
                    m.d.sync += [
                        port.awready.eq(1),
                        port.wready.eq(1),
                        bus.write.eq(1),
                        bus.address.eq(port.awaddr[BYTE_ADDRESS_BITS:]),
                        bus.data.eq(port.wdata),
                        bus.whole.eq(port.wstrb.all()),
                        wrote.eq(1),
                    ]
                    m.next = "ACCESS"
                with m.Elif(read):
                    m.d.sync += [
                        port.arready.eq(1),
                        bus.write.eq(0),
                        bus.address.eq(port.araddr[BYTE_ADDRESS_BITS:]),
                        bus.whole.eq(1),
                        wrote.eq(0),
                    ]
                    m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.sync += [port.awready.eq(0), port.wready.eq(0), port.arready.eq(0)]
                m.d.comb += bus.request.eq(1)
                with m.If(bus.done):
                    m.d.sync += [
                        port.bvalid.eq(bus.write),
                        port.rvalid.eq(~bus.write),
                        answer.eq(Mux(bus.refused, SLAVE_ERROR, OKAY)),
                        port.rdata.eq(bus.read_data),
                    ]
                    m.next = "ANSWER"
            with m.State("ANSWER"), m.If((port.bvalid & port.bready) | (port.rvalid & port.rready)):
                m.d.sync += [port.bvalid.eq(0), port.rvalid.eq(0)]
                m.next = "IDLE"
        return m
