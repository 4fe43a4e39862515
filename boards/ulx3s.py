"""Radiona ULX3S with an ECP5 of 12, 25, 45 or 85 thousand LUTs. The 12F is a 25F die; its stated size is our limit."""

from amaranth_boards.ulx3s import (
    ULX3S_12F_Platform,
    ULX3S_25F_Platform,
    ULX3S_45F_Platform,
    ULX3S_85F_Platform,
)

from boards.board import Board, Loader, Resources, Uart
from boards.families.ecp5 import ECP5

SIZES = {
    "12f": (ULX3S_12F_Platform, Resources(lut=12_144, ff=12_144, bram=32, dsp=28)),
    "25f": (ULX3S_25F_Platform, Resources(lut=24_288, ff=24_288, bram=56, dsp=28)),
    "45f": (ULX3S_45F_Platform, Resources(lut=43_848, ff=43_848, bram=108, dsp=72)),
    "85f": (ULX3S_85F_Platform, Resources(lut=83_640, ff=83_640, bram=208, dsp=156)),
}

BOARDS = [
    Board(
        name=f"ulx3s_{size}",
        title=f"Radiona ULX3S {size.upper()}",
        part=f"LFE5U-{size.upper()}-6BG381C",
        family=ECP5(),
        platform=platform,
        oscillator="clk25",
        oscillator_mhz=25.0,
        default_clock_mhz=80.0,
        budget=budget,
        loader=Loader(board="ulx3s"),
        uart=Uart(bridge="FT231X", baud=3_000_000),
    )
    for size, (platform, budget) in SIZES.items()
]
