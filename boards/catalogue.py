"""All boards, by name. A new board takes a file with BOARDS in it and one more entry here."""

from boards import (
    colorlight,
    digilent,
    ecp5_evn,
    ecpix5,
    ice40_hx8k,
    icebreaker,
    icepi_zero,
    icesugar,
    orangecrab,
    tang,
    ulx3s,
    upduino,
)
from boards.board import Board
from qblif.errors import UserError

FILES = (
    ulx3s, icebreaker, digilent, ice40_hx8k, icesugar, upduino, orangecrab, ecpix5, icepi_zero, colorlight, ecp5_evn,
    tang,
)  # fmt: skip
CATALOGUE: dict[str, Board] = {board.name: board for file in FILES for board in file.BOARDS}


def find_board(name: str) -> Board:
    """The board called ``name``; raises a UserError that lists all boards."""
    if name not in CATALOGUE:
        raise UserError(f"unknown board {name!r}; there are {', '.join(sorted(CATALOGUE))}")
    return CATALOGUE[name]
