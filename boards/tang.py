"""Sipeed Tang Nano 9K (GW1NR-9) and Tang Primer 20K with its Dock (GW2A-18)."""

from amaranth_boards.tang_nano_9k import TangNano9kPlatform
from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform

from boards.board import Board, Loader, Uart
from boards.families.gowin import GW1NR_9, GW2A_18, Gowin

BOARDS = [
    Board(
        name="tang_nano_9k",
        title="Sipeed Tang Nano 9K",
        part="GW1NR-LV9QN88PC6/I5",
        family=Gowin(architecture="GW1N", gpio=("mspi", "sspi")),
        platform=TangNano9kPlatform,
        oscillator="clk27",
        oscillator_mhz=27.0,
        default_clock_mhz=27.0,
        budget=GW1NR_9,
        loader=Loader(board="tangnano9k"),
        uart=Uart(bridge="BL702", baud=1_000_000),
    ),
    Board(
        name="tang_primer_20k",
        title="Sipeed Tang Primer 20K with Dock",
        part="GW2A-LV18PG256C8/I7",
        family=Gowin(architecture="GW2A", gpio=("mspi", "sspi", "ready", "done")),
        platform=TangPrimer20kDockPlatform,
        oscillator="clk27",
        oscillator_mhz=27.0,
        default_clock_mhz=54.0,
        budget=GW2A_18,
        loader=Loader(board="tangprimer20k"),
        uart=Uart(bridge="BL702", baud=1_000_000),
    ),
]
