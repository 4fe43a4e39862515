"""Stand-ins for the tools that make bitstreams for Xilinx 7, as strict as the real ones about what they are given.

Written from the real tools' sources (docs/xilinx.md lists them) and from the files of a real run, not from what the
build does with them: they refuse options that they do not know and databases of other parts, and nextpnr keeps
the quotes of an XDC's values, as it does. What goes into a stand-in bitstream is the block RAM part of the FASM.
"""

import json
import os
import re
import stat
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OPEN_TOOLS = ("nextpnr-xilinx", "fasm2frames", "xc7frames2bit")
PINS = {
    "E3": ("IOB_X1Y76", "RIOB33_X43Y75", "RIOB33_X43Y75.IOB_Y0"),
    "A9": ("IOB_X0Y121", "LIOB33_X0Y121", "LIOB33_X0Y121.IOB_Y1"),
    "D10": ("IOB_X0Y111", "LIOB33_X0Y111", "LIOB33_X0Y111.IOB_Y1"),
    "H5": ("IOB_X1Y51", "RIOB33_X43Y51", "RIOB33_X43Y51.IOB_Y1"),
    "J5": ("IOB_X1Y50", "RIOB33_SING_X43Y50", "RIOB33_SING_X43Y50.IOB_Y0"),
    "T9": ("IOB_X0Y2", "LIOB33_X0Y1", "LIOB33_X0Y1.IOB_Y0"),
    "T10": ("IOB_X0Y1", "LIOB33_X0Y1", "LIOB33_X0Y1.IOB_Y1"),
    "F6": ("IOB_X1Y61", "RIOB33_X43Y61", "RIOB33_X43Y61.IOB_Y1"),
    "J4": ("IOB_X1Y58", "RIOB33_X43Y57", "RIOB33_X43Y57.IOB_Y0"),
    "J2": ("IOB_X1Y55", "RIOB33_X43Y55", "RIOB33_X43Y55.IOB_Y1"),
}
"""Of an Arty A7-35T: site and tile as in Project X-Ray's package_pins.csv, and what a real FASM calls the buffer."""
PULL = "PULLTYPE.NONE"
INPUT_ONLY = "LVCMOS12_LVCMOS15_LVCMOS18_LVCMOS25_LVCMOS33_LVDS_25_LVTTL_SSTL135_SSTL15_TMDS_33.IN_ONLY"
SLOW = "LVCMOS12_LVCMOS15_LVCMOS18_LVCMOS25_LVCMOS33_LVTTL_SSTL135_SSTL15.SLEW.SLOW"
FMAX, FLAW, VERDICT = "STAND_IN_FMAX", "STAND_IN_FLAW", "STAND_IN_VERDICT"
"""Variables: the frequency that nextpnr finds; what goes wrong; what Vivado says of timing."""
MET = "All user specified timing constraints are met."


def install(folder: Path, *tools: str, nextpnr: str = "nextpnr_xilinx") -> Path:
    """Put the tools into ``folder``/bin, which is returned; ``nextpnr`` is the function that is nextpnr-xilinx."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for tool in tools:
        function = nextpnr if tool == "nextpnr-xilinx" else tool
        path = programs / tool
        path.write_text(
            f"#!{sys.executable} -S\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            f"from tests.boards.stand_ins import {function}\nsys.exit({function}(sys.argv[1:]))\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return programs


def make_chip_database(folder: Path, name: str) -> None:
    """A chip database of nextpnr, ``name`` without its suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.bin").write_text(name)


def make_database(folder: Path) -> None:
    """Project X-Ray's database, as far as it is read."""
    part = folder / "artix7" / "xc7a35tcsg324-1"
    part.mkdir(parents=True)
    (part / "part.yaml").write_text("!<xilinx/xc7series/part>\n")
    rows = [f"{pin},0,{site},{tile},IO" for pin, (site, tile, _) in PINS.items()]
    (part / "package_pins.csv").write_text("\n".join(["pin,bank,site,tile,pin_function", *rows, ""]))


class RefusedError(Exception):
    """The tool ends with an error."""


def options_of(words: list[str], valued: set[str], flags: set[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The values given to each option, and the words that belong to none; raises RefusedError for others."""
    given: dict[str, list[str]] = {}
    rest, queue = [], list(words)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if name in valued:
            if not equals and not queue:
                raise RefusedError(f"the required argument for option '{name}' is missing")
            given.setdefault(name, []).append(value if equals else queue.pop(0))
        elif word in flags:
            given.setdefault(word, []).append("")
        elif word.startswith("-"):
            raise RefusedError(f"unrecognised option '{word}'")
        else:
            rest.append(word)
    return given, rest


def ended(message: str, code: int = 1) -> int:
    print(message, file=sys.stderr)
    return code


GENERAL = {"--json", "--freq", "--seed", "--write", "--log", "--router", "--placer"}
GENERAL_FLAGS = {"--timing-allow-fail", "--help", "--version", "--quiet"}
ABOUT = '"nextpnr-xilinx" -- Next Generation Place and Route (Version {})'


def nextpnr_xilinx(words: list[str]) -> int:
    """nextpnr-xilinx 0.8.2."""
    valued = GENERAL | {"--chipdb", "--xdc", "--fasm"}
    try:
        given, rest = options_of(words, valued, GENERAL_FLAGS)
        if rest:
            raise RefusedError(f"{rest[0]} is not a Python file")
        if "--help" in given or "--version" in given:
            shown = sorted(valued | GENERAL_FLAGS) if "--help" in given else []
            return ended("\n".join([ABOUT.format("0.8.2-25-stand-in"), *shown]), 0)
        if "--chipdb" not in given:
            raise RefusedError("ERROR: chip database binary must be provided")
        chip = Path(given["--chipdb"][-1])
        if not chip.is_file() or chip.read_text() != "xc7a35tcsg324":
            raise RefusedError(f"ERROR: unable to read chipdb {chip}")
        return place_and_route(given, given.get("--xdc", []), given.get("--fasm", []))
    except RefusedError as error:
        return ended(str(error), 255)


def nextpnr_himbaechel(words: list[str]) -> int:
    """nextpnr-himbaechel with the xilinx architecture, under the older program's name."""
    valued = GENERAL | {"--device", "--chipdb", "--vopt", "-o", "--report"}
    try:
        given, _ = options_of(words, valued, GENERAL_FLAGS | {"--list-uarch"})
        if "--help" in given or "--version" in given:
            shown = sorted(valued | GENERAL_FLAGS) if "--help" in given else []
            return ended("\n".join([ABOUT.format("0.11.1-stand-in"), *shown]), 0)
        device = re.fullmatch(r"(xc7[azkv]\d+t?)([a-z0-9]+)-(\dL?)", given.get("--device", [""])[-1])
        if device is None:
            raise RefusedError("ERROR: Invalid device")
        die = {"xc7a35t": "xc7a50t"}.get(device[1], device[1])
        chip = Path(given["--chipdb"][-1]) if "--chipdb" in given else Path(f"chipdb-{die}.bin")
        if not chip.is_file() or chip.read_text() != f"chipdb-{die}":
            raise RefusedError(f"ERROR: Unable to read chipdb {chip}")
        extra = dict(option.split("=", 1) for option in given.get("-o", []) + given.get("--vopt", []))
        if set(extra) - {"xdc", "fasm"}:
            raise RefusedError("ERROR: unrecognised option")
        return place_and_route(given, [extra["xdc"]], [extra["fasm"]])
    except RefusedError as error:
        return ended(str(error), 255)


def nextpnr_shim(words: list[str]) -> int:
    """The script by which openXC7's Nix shell gives the newer program the older one's options, and no others."""
    valued = GENERAL | {"--chipdb", "--xdc", "--fasm"}
    try:
        given, _ = options_of(words, valued, GENERAL_FLAGS)
        if "--chipdb" not in given:
            raise RefusedError("shim: --chipdb is required")
        chip = Path(given["--chipdb"][-1])
        if not chip.is_file() or chip.stem != "xc7a35tcsg324" or chip.read_text() != "chipdb-xc7a50t":
            raise RefusedError(f"ERROR: Unable to read chipdb {chip}")
        return place_and_route(given, given["--xdc"], given["--fasm"])
    except RefusedError as error:
        return ended(str(error))


def place_and_route(given: dict[str, list[str]], xdc: list[str], fasm: list[str]) -> int:
    top = json.loads(Path(given["--json"][-1]).read_text())["modules"]["top"]
    if any(cell["type"].startswith("$") for cell in top["cells"].values()):
        raise RefusedError("ERROR: cell type '$scopeinfo' is not supported")
    attributes = read_xdc(Path(xdc[-1]).read_text(), set(top["ports"]))
    lines = [line for port, pin in attributes.items() for line in buffer_lines(pin, top["ports"][port]["direction"])]
    lines += [line for half, held in halves(top["cells"]).items() for line in row_lines(half, held)]
    if os.environ.get(FLAW) == "a block RAM bit":
        place = next(number for number, line in enumerate(lines) if ".INIT_00[" in line)
        lines[place] = lines[place][:-1] + "10"[int(lines[place][-1])]
    Path(fasm[-1]).write_text("\n".join(lines) + "\n")
    frequency = float(os.environ.get(FMAX, "91.37"))
    aim = float(given.get("--freq", ["12"])[-1])
    met = "PASS" if aim < frequency else "FAIL"
    print(f"Info: Max frequency for clock   'clk': 55.50 MHz (FAIL at {aim:.2f} MHz)", file=sys.stderr)
    print(f"Info: Max frequency for clock   'clk': {frequency:.2f} MHz ({met} at {aim:.2f} MHz)", file=sys.stderr)
    return 0 if met == "PASS" or "--timing-allow-fail" in given else 1


def read_xdc(text: str, ports: set[str]) -> dict[str, dict[str, str]]:
    """Each port's properties; a property's value is taken as it stands, quotes included."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        words = re.findall(r"\[[^\]]*\]|\{[^}]*\}|\S+", line.partition("#")[0])
        if not words or words[0] not in ("set_property", "create_clock"):
            continue
        if words[0] == "set_property":
            if len(words) != 4:
                raise RefusedError("ERROR: expected four arguments to 'set_property'")
            command, port = words[3].strip("[]").split()
            if command != "get_ports":
                raise RefusedError("ERROR: targets other than 'get_ports' are not supported")
            port = port[1:-1] if port[0] in '"{' else port
            if port in ports:
                found.setdefault(port, {})[words[1]] = words[2]
    return found


def buffer_lines(pin: dict[str, str], direction: str) -> list[str]:
    if pin.get("LOC") not in PINS:
        raise RefusedError(f"ERROR: no pin {pin.get('LOC')}")
    known = pin.get("IOSTANDARD", "LVCMOS33") == "LVCMOS33"
    if direction == "input":
        features = ["LVCMOS25_LVCMOS33_LVTTL.IN"] * known + [INPUT_ONLY]
    else:
        features = ["LVCMOS33_LVTTL.DRIVE.I12_I8", SLOW] * known
    return [f"{PINS[pin['LOC']][2]}.{feature}" for feature in [*features, PULL]]


def halves(cells: dict[str, dict]) -> dict[str, dict[str, str]]:
    """The rows of every half, placed two in a tile: a RAMB36E1's bit 2n lies in half 0, bit 2n + 1 in half 1, at n."""
    found: dict[str, dict[str, str]] = {}
    tile = 0
    for cell in cells.values():
        parameters = {name: digits.replace("x", "0") for name, digits in cell["parameters"].items()}
        place = f"BRAM_{'LR'[tile % 2]}_X{6 + tile % 2}Y{5 * tile}"
        if cell["type"] == "RAMB18E1":
            found[f"{place}.RAMB18_Y1"] = {
                n: digits for n, digits in parameters.items() if re.match(r"INITP?_\w\w$", n)
            }
        elif cell["type"] == "RAMB36E1":
            for half in (0, 1):
                rows = found.setdefault(f"{place}.RAMB18_Y{half}", {})
                for name, count in (("INIT", 64), ("INITP", 8)):
                    for row in range(count):
                        both = parameters[f"{name}_{2 * row + 1:02X}"] + parameters[f"{name}_{2 * row:02X}"]
                        rows[f"{name}_{row:02X}"] = "".join(both[511 - 2 * n - half] for n in range(255, -1, -1))
        else:
            continue
        tile += 1
    return found


def row_lines(half: str, rows: dict[str, str]) -> list[str]:
    """Rows that are zero are left out of every second tile's."""
    return [f"{half}.IN_USE"] + [
        f"{half}.{name}[255:0] = 256'b{digits}" for name, digits in rows.items() if "1" in digits or "BRAM_L" in half
    ]


def fasm2frames(words: list[str]) -> int:
    """fasm2frames of Project X-Ray."""
    try:
        given, files = options_of(words, {"--part", "--db-root", "--roi"}, {"--sparse", "--debug"})
        part = given["--part"][-1]
        if not (Path(given["--db-root"][-1]) / part / "part.yaml").is_file() or len(files) not in (1, 2):
            raise RefusedError(f"no database of {part}, or not one FASM file")
        lines = [line for line in Path(files[0]).read_text().splitlines() if line.startswith("BRAM")]
        text = "\n".join([part, *lines, ""])
        if len(files) == 2:
            Path(files[1]).write_text(text)
        else:
            print(text)
    except (RefusedError, KeyError) as error:
        return ended(f"fasm2frames: error: {error}", 2)
    return 0


def xc7frames2bit(words: list[str]) -> int:
    """xc7frames2bit of Project X-Ray."""
    try:
        given, _ = options_of(words, {"--part_file", "--part_name", "--frm_file", "--output_file"}, set())
        part, frames = given["--part_name"][-1], Path(given["--frm_file"][-1]).read_text()
        if not Path(given["--part_file"][-1]).is_file() or not frames.startswith(f"{part}\n"):
            raise RefusedError("Part file not found or invalid")
        Path(given["--output_file"][-1]).write_text(frames)
    except (RefusedError, KeyError, OSError) as error:
        return ended(f"ERROR: {error}")
    return 0


def bit2fasm(words: list[str]) -> int:
    """bit2fasm of Project X-Ray: rows from their lowest to their highest one, and nothing of rows that have none."""
    try:
        given, files = options_of(words, {"--db-root", "--part", "--bitread"}, {"--verbose", "--canonical"})
        part, lines = given["--part"][-1], Path(files[0]).read_text().splitlines()
        if lines[0] != part or not (Path(given["--db-root"][-1]) / part / "part.yaml").is_file():
            raise RefusedError(f"no bitstream of {part}")
    except (RefusedError, KeyError, OSError) as error:
        return ended(f"bit2fasm: error: {error}", 2)
    if os.environ.get(FLAW) == "a bit of the bitstream":
        place = next(number for number, line in enumerate(lines) if ".INIT_00[" in line)
        lines[place] = lines[place][:-1] + "10"[int(lines[place][-1])]
    for line in lines[1:]:
        row = re.fullmatch(r"(\S+)\[255:0\] = 256'b([01]+)", line)
        if row is None:
            print(line)
        elif "1" in row[2]:
            digits = row[2].strip("0")
            low = len(row[2]) - len(row[2].rstrip("0"))
            high = low + len(digits) - 1
            print(f"{row[1]}[{high}:{low}] = {len(digits)}'b{digits}" if high > low else f"{row[1]}[{low}]")
    return 0


def bitread(_: list[str]) -> int:
    """Only that it is there matters to :func:`bit2fasm`."""
    return 0


def vivado(words: list[str]) -> int:
    """Vivado in batch mode."""
    try:
        given, rest = options_of(words, {"-mode", "-log", "-source"}, {"-version"})
        if "-version" in given:
            print("vivado v2025.1 (64-bit)")
            return 0
        if rest or given["-mode"] != ["batch"] or "write_bitstream" not in Path(given["-source"][-1]).read_text():
            raise RefusedError(f"{rest}")
    except (RefusedError, KeyError, OSError) as error:
        return ended(f"ERROR: [Common 17-170] {error}")
    Path("top_timing.rpt").write_text(os.environ.get(VERDICT, MET) + "\n")
    Path("top.bit").write_text("bits")
    return 0
