"""All boards, by name. A new board is a file with BOARDS in it and one more entry here."""

from boards import arty_a7, icebreaker, tang, ulx3s
from boards.board import Board
from hw.errors import UserError

CATALOGUE: dict[str, Board] = {board.name: board for board in (*arty_a7.BOARDS, *ulx3s.BOARDS, *icebreaker.BOARDS, *tang.BOARDS)}


def find_board(name: str) -> Board:
    """The board called ``name``; raises UserError that lists the boards there are."""
    if name not in CATALOGUE:
        raise UserError(f"unknown board {name!r}; there are {', '.join(sorted(CATALOGUE))}")
    return CATALOGUE[name]
