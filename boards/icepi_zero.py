"""Icepi Zero v1.3: ECP5 25F."""

from amaranth_boards.icepi_zero import IcepiZero1_3Platform

from boards.board import Board, Loader, Uart
from boards.families.ecp5 import ECP5, LFE5_25F

BOARDS = [
    Board(
        name="icepi_zero",
        title="Icepi Zero v1.3",
        part="LFE5U-25F-6BG256C",
        family=ECP5(),
        platform=IcepiZero1_3Platform,
        oscillator="clk50",
        oscillator_mhz=50.0,
        default_clock_mhz=80.0,
        budget=LFE5_25F,
        loader=Loader(board="icepi-zero"),
        uart=Uart(bridge="FT231X", baud=3_000_000),
    )
]
