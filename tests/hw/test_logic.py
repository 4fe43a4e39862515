import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hw.logic import at_most, index_of


class Functions(wiring.Component):
    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__({"bits": In(width), "index": Out(8), **{f"most_{most}": Out(1) for most in range(4)}})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.index.eq(index_of(self.bits))
        for most in range(4):
            m.d.comb += getattr(self, f"most_{most}").eq(at_most(self.bits, most))
        return m


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_every_value(width):
    dut = Functions(width)

    async def process(ctx):
        for value in range(2**width):
            ctx.set(dut.bits, value)
            for most in range(4):
                assert ctx.get(getattr(dut, f"most_{most}")) == (value.bit_count() <= most)
            if value.bit_count() == 1:
                assert ctx.get(dut.index) == value.bit_length() - 1

    simulator = Simulator(dut)
    simulator.add_testbench(process)
    simulator.run()
