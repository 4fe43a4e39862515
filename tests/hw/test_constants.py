import random

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hw.neurons.constants import constants_layout, constants_memory
from hw.stages.readout_unit import ReadoutConfig

CONFIG = ReadoutConfig(
    classes=5, repeats=1, bias=(5, -3, 0, 7, -8), exponent=(0, 1, 2, 0, 3), constants_memory="block", bias_bits=4,
    exponent_bits=2, accumulator_bits=8, logit_bits=14,
)  # fmt: skip


class Pipeline(wiring.Component):
    """Takes the rows one after the other, again and again, where ``wanted`` and nothing stands in the way."""

    def __init__(self, memory: str) -> None:
        self.memory = memory
        super().__init__({"advance": In(1), "wanted": In(1), "taken": Out(1), "bias": Out(4), "exponent": Out(2)})

    def elaborate(self, platform):
        m = Module()
        config = ReadoutConfig(**{**vars(CONFIG), "constants_memory": self.memory})
        row = Signal(range(config.classes))
        next_row = Mux(row == config.classes - 1, 0, row + 1)
        rows, begun = constants_memory(m, config, advance=self.advance, taken=self.taken, row=row, next_row=next_row)
        m.d.comb += [
            self.taken.eq(self.wanted & self.advance & begun),
            self.bias.eq(rows[0].bias),
            self.exponent.eq(rows[0].exponent),
        ]
        with m.If(self.taken):
            m.d.sync += row.eq(next_row)
        return m


@pytest.mark.parametrize("memory", ["logic", "block"])
@pytest.mark.parametrize("pauses", [0.0, 0.5])
def test_every_row_stands_until_the_pipeline_moves_on(memory, pauses):
    dut, numbers = Pipeline(memory), random.Random(1)
    seen: list[int] = []

    async def process(ctx):
        expected = None
        while len(seen) < 40:
            ctx.set(dut.advance, numbers.random() >= pauses)
            ctx.set(dut.wanted, numbers.random() >= pauses)
            if expected is not None:
                assert (ctx.get(dut.bias), ctx.get(dut.exponent)) == expected
            row = len(seen) % CONFIG.classes
            if ctx.get(dut.taken):
                seen.append(row)
                expected = (CONFIG.bias[row] % 16, CONFIG.exponent[row])
            elif ctx.get(dut.advance):
                expected = None
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run()
    assert seen == [row % CONFIG.classes for row in range(40)]


def test_words_hold_bias_and_exponent_of_every_class():
    assert CONFIG.constants.width == 6
    assert CONFIG.constants.contents() == tuple(
        bias % 16 + 16 * exponent for bias, exponent in zip(CONFIG.bias, CONFIG.exponent, strict=True)
    )
    without = ReadoutConfig(**{**vars(CONFIG), "exponent": (0,) * 5, "exponent_bits": 0})
    assert list(constants_layout(without).members) == ["bias"]
    assert without.constants.contents() == tuple(bias % 16 for bias in CONFIG.bias)
