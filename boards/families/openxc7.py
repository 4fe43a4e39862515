"""openXC7, the open toolchain for Xilinx 7: nextpnr-xilinx, fasm2frames and xc7frames2bit with their databases.

nextpnr-xilinx has one of two command lines: its own, with one chip database per part and package, or that of
nextpnr-himbaechel's xilinx architecture, with one per die. The meaning of each option, and the places where installs
keep their databases, are taken from the sources that docs/xilinx.md lists.
"""

import functools
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boards.board import Board, ToolRun
from boards.tools import find_tool
from qblif.errors import UserError

PLACE_TOOL = "nextpnr-xilinx"
TOOLS = (PLACE_TOOL, "fasm2frames", "xc7frames2bit")
UNPACK_TOOLS = ("bit2fasm", "bitread")
"""The first calls the second."""
IN_NO_DATABASE = ("xc7a15tcpg236", "xc7s25csga225")
OTHER_DIES = {"xc7a35t": "xc7a50t"}
"""Devices with the silicon of another device."""
CONSTRAINTS, NETLIST, FASM, BITSTREAM, UNPACKED = "openxc7.xdc", "top.json", "top.fasm", "openxc7.bit", "unpacked.fasm"
PLACE_LOG = "nextpnr.log"
PLACE_OPTIONS = ("--timing-allow-fail", "--seed", "1")
"""Without the first, a clock that is not reached would be an error. Reaching it proves nothing either, since the timing
of block RAM is not modelled."""
HIMBAECHEL_OPTION = "--vopt"
"""An option that only one of the two command lines has."""
SECONDS_FOR_HELP = 60

PREFIX_VARIABLES = ("NEXTPNR_XILINX_DIR", "TOOLS_OPENXC7")
"""Variables of openXC7's Nix shell and of FPGAwars' install scripts that name the folder that holds ``share``."""
PREFIXES = ("~/.local/openxc7", "/opt/openxc7", "/snap/openxc7/current/opt/nextpnr-xilinx", "/usr/local", "/usr")
CHIP_FOLDERS = (
    "chipdb",
    "share/nextpnr/chipdb",
    "share/nextpnr/xilinx-chipdb",
    "share/nextpnr/himbaechel/xilinx",
    "share/himbaechel/xilinx",
    "share/nextpnr",
    "xilinx",
    ".",
)
DATABASE_FOLDERS = (
    "share/nextpnr/external/prjxray-db",
    "share/nextpnr/prjxray-db",
    "share/xray/database",
    "xilinx/external/prjxray-db",
    "external/prjxray-db",
    "prjxray-db",
    ".",
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A chip as Project X-Ray names it; all speed grades and temperature ranges are built as the slowest."""

    device: str
    package: str

    @property
    def footprint(self) -> str:
        """Device and package, such as ``xc7a35tcsg324``."""
        return self.device + self.package

    @property
    def name(self) -> str:
        """The footprint with the speed grade, such as ``xc7a35tcsg324-1``."""
        return f"{self.footprint}-1"

    @property
    def die(self) -> str:
        """The device whose silicon it contains."""
        return OTHER_DIES.get(self.device, self.device)

    @property
    def family(self) -> str:
        """The family's folder in the database."""
        return "artix7" if self.device.startswith("xc7a") else "spartan7"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The command line and the databases of the installed tools.

    Attributes:
        himbaechel: which command line nextpnr-xilinx has.
        chip: the chip database.
        database: the family's folder of Project X-Ray's database.
    """

    himbaechel: bool
    chip: Path
    database: Path


def part_of(board: Board) -> Part:
    """The chip of a board."""
    return Part(device=board.platform.device.replace("ti", "t"), package=board.platform.package)


def missing_tools(part: Part) -> list[str]:
    """Tools that a bitstream needs if Vivado is not installed, in words; empty if they are installed."""
    if part.footprint in IN_NO_DATABASE:
        return [f"Vivado (no open database holds the {part.footprint})"]
    missing = [tool for tool in TOOLS if find_tool(tool) is None]
    return [f"Vivado, or openXC7: {', '.join(missing)}"] if missing else []


def find_setup(part: Part) -> Setup:
    """The installed tools' databases: in the folders that the variables name, or in the folders of the usual installs.

    Raises:
        UserError: a database is missing, or nextpnr-xilinx cannot be run.
    """
    himbaechel = is_himbaechel(find_tool(PLACE_TOOL) or PLACE_TOOL)
    by_die, by_part = f"chipdb-{part.die}.bin", f"{part.footprint}.bin"
    names = (by_die, by_part) if himbaechel else (by_part,)
    chip = next((file for folder in chip_folders(part) for name in names if (file := folder / name).is_file()), None)
    if chip is None:
        where = of_variable("CHIPDB_DIR") or "in none of the usual places; set CHIPDB_DIR to its folder"
        raise UserError(f"nextpnr-xilinx's chip database {' or '.join(names)} is {where} (see docs/xilinx.md)")
    described = Path(part.family, part.name, "part.yaml")
    database = next((folder for folder in database_folders() if (folder / described).is_file()), None)
    if database is None:
        where = of_variable("DB_DIR") or "in none of the usual places; set DB_DIR to the folder above artix7"
        raise UserError(f"Project X-Ray's database with {described} is {where} (see docs/xilinx.md)")
    return Setup(himbaechel=himbaechel, chip=chip, database=database / part.family)


def setup_fault(part: Part) -> str:
    """Why :func:`find_setup` fails; empty if it succeeds."""
    try:
        find_setup(part)
    except UserError as error:
        return str(error)
    return ""


@functools.cache
def is_himbaechel(program: str) -> bool:
    """Whether a nextpnr-xilinx has the command line of himbaechel; raises UserError if it cannot be run."""
    try:
        shown = subprocess.run(
            [program, "--help"], capture_output=True, text=True, errors="replace", timeout=SECONDS_FOR_HELP, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{program} cannot be run: {error}; install it again (see docs/xilinx.md)") from error
    return HIMBAECHEL_OPTION in shown.stdout + shown.stderr


def of_variable(name: str) -> str:
    """Words for a database that is not in the folder that a user's variable names; empty if the variable is not set."""
    value = os.environ.get(name)
    return f"not in {value}, which {name} names" if value else ""


def chip_folders(part: Part) -> Iterator[Path]:
    """The folders where chip databases may be."""
    if own := os.environ.get("CHIPDB_DIR"):
        yield Path(own)
        return
    for name in (f"{part.family.upper()}_CHIPDB", "NEXTPNR_XILINX_CHIPDB_DIR"):
        yield from map(Path, filter(None, os.environ.get(name, "").split(os.pathsep)))
    yield from (prefix / folder for prefix in prefixes() for folder in CHIP_FOLDERS)


def database_folders() -> Iterator[Path]:
    """The folders where Project X-Ray's databases may be."""
    if own := os.environ.get("DB_DIR"):
        yield Path(own)
        return
    if exported := os.environ.get("PRJXRAY_DB_DIR"):
        yield Path(exported)
    yield from (prefix / folder for prefix in prefixes() for folder in DATABASE_FOLDERS)


def prefixes() -> Iterator[Path]:
    """The folders where openXC7 may be installed: those that installs export, the tool's own, and the usual ones."""
    yield from (Path(value) for name in PREFIX_VARIABLES if (value := os.environ.get(name)))
    if tool := find_tool(PLACE_TOOL):
        yield from dict.fromkeys((Path(tool).parent.parent, Path(tool).resolve().parent.parent))
    apio = Path(os.environ.get("APIO_HOME") or "~/.apio").expanduser()
    yield Path(os.environ.get("APIO_PACKAGES") or apio / "packages") / "openxc7"
    yield from (Path(prefix).expanduser() for prefix in PREFIXES)


def place_arguments(part: Part, clock_mhz: float, *, chip: str, himbaechel: bool) -> tuple[str, ...]:
    """Arguments of nextpnr-xilinx, from the netlist to the FASM."""
    common = ("--json", NETLIST, "--freq", f"{clock_mhz:.3f}", *PLACE_OPTIONS)
    if himbaechel:
        files = ("-o", f"xdc={CONSTRAINTS}", "-o", f"fasm={FASM}")
        # This router is the default of the older command line.
        return ("--device", part.name, "--chipdb", chip, *files, *common, "--router", "router2")
    return ("--chipdb", chip, "--xdc", CONSTRAINTS, "--fasm", FASM, *common)


def frames_arguments(part: Part, database: str) -> tuple[str, ...]:
    """Arguments of fasm2frames."""
    return ("--part", part.name, "--db-root", database, FASM, "top.frames")


def pack_arguments(part: Part, database: str) -> tuple[str, ...]:
    """Arguments of xc7frames2bit."""
    described = ("--part_file", f"{database}/{part.name}/part.yaml", "--part_name", part.name)
    return (*described, "--frm_file", "top.frames", "--output_file", BITSTREAM)


def commands(part: Part, clock_mhz: float) -> list[ToolRun]:
    """The commands from the netlist to the bitstream, and back to FASM if the tools for that are installed."""
    setup = find_setup(part)
    database = str(setup.database)
    place = place_arguments(part, clock_mhz, chip=str(setup.chip), himbaechel=setup.himbaechel)
    found = [
        ToolRun(purpose="place and route", tool=PLACE_TOOL, arguments=place, log=PLACE_LOG),
        ToolRun(purpose="frames", tool=TOOLS[1], arguments=frames_arguments(part, database), log="frames.log"),
        ToolRun(purpose="bitstream", tool=TOOLS[2], arguments=pack_arguments(part, database), log="pack.log"),
    ]
    if all(find_tool(tool) for tool in UNPACK_TOOLS):
        back = ("--db-root", database, "--part", part.name, BITSTREAM)
        found.append(ToolRun(purpose="read-back", tool=UNPACK_TOOLS[0], arguments=back, log=UNPACKED))
    return found


def script(part: Part, clock_mhz: float) -> str:
    """The same commands as a script, for another machine."""

    def line(tool: str, arguments: tuple[str, ...]) -> str:
        return " ".join([tool, *(f'"{argument}"' if "$" in argument else argument for argument in arguments)])

    own, other = (
        line(PLACE_TOOL, place_arguments(part, clock_mhz, chip=f"$CHIPDB_DIR/{name}", himbaechel=himbaechel))
        for name, himbaechel in ((f"{part.footprint}.bin", False), (f"chipdb-{part.die}.bin", True))
    )
    database = f"$DB_DIR/{part.family}"
    return f"""#!/bin/sh
# Makes {BITSTREAM} of {NETLIST} with openXC7. CHIPDB_DIR is the folder of nextpnr-xilinx's chip databases, DB_DIR that
# of Project X-Ray's database, with {part.family} in it. gen.build also checks what these commands make.
set -e
: "${{CHIPDB_DIR:?set it to the folder of nextpnr-xilinx's chip databases}}"
: "${{DB_DIR:?set it to the folder of Project X-Ray's database}}"
if {PLACE_TOOL} --help 2>&1 | grep -q -e {HIMBAECHEL_OPTION}; then
    {other}
else
    {own}
fi
{line(TOOLS[1], frames_arguments(part, database))}
{line(TOOLS[2], pack_arguments(part, database))}
"""


def versions(part: Part) -> dict[str, str]:
    """The known versions of the installed tools: only nextpnr-xilinx reports one."""
    program = find_tool(PLACE_TOOL) or PLACE_TOOL
    chip = find_setup(part).chip
    with chip.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {PLACE_TOOL: version_of(program), "chip database": f"{chip.name} (sha256 {digest[:16]})"}


def version_of(program: str) -> str:
    """The version that a nextpnr reports."""
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, errors="replace", check=False)
    version = re.search(r"\(Version ([^)\s]+)\)", shown.stdout + shown.stderr)
    return version[1] if version else "unknown version"


def fmax_mhz(log: str) -> float | None:
    """The lowest maximum frequency of all clocks in nextpnr's log, after routing; None if the log has none."""
    last = dict(re.findall(r"Max frequency for clock +'([^'\n]*)': ([\d.]+) MHz", log))
    return min(map(float, last.values()), default=None)


def constraints(xdc: str) -> str:
    """The pin constraints of an XDC that was written for Vivado, in the form that nextpnr-xilinx accepts.

    nextpnr-xilinx treats quotes as a part of the value, and does not know a standard ``"LVCMOS33"`` with quotes.
    """
    return "".join(
        f"set_property {pin[1]} {pin[2]} [get_ports {pin[3]}]\n"
        for pin in re.finditer(
            r'^\s*set_property (\w+) "?([^\s"]+)"? \[get_ports "?([^\s"\]]+)"?\]\s*$', xdc, re.MULTILINE
        )
    )
