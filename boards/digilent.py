"""Digilent's boards with a 7-series chip: Arty A7, Arty S7, Nexys 4 DDR, Cmod A7, Cmod S7.

On boards with too few plain LEDs for the class, colours of the RGB LEDs follow.

An XC7A15T or XC7A35T has the die of a 50T; the stated size is our limit.
"""

from amaranth_boards.arty_a7 import ArtyA7_35Platform, ArtyA7_100Platform
from amaranth_boards.arty_s7 import ArtyS7_25Platform, ArtyS7_50Platform
from amaranth_boards.cmod_a7 import CmodA7_15Platform, CmodA7_35Platform
from amaranth_boards.cmod_s7 import CmodS7_Platform
from amaranth_boards.nexys4ddr import Nexys4DDRPlatform

from boards.board import Board, Loader, Uart
from boards.families.xilinx7 import XC7A15T, XC7A35T, XC7A100T, XC7S25, XC7S50, Xilinx7
from boards.leds import with_rgb_leds

BOARDS = [
    Board(
        name=name,
        title=f"Digilent {title}",
        part=f"{platform.device}{platform.package}-{platform.speed}",
        family=Xilinx7(),
        platform=platform,
        oscillator=f"clk{oscillator_mhz:g}",
        oscillator_mhz=oscillator_mhz,
        default_clock_mhz=80.0,
        budget=budget,
        loader=Loader(board=loader),
        uart=Uart(bridge="FT2232H", baud=3_000_000),
    )
    for name, title, platform, oscillator_mhz, budget, loader in (
        ("arty_a7", "Arty A7-35T", with_rgb_leds(ArtyA7_35Platform, "0g 1g 2g", 4), 100.0, XC7A35T, "arty_a7_35t"),
        (
            "arty_a7_100",
            "Arty A7-100T",
            with_rgb_leds(ArtyA7_100Platform, "0g 1g 2g", 4),
            100.0,
            XC7A100T,
            "arty_a7_100t",
        ),
        ("arty_s7_25", "Arty S7-25", with_rgb_leds(ArtyS7_25Platform, "0g 0b 1g", 4), 100.0, XC7S25, "arty_s7_25"),
        ("arty_s7_50", "Arty S7-50", with_rgb_leds(ArtyS7_50Platform, "0g 0b 1g", 4), 100.0, XC7S50, "arty_s7_50"),
        ("nexys4ddr", "Nexys 4 DDR", Nexys4DDRPlatform, 100.0, XC7A100T, "nexys_a7_100"),
        ("cmod_a7_15", "Cmod A7-15T", with_rgb_leds(CmodA7_15Platform, "0g 0b 0r", 2), 12.0, XC7A15T, "cmoda7_15t"),
        ("cmod_a7_35", "Cmod A7-35T", with_rgb_leds(CmodA7_35Platform, "0g 0b 0r", 2), 12.0, XC7A35T, "cmoda7_35t"),
        ("cmod_s7", "Cmod S7", with_rgb_leds(CmodS7_Platform, "0g 0b 0r", 4), 12.0, XC7S25, "cmod_s7"),
    )
]
