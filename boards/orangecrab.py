"""OrangeCrab r0.2 with an ECP5 of 25 or 85 thousand LUTs. Hold its button while plugging it in to start the bootloader,
which writes the flash. Its USB is wired directly to the FPGA, so it has no serial line."""

from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform

from boards.board import Board, Loader
from boards.families.ecp5 import ECP5, LFE5_25F, LFE5_85F
from boards.leds import with_rgb_leds

BOARDS = [
    Board(
        name=f"orangecrab_{size}",
        title=f"OrangeCrab r0.2 {size.upper()}",
        part=f"LFE5U-{size.upper()}-8MG285C",
        family=ECP5(),
        platform=with_rgb_leds(platform, "0b 0g 0r"),
        oscillator="clk",
        oscillator_mhz=48.0,
        default_clock_mhz=80.0,
        budget=budget,
        loader=Loader(board="orangeCrab", sram=False, dfu=True),
    )
    for size, platform, budget in (
        ("25f", OrangeCrabR0_2_25FPlatform, LFE5_25F),
        ("85f", OrangeCrabR0_2_85FPlatform, LFE5_85F),
    )
]
