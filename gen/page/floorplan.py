"""The placed design: how much of each kind of cell is used, and which part lies where on the chip."""

from collections.abc import Mapping, Sequence
from typing import Any

from gen.page.bars import Bar, bars
from gen.page.cells import cells, level_of
from gen.page.html import Markup, number, percent, svg, tag
from gen.page.layout import Colours, figure, note, side_by_side

EMPTY = "."
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
    """The map of the chip."""
    owners: Sequence[str] = plan["owners"]
    classes = {letter: colours[name] for letter, name in plan["parts"].items()}
    rows = [
        [
            None if owner == EMPTY else (classes[owner], level_of((int(digit) + 1) / DIGITS))
            for owner, digit in zip(*lines, strict=True)
        ]
        for lines in zip(owners, plan["fullness"], strict=True)
    ]
    tiles = {name: sum(row.count(letter) for row in owners) for letter, name in plan["parts"].items()}
    words = "; ".join(f"{name} {count} tiles" for name, count in tiles.items())
    columns, height = len(owners[0]), len(owners)
    ground = tag("rect", x=0, y=0, width=columns, height=height, class_="track")
    title = f"Floorplan of {columns} columns and {height} rows of tiles: {words}"
    return svg(title, columns, height, ground, cells(rows), class_="chip")
