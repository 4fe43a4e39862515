"""1BitSquared iCEBreaker: iCE40UP5K. Its loader writes the flash; the chip is configured from there."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from boards.board import Board, Loader, Resources, Uart
from boards.families.ice40 import ICE40

BOARDS = [
    Board(
        name="icebreaker",
        title="1BitSquared iCEBreaker",
        part="iCE40UP5K-SG48",
        family=ICE40(),
        platform=ICEBreakerPlatform,
        oscillator="clk12",
        oscillator_mhz=12.0,
        default_clock_mhz=21.0,
        budget=Resources(lut=5_280, ff=5_280, bram=30, dsp=8),
        loader=Loader(board="ice40_generic", sram=False),
        uart=Uart(bridge="FT2232H", baud=3_000_000),
    )
]
