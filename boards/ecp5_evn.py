"""Lattice ECP5 evaluation board (LFE5UM5G-85F-EVN).

As delivered, the board cannot reach the host: its serial line needs two resistors (user manual, section 6.2).
"""

from amaranth_boards.ecp5_5g_evn import ECP55GEVNPlatform

from boards.board import Board, Loader
from boards.families.ecp5 import ECP5, LFE5_85F

BOARDS = [
    Board(
        name="ecp5_evn",
        title="Lattice ECP5 evaluation board",
        part="LFE5UM5G-85F-8BG381I",
        family=ECP5(),
        platform=ECP55GEVNPlatform,
        oscillator="clk12",
        oscillator_mhz=12.0,
        default_clock_mhz=80.0,
        budget=LFE5_85F,
        loader=Loader(board="ecp5_evn"),
    )
]
