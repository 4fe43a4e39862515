"""LambdaConcept ECPIX-5 with an ECP5-5G of 45 or 85 thousand LUTs."""

from amaranth_boards.ecpix5 import ECPIX545Platform, ECPIX585Platform

from boards.board import Board, Loader, Uart
from boards.families.ecp5 import ECP5, LFE5_45F, LFE5_85F
from boards.leds import with_rgb_leds

BOARDS = [
    Board(
        name=f"ecpix5_{size}",
        title=f"LambdaConcept ECPIX-5 {size.upper()}",
        part=f"LFE5UM5G-{size.upper()}-8BG554C",
        family=ECP5(),
        platform=with_rgb_leds(platform, "0b 0g 0r 1b 2b 3b 3r"),
        oscillator="clk100",
        oscillator_mhz=100.0,
        default_clock_mhz=80.0,
        budget=budget,
        loader=Loader(board="ecpix5"),
        uart=Uart(bridge="FT2232H", baud=3_000_000),
    )
    for size, platform, budget in (("45f", ECPIX545Platform, LFE5_45F), ("85f", ECPIX585Platform, LFE5_85F))
]
