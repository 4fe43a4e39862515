"""Lattice iCE40-HX8K breakout board (iCE40HX8K-B-EVN), its jumpers set for the flash."""

from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform

from boards.board import Board, Loader, Uart
from boards.families.ice40 import HX8K, ICE40

BOARDS = [
    Board(
        name="ice40_hx8k",
        title="Lattice iCE40-HX8K-B-EVN",
        part="iCE40HX8K-CT256",
        family=ICE40(pll_pad=False),
        platform=ICE40HX8KBEVNPlatform,
        oscillator="clk12",
        oscillator_mhz=12.0,
        default_clock_mhz=48.0,
        budget=HX8K,
        loader=Loader(board="ice40_generic", sram=False),
        uart=Uart(bridge="FT2232H", baud=3_000_000),
    )
]
