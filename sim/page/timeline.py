"""Timelines of simulated inferences: which layer works when, where it stalls, and the bursts that leave it."""

from collections.abc import Mapping, Sequence
from typing import Any

from gen.page.bars import Bar, bars
from gen.page.cells import Cell, cells, level_of
from gen.page.html import Markup, join, number, percent, tag
from gen.page.layout import Colours, note

WORK_HEIGHT, STALL_HEIGHT, GAP = 6.4, 2.6, 1.0
"""Parts of a strip of height 10: work above, stalls below."""
FEWEST_PIXELS, MOST_PIXELS, PIXELS_PER_ROW = 16, 130, 5
"""Heights of a raster plot."""


def timeline_figure(line: Mapping[str, Any], colours: Colours) -> Markup:
    """One run: a strip for each stage, and the axis."""
    strips = [strip(line, stage, colours) for stage in line["stages"]]
    return tag("div", bars(strips), axis(line), class_="wide")


def strip(line: Mapping[str, Any], stage: Mapping[str, Any], colours: Colours) -> Bar:
    """When a stage works, and below when the beats that arrive are held back."""
    columns = len(stage["works"])
    work: list[Cell] = [coloured(colours[stage["name"]], share) for share in stage["works"]]
    stalls: list[Cell] = [coloured("stall", share) for share in stage["held_back"]]
    return Bar(
        label=colours.label(stage["name"]),
        value=percent(stage["works_share"]),
        detail=f"holds back {percent(stage['held_back_share'])}, waits {percent(stage['starved_share'])}",
        shapes=[
            tag("g", cells([work]), transform=f"scale({100 / columns:.5f} {WORK_HEIGHT})"),
            tag(
                "g",
                cells([stalls]),
                transform=f"translate(0 {WORK_HEIGHT + GAP}) scale({100 / columns:.5f} {STALL_HEIGHT})",
            ),
            marks(line),
        ],
        height=22,
    )


def coloured(colour: str, share: float) -> Cell:
    """A cell that is the less pale, the larger its share is."""
    return (colour, level_of(share)) if share > 0 else None


def marks(line: Mapping[str, Any]) -> Markup:
    """Lines where results leave."""
    length = line["end"] - line["begin"]
    places = [min(99.7, 100 * (cycle - line["begin"]) / length) for cycle in line["left"]]
    return join(tag("rect", x=place, y=0, width=0.3, height=10, class_="mark") for place in places)


def axis(line: Mapping[str, Any]) -> Markup:
    """The cycles below the strips."""
    length = line["end"] - line["begin"]
    ticks = [tag("span", number(length * quarter / 4)) for quarter in range(5)]
    return tag("div", tag("div", ticks, class_="ticks"), class_="axis-row", aria_hidden="true")


def raster_figure(line: Mapping[str, Any], colours: Colours) -> Markup:
    """The bursts of every stage that sends some, over the cycles of a run."""
    plots = [raster(stage, colours) for stage in line["stages"] if stage["raster"] is not None]
    return join(
        tag("div", bars(plots), axis(line), class_="wide"),
        note(
            "Rows are channels, from top to bottom, or groups of neighbouring ones; columns are cycles. The stronger "
            "the colour, the larger the bursts that left then; grey: beats without a burst left."
        ),
    )


def raster(stage: Mapping[str, Any], colours: Colours) -> Bar:
    """The bursts of one stage."""
    plot = stage["raster"]
    lines: Sequence[str] = plot["lines"]
    rows = [[raster_cell(digit, colours[stage["name"]]) for digit in row] for row in lines]
    scale = f"scale({100 / len(lines[0]):.5f} {10 / len(lines):.5f})"
    share = plot["fired"] / max(1, plot["sent"])
    return Bar(
        label=colours.label(stage["name"]),
        value=number(plot["fired"]),
        detail=f"bursts, {percent(share, 1)} of neurons and timesteps",
        shapes=tag("g", cells(rows), transform=scale),
        height=min(MOST_PIXELS, max(FEWEST_PIXELS, PIXELS_PER_ROW * len(lines))),
    )


def raster_cell(digit: str, colour: str) -> Cell:
    """A cell of a raster plot."""
    if not digit.isdigit():
        return None
    return (colour, level_of(int(digit) / 9)) if digit != "0" else ("silent", 1)
