"""What netlist and placed design say of a build: the cells of every layer, and where on the chip they lie."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from boards.board import Family

CELL = re.compile(
    r'^        "(?P<name>[^"\n]+)": \{\n          "hide_name": [01],\n          "type": "(?P<type>\w+)",', re.MULTILINE
)
"""A cell in a netlist that yosys or nextpnr wrote; both put everything in the same columns."""
PLACE = re.compile(r'^            "NEXTPNR_BEL": "X(?P<column>\d+)/?Y(?P<row>\d+)/', re.MULTILINE)
LINK, SELF_TEST, OTHERS = "host link", "self-test", "everything else"
AROUND = {"link": LINK, "counters": LINK, "share": LINK, "self_test": SELF_TEST}
"""The parts of the device around the network, by the first word of their cells' names."""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
EMPTY = "."
FULLEST = 9
"""The digit of the tile with the most cells."""


def part_of(layers: Sequence[str]) -> Callable[[str], str]:
    """A function that tells which part of a design a cell belongs to, by its name in the flat netlist."""
    longest_first = "|".join(sorted(map(re.escape, layers), key=len, reverse=True))
    around = "|".join(AROUND)
    pattern = re.compile(rf"(?:^|\.)(?:network\.(?P<layer>{longest_first})_|(?P<around>{around})[._])")

    def part(cell: str) -> str:
        found = pattern.search(cell)
        if found is None:
            return OTHERS
        return found["layer"] or AROUND[found["around"]]

    return part


def used_by_part(netlist: Path, layers: Sequence[str], family: Family) -> dict[str, dict[str, float]]:
    """LUTs, flip-flops and block RAMs of every part of a synthesised design, as the family counts them."""
    part = part_of(layers)
    cells: dict[str, Counter[str]] = {name: Counter() for name in (*layers, LINK, SELF_TEST, OTHERS)}
    for cell in CELL.finditer(netlist.read_text()):
        cells[part(cell["name"])][cell["type"]] += 1
    return {name: family.resources(found).counts for name, found in cells.items() if found}


def utilisation(timing: Path) -> dict[str, dict[str, int]]:
    """The cells used and available of every kind that the design uses, by nextpnr's report; empty without one."""
    if not timing.is_file():
        return {}
    found = json.loads(timing.read_text())["utilization"]
    return {
        kind: {"used": one["used"], "available": one["available"]} for kind, one in sorted(found.items()) if one["used"]
    }


def floorplan(placed: Path, layers: Sequence[str]) -> dict[str, Any] | None:
    """A map of the chip's tiles, row by row from the top: the letter of the part that has most cells there, and how
    full the tile is, from 0 to 9; None without a placed design."""
    if not placed.is_file():
        return None
    part = part_of(layers)
    tiles: dict[tuple[int, int], Counter[str]] = {}
    for name, column, row in placed_cells(placed.read_text()):
        tiles.setdefault((column, row), Counter())[part(name)] += 1
    if not tiles:
        return None
    counts = sum(tiles.values(), Counter[str]())
    shown = [name for name in (*layers, LINK, SELF_TEST) if counts[name]][: len(LETTERS) - 1]
    letters = dict(zip((*shown, OTHERS), LETTERS, strict=False))
    columns, rows = (1 + max(place[axis] for place in tiles) for axis in (0, 1))
    most = max(found.total() for found in tiles.values())

    def drawn(symbol: Callable[[Counter[str]], str]) -> list[str]:
        return [
            "".join(symbol(tiles[column, row]) if (column, row) in tiles else EMPTY for column in range(columns))
            for row in range(rows)
        ]

    return {
        "parts": {letter: name for name, letter in letters.items()},
        "owners": drawn(lambda found: letters.get(found.most_common(1)[0][0], letters[OTHERS])),
        "fullness": drawn(lambda found: str(found.total() * FULLEST // most)),
    }


def placed_cells(text: str) -> Iterator[tuple[str, int, int]]:
    """Name, column and row of every cell of a placed design."""
    ends = [match.start() for match in CELL.finditer(text)][1:]
    for cell, end in zip(CELL.finditer(text), [*ends, len(text)], strict=True):
        place = PLACE.search(text, cell.end(), end)
        if place is not None:
            yield cell["name"], int(place["column"]), int(place["row"])
