"""Comparison of openXC7's output with constraints and netlist, to find dead pins and wrong block RAM.

The tools' exit codes do not show these faults.
"""

import csv
import json
import re
from pathlib import Path

from boards.families import openxc7
from boards.families.xilinx_ram import KINDS, check_halves
from qblif.errors import UserError

NEEDED = {"input": ("IN",), "output": ("DRIVE", "SLEW")}
"""Features of a buffer, by the direction of its port; other ports need all of them."""


def check_products(part: openxc7.Part, folder: Path) -> str:
    """Check pins and block RAMs of a build.

    Returns:
        Where the contents of all block RAMs were compared.

    Raises:
        UserError: the bitstream would not do what the netlist does.
    """
    top = json.loads((folder / openxc7.NETLIST).read_text())["modules"]["top"]
    fasm = (folder / openxc7.FASM).read_text(errors="replace")
    directions = {name: port["direction"] for name, port in top["ports"].items()}
    pins = openxc7.find_setup(part).database / part.name / "package_pins.csv"
    check_pins((folder / openxc7.CONSTRAINTS).read_text(), fasm, directions, pins)
    halves = [
        half
        for cell in top["cells"].values()
        for kind in KINDS
        if cell["type"] == kind.cell
        for half in kind.in_halves(cell["parameters"])
    ]
    check_halves(fasm, halves, openxc7.FASM)
    unpacked = folder / openxc7.UNPACKED
    if not unpacked.is_file():
        return f"{openxc7.FASM}, of which the bitstream was made"
    check_halves(unpacked.read_text(errors="replace"), halves, openxc7.BITSTREAM)
    unpacked.unlink()
    return "the bitstream"


def check_pins(xdc: str, fasm: str, directions: dict[str, str], package_pins: Path) -> None:
    """Compare the FASM's pins with the constraints: every port's buffer must be set to its I/O standard.

    Args:
        xdc: the output of :func:`boards.families.openxc7.constraints`.
        fasm: the placed and routed design.
        directions: the directions of the ports in the netlist.
        package_pins: the database's table of the tile and site of each pin.

    Raises:
        UserError: a pin would be dead.
    """
    wanted: dict[str, dict[str, str]] = {}
    for name, value, port in re.findall(r"^set_property (\w+) (\S+) \[get_ports (\S+)\]$", xdc, re.MULTILINE):
        wanted.setdefault(port, {})[name] = value
    try:
        with package_pins.open(newline="") as file:
            sites = {row["pin"]: (row["tile"], row["site"]) for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise UserError(
            f"{package_pins} does not say where every pin is ({error}); install the database again"
        ) from error
    for port in directions:
        for needed in ("LOC", "IOSTANDARD"):
            if needed not in wanted.get(port, {}):
                raise UserError(f"port {port} would be dead: {openxc7.CONSTRAINTS} gives it no {needed}")
        if wanted[port]["LOC"] not in sites:
            raise UserError(f"{package_pins} does not know pin {wanted[port]['LOC']}; install the database again")
    features: dict[str, list[str]] = {}
    for buffer, feature in re.findall(r"^([LR]IOB\d+_\w+\.IOB_Y[01])\.(\S+)", fasm, re.MULTILINE):
        features.setdefault(buffer, []).append(feature)
    for port, direction in directions.items():
        pin = wanted[port]
        tile, site = sites[pin["LOC"]]
        buffer = f"{tile}.IOB_Y{int(site.rpartition('Y')[2]) % 2}"
        standard = pin["IOSTANDARD"]
        for kind in NEEDED.get(direction, ("IN", "DRIVE", "SLEW")):
            form = re.compile(rf"(?:\w+_)?{re.escape(standard)}(?:_\w+)?\.{kind}(?:\.\w+)?")
            if not any(form.fullmatch(feature) for feature in features.get(buffer, ())):
                raise UserError(
                    f"pin {pin['LOC']} (port {port}) would be dead: {openxc7.FASM} sets no {kind} of {standard} at "
                    f"{buffer}; {openxc7.PLACE_TOOL} did not take the I/O standard of {openxc7.CONSTRAINTS}"
                )
