"""Command line: the boards that designs can be built for.

python -m boards list
python -m boards show ulx3s_85f
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from boards.board import Board
from boards.catalogue import CATALOGUE, find_board
from qblif.errors import Arguments, command_line

BUILT = Path(__file__).resolve().parent.parent / "studies" / "boards.json"
"""What ``python -m studies.boards`` built for each board, beside the packages, installed or not."""
WIDTH = 140
"""Columns of a table that is not shown on a terminal; the variable ``COLUMNS`` can ask for more."""


def console() -> Console:
    """Where tables are printed."""
    asked = os.environ.get("COLUMNS", "")
    return Console(width=None if sys.stdout.isatty() else max(WIDTH, int(asked) if asked.isdecimal() else 0))


def reach(board: Board) -> str:
    """The last step that this machine's tools can do for a board, and what the next one lacks."""
    if missing := board.family.missing_tools(board):
        return f"synthesis; bitstream needs {', '.join(missing)}"
    fault = board.family.setup_fault(board)
    return f"synthesis; {fault}" if fault else "bitstream"


def toolchain(board: Board) -> str:
    """The tools from a netlist to the bitstream."""
    return " or ".join(", ".join(tools) for tools in board.family.toolchains)


def serial_line(board: Board) -> str:
    """The link to the host."""
    return "none" if board.uart is None else f"{board.uart.bridge}, {board.uart.baud:,} baud"


def loader(board: Board) -> str:
    """How a bitstream gets onto the board."""
    if board.loader.board is None:
        return board.loader.by_hand
    memory = "RAM or flash" if board.loader.sram else "flash"
    return f"openFPGALoader -b {board.loader.board} ({memory}{', through its bootloader' if board.loader.dfu else ''})"


def show_list() -> int:
    """Print all boards; returns the exit code."""
    table = Table("board", "chip", "clock MHz", "LUT", "FF", "block RAM", "serial line", "here")
    for board in CATALOGUE.values():
        budget = board.budget
        bram = f"{budget.bram:g} {board.family.bram_unit}"
        counts = (f"{board.default_clock_mhz:g}", f"{budget.lut:,}", f"{budget.ff:,}", bram)
        table.add_row(board.name, board.part, *counts, serial_line(board), reach(board))
    console().print(table)
    return 0


def show_board(name: str) -> int:
    """Print everything about one board; returns the exit code. Raises UserError."""
    board = find_board(name)
    budget = board.budget
    cells = "" if budget.cells is None else f"{budget.cells:,} logic cells, "
    table = Table(show_header=False, title=f"{board.title} ({board.name})")
    table.add_row("chip", f"{board.part} ({board.family.name})")
    table.add_row("clock", f"{board.default_clock_mhz:g} MHz, from an oscillator of {board.oscillator_mhz:g} MHz")
    table.add_row("logic", f"{cells}{budget.lut:,} LUT, {budget.ff:,} FF")
    table.add_row("block RAM", f"{budget.bram:g} {board.family.bram_unit} of {board.family.block_ram_bits:,} bits")
    table.add_row("serial line", serial_line(board))
    table.add_row("tools", f"yosys, then {toolchain(board)}")
    table.add_row("loaded by", loader(board))
    table.add_row("on this machine", reach(board))
    for words in built(board):
        table.add_row("was built", words)
    console().print(table)
    return 0


def built(board: Board) -> list[str]:
    """What ``docs/boards.md`` says of a board, a line for each of its builds."""
    rows: dict[str, dict[str, Any]] = json.loads(BUILT.read_text()) if BUILT.is_file() else {}
    lines = []
    for key, row in rows.items():
        if key.split()[0] != board.name:
            continue
        if "error" in row:
            lines.append(f"nothing: {row['error']}")
            continue
        product = "bitstream" if row["bitstream"] else "netlist and project files"
        fmax = "" if row["fmax_mhz"] is None else f" (Fmax {row['fmax_mhz']:.1f} MHz)"
        share = row["resources"]["lut"] / board.budget.lut
        lines.append(f"{row['network']}: {product}, {row['clock_mhz']:g} MHz{fmax}, {share:.0%} of the LUTs")
    return lines


def parser() -> Arguments:
    """The command line of ``python -m boards``."""
    result = Arguments(prog="python -m boards", description="The boards that designs can be built for.")
    commands = result.add_subparsers(dest="command", required=True, metavar="list|show", parser_class=Arguments)
    commands.add_parser("list", help="all boards, and what the tools on this machine can do for them")
    show = commands.add_parser("show", help="one board: chip, clock, link, tools, and what was built for it")
    show.add_argument("board", metavar="BOARD", help="its name in the list")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options: argparse.Namespace = parser().parse_args(arguments)
    return show_list() if options.command == "list" else show_board(options.board)


if __name__ == "__main__":
    sys.exit(main())
