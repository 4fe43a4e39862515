"""Colorlight i5 v7.0 on MuseLab's extension board: ECP5 25F.

amaranth-boards has no platform for it. Pins: github.com/wuxx/Colorlight-FPGA-Projects, and for the serial line
litex_boards/platforms/colorlight_i5.py.
"""

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import LEDResources, UARTResource

from boards.board import Board, Loader, Uart
from boards.families.ecp5 import ECP5, LFE5_25F

LVCMOS33 = Attrs(IO_TYPE="LVCMOS33")


class ColorlightI5Platform(LatticeECP5Platform):
    """The parts of the board that this project needs."""

    device = "LFE5U-25F"
    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    resources = (
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), LVCMOS33),
        *LEDResources(pins="U16", invert=True, attrs=LVCMOS33),
        UARTResource(0, rx="H18", tx="J17", attrs=LVCMOS33),
    )
    connectors = ()


BOARDS = [
    Board(
        name="colorlight_i5",
        title="Colorlight i5 v7.0 with extension board",
        part="LFE5U-25F-6BG381C",
        family=ECP5(),
        platform=ColorlightI5Platform,
        oscillator="clk25",
        oscillator_mhz=25.0,
        default_clock_mhz=80.0,
        budget=LFE5_25F,
        loader=Loader(board="colorlight-i5"),
        uart=Uart(bridge="DAPLink", baud=115_200),
    )
]
