"""All parts: the chips of every family, for designs that are not made for a board."""

from boards.board import Part
from boards.catalogue import find_board
from boards.families import ecp5, gowin, ice40, xilinx7
from qblif.errors import UserError

FAMILIES = (
    (ecp5.ECP5(), ecp5.CHIPS, 80.0),
    (xilinx7.Xilinx7(), xilinx7.CHIPS, 80.0),
    (ice40.ICE40(), ice40.CHIPS, 12.0),
    *((gowin.Gowin(architecture=name, gpio=()), chips, 27.0) for name, chips in gowin.CHIPS.items()),
)
"""Every family, its chips, and the clock of a design for which none is named: one that such chips reach easily."""
PARTS: dict[str, Part] = {
    name: Part(name=name, title=name.upper(), part=name, family=family, default_clock_mhz=clock, budget=budget)
    for family, chips, clock in FAMILIES
    for name, budget in chips.items()
}


def find_part(name: str) -> Part:
    """The part called ``name``; raises a UserError that lists all parts."""
    if name not in PARTS:
        raise UserError(f"unknown part {name!r}; {listed_parts()}")
    return PARTS[name]


def listed_parts() -> str:
    """All parts, in words."""
    return f"there are {', '.join(sorted(PARTS))}"


def find_place(name: str) -> Part:
    """The board or the part called ``name``; raises UserError."""
    return PARTS[name] if name in PARTS else find_board(name)
