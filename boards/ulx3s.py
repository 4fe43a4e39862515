"""Radiona ULX3S with an ECP5 of 12, 25, 45 or 85 thousand LUTs. The 12F has a 25F die; its stated size is our limit."""

from amaranth_boards.ulx3s import (
    ULX3S_12F_Platform,
    ULX3S_25F_Platform,
    ULX3S_45F_Platform,
    ULX3S_85F_Platform,
)

from boards.board import Board, Loader, Uart
from boards.families.ecp5 import ECP5, LFE5_12F, LFE5_25F, LFE5_45F, LFE5_85F

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
    for size, platform, budget in (
        ("12f", ULX3S_12F_Platform, LFE5_12F),
        ("25f", ULX3S_25F_Platform, LFE5_25F),
        ("45f", ULX3S_45F_Platform, LFE5_45F),
        ("85f", ULX3S_85F_Platform, LFE5_85F),
    )
]
