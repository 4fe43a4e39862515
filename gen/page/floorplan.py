"""The placed design: how much of each kind of cell is used, and which part lies where on the chip."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from gen.page.bars import Bar, bars
from gen.page.html import Markup, number, percent, svg, tag
from gen.page.layout import Colours, figure, note, side_by_side

EMPTY = "."
LEVELS = 3
"""Steps of opacity: the fuller a tile, the more opaque it is drawn."""
DIGITS = 10


def floorplan_section(report: Mapping[str, Any], colours: Colours) -> Markup:
    """Utilisation and floorplan of a report."""
    kinds = report["utilisation"]
    if not kinds:
        return note("The design is not placed, or its tool does not report the cells of the chip that it uses.")
    listed = tag("div", tag("h3", "Cells used of those on the chip"), bars(utilisation_bars(kinds)))
    plan = report["floorplan"]
    if plan is None:
        return listed
    caption = (
        "The chip's tiles. Every tile has the colour of the part with most cells there; pale tiles are nearly empty."
    )
    return side_by_side(
        figure([caption, colours.legend(list(plan["parts"].values()))], chip(plan, colours)),
        listed,
    )


def utilisation_bars(kinds: Mapping[str, Mapping[str, int]]) -> list[Bar]:
    """A bar for each kind of cell."""
    return [
        Bar(
            label=kind,
            value=percent(one["used"] / one["available"], 0 if one["used"] * 20 > one["available"] else 1),
            detail=f"{number(one['used'])} of {number(one['available'])}",
            segments=[("plain", one["used"] / one["available"])],
        )
        for kind, one in sorted(kinds.items(), key=lambda item: -item[1]["used"] / item[1]["available"])
    ]


def chip(plan: Mapping[str, Any], colours: Colours) -> Markup:
    """The map: for every part and level one path of horizontal runs of tiles."""
    owners: Sequence[str] = plan["owners"]
    paths: dict[tuple[str, int], list[str]] = {}
    for y, (row, full) in enumerate(zip(owners, plan["fullness"], strict=True)):
        x = 0
        for (owner, level), run in groupby(zip(row, map(level_of, full), strict=True)):
            length = len(list(run))
            if owner != EMPTY:
                paths.setdefault((owner, level), []).append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    columns, rows = len(owners[0]), len(owners)
    shapes = [
        tag("path", d="".join(runs), class_=f"fill level-{level} {colours[plan['parts'][owner]]}")
        for (owner, level), runs in sorted(paths.items())
    ]
    counts = {name: sum(row.count(letter) for row in owners) for letter, name in plan["parts"].items()}
    words = "; ".join(f"{name} {tiles} tiles" for name, tiles in counts.items())
    ground = tag("rect", x=0, y=0, width=columns, height=rows, class_="track")
    return svg(
        f"Floorplan of {columns} columns and {rows} rows of tiles: {words}",
        columns,
        rows,
        ground,
        shapes,
        class_="chip",
    )


def level_of(digit: str) -> int:
    """The opacity of a tile."""
    return int(digit) * LEVELS // DIGITS if digit != EMPTY else 0
