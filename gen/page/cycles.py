"""The cycles of every layer against the slowest, and how busy its lanes are."""

from collections.abc import Mapping, Sequence
from typing import Any

from gen.page.bars import Bar, bars
from gen.page.html import Markup, counted, join, number, percent, tag
from gen.page.layout import Colours, note


def cycles_section(report: Mapping[str, Any], colours: Colours) -> Markup:
    """Cycles and busy lanes of a report."""
    rows = [row for row in report["layers"] if "expected_cycles" in row]
    slowest = max(report["cycles_expected"], 1)
    rate = number(report["inferences_per_second_expected"])
    return join(
        tag(
            "p",
            "All layers work at the same time, on different positions and inputs. The slowest sets the pace: ",
            tag("strong", report["bottleneck"]),
            f" takes {number(report['cycles_expected'], 1)} cycles, so {rate} inferences leave per second at "
            f"{report['clock_mhz']:g} MHz.",
        ),
        tag("h3", "Cycles per inference, expected"),
        bars(cycle_bars(rows, slowest, report["bottleneck"], colours)),
        note(
            "A full bar is the slowest layer. A line marks the windows of the layer: taken one per cycle, they would "
            "end there."
        ),
        tag("h3", "Busy lanes"),
        bars(busy_bars(rows, colours)),
        note("The share of all additions that the lanes could make between two inferences, and do make."),
    )


def cycle_bars(rows: Sequence[Mapping[str, Any]], slowest: float, bottleneck: str, colours: Colours) -> list[Bar]:
    """A bar for each layer; the largest of its needs limits it."""
    found = []
    for row in rows:
        cycles = row["expected_cycles"]
        needs = [f"{words} {number(row[key])}" for key, words in NEEDS.items() if key in row]
        found.append(
            Bar(
                label=colours.label(row["name"]),
                value=number(cycles),
                detail=", ".join(needs),
                segments=[(colours[row["name"]], cycles / slowest)],
                mark=row["windows"] / slowest if "windows" in row else None,
                bold=row["name"] == bottleneck,
            )
        )
    return found


NEEDS = {"array_cycles": "currents", "neuron_cycles": "neurons", "windows": "windows"}
"""Keys of a layer's row, and what takes these cycles."""


def busy_bars(rows: Sequence[Mapping[str, Any]], colours: Colours) -> list[Bar]:
    """A bar for each layer with lanes."""
    return [
        Bar(
            label=colours.label(row["name"]),
            value=percent(row["busy"]),
            detail=lanes_words(row["engines"]),
            segments=[(colours[row["name"]], row["busy"])],
        )
        for row in rows
        if "busy" in row
    ]


def lanes_words(engines: Sequence[Mapping[str, Any]]) -> str:
    """The lanes of a layer, and what each adds."""
    return "; ".join(
        f"{counted(one['lanes'], 'lane')}, {counted(one['adds_per_cycle'], 'addition')} per cycle" for one in engines
    )
