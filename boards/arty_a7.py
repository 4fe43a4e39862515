"""Digilent Arty A7 with an Artix-7 35T or 100T. The 35T's die is a 50T; its stated size is our limit."""

from amaranth_boards.arty_a7 import ArtyA7_35Platform, ArtyA7_100Platform

from boards.board import Board, Loader, Resources, Uart
from boards.families.xilinx7 import Xilinx7

BOARDS = [
    Board(
        name=name,
        title=title,
        part=part,
        family=Xilinx7(),
        platform=platform,
        oscillator="clk100",
        oscillator_mhz=100.0,
        default_clock_mhz=100.0,
        budget=budget,
        loader=Loader(board=loader),
        uart=Uart(bridge="FT2232HQ", baud=3_000_000),
    )
    for name, title, part, platform, budget, loader in (
        (
            "arty_a7",
            "Digilent Arty A7-35T",
            "xc7a35ticsg324-1L",
            ArtyA7_35Platform,
            Resources(lut=20_800, ff=41_600, bram=50, dsp=90),
            "arty_a7_35t",
        ),
        (
            "arty_a7_100",
            "Digilent Arty A7-100T",
            "xc7a100ticsg324-1L",
            ArtyA7_100Platform,
            Resources(lut=63_400, ff=126_800, bram=135, dsp=240),
            "arty_a7_100t",
        ),
    )
]
