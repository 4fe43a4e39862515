"""The alternatives to a plan: resources over speed, with the chosen plan marked."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gen.page.html import Child, Markup, join, number, percent, svg, table, tag, text
from gen.page.layout import figure, note, side_by_side
from gen.page.resources import amount
from gen.reported import unit_name

WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 400, 270, 40, 12, 14, 38
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0)
FITS = {"fits": "fits", "tight": "tight", "no": "too big"}


def alternatives_section(report: Mapping[str, Any]) -> Markup:
    """The Pareto front of a report."""
    front = report["alternatives"]
    if not front:
        return note(
            "Alternatives to a plan for an objective take long to find: they are here after synthesis, and gen.plan "
            "shows them at once."
        )
    keys = [key for key in report["estimated"] if report["budget"].get(key)]
    chosen = {
        "cycles": report["cycles_expected"],
        "inferences_per_second": report["inferences_per_second_expected"],
        **report["estimated"],
    }
    caption = (
        "Share of the board that each alternative takes, over its rate. The vertical line is the plan that was built; "
        "above 100 % a plan does not fit."
    )
    picture = scatter([*front, chosen], chosen, keys, report)
    legend = tag(
        "ul", (tag("li", key_mark(index), unit_name(report, key)) for index, key in enumerate(keys)), class_="legend"
    )
    return side_by_side(figure([caption, legend], picture), front_table(front, chosen, keys, report))


def front_table(
    front: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], keys: Sequence[str], report: Mapping[str, Any]
) -> Markup:
    """The alternatives, slowest first, with the chosen plan among them."""
    units = [unit_name(report, key) for key in keys]
    listed = [one for one in front if not one["chosen"]]
    rows = sorted([*listed, {**chosen, "fit": "this plan"}], key=lambda row: -row["cycles"])

    def line(row: Mapping[str, Any]) -> list[Child]:
        mine = row["fit"] == "this plan"
        cells: list[Child] = [number(row["cycles"]), number(row["inferences_per_second"])]
        cells += [amount(key, row[key]) for key in keys]
        return [tag("strong", cell) if mine else cell for cell in [*cells, FITS.get(row["fit"], row["fit"])]]

    return table(
        "Alternatives, expected", ["cycles", "inferences/s", *units, "on this board"], map(line, rows), words=0
    )


def scatter(
    rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], keys: Sequence[str], report: Mapping[str, Any]
) -> Markup:
    """Shares of the board over the rate, both logarithmic."""
    rates = [max(1, row["inferences_per_second"]) for row in rows]
    shares = [row[key] / report["budget"][key] for row in rows for key in keys if row[key] > 0]
    across = scale(min(rates), max(rates), LEFT, WIDTH - RIGHT)
    upward = scale(min(shares, default=0.01), max(1.2, *shares), HEIGHT - FOOT, TOP)
    lowest, highest = min(shares, default=0.01), max(1.2, *shares)
    grid = [
        join(
            tag(
                "path", d=f"M{LEFT} {upward(share):.1f}H{WIDTH - RIGHT}", class_="limit" if share == 1 else "grid-line"
            ),
            text(
                LEFT - 6, upward(share) + 4, percent(share, 0 if share >= 0.01 else 1), class_="tick", text_anchor="end"
            ),
        )
        for share in readable([share for share in SHARES if lowest <= share <= highest], upward)
    ]
    ticks = [
        text(across(rate), HEIGHT - FOOT + 16, short(rate), class_="tick", text_anchor="middle")
        for rate in powers(min(rates), max(rates))
    ]
    here = across(max(1, chosen["inferences_per_second"]))
    marker = tag("path", d=f"M{here:.1f} {TOP}V{HEIGHT - FOOT}", class_="chosen")
    series = []
    for index, key in enumerate(keys):
        known = sorted((max(1, row["inferences_per_second"]), row[key] / report["budget"][key]) for row in rows)
        points = [(across(rate), upward(share)) for rate, share in known if share > 0]
        line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        series.append(tag("path", d=line, class_=f"series series-{index}"))
        series += [tag("path", d=symbol(index, x, y), class_=f"point series-{index}") for x, y in points]
    label = text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, "inferences per second", class_="tick", text_anchor="middle")
    axis = tag("path", d=f"M{LEFT} {HEIGHT - FOOT}H{WIDTH - RIGHT}", class_="axis")
    words = f"Alternatives: {len(rows) - 1}, from {short(min(rates))} to {short(max(rates))} inferences per second"
    return svg(words, WIDTH, HEIGHT, grid, axis, ticks, label, marker, series, class_="chart")


def scale(low: float, high: float, begin: float, end: float) -> Any:
    """A function from values to places, logarithmic, with a little room at both ends."""
    low, high = math.log(low) - 0.15, math.log(high) + 0.15
    return lambda value: begin + (math.log(value) - low) / (high - low) * (end - begin)


def readable(shares: Sequence[float], upward: Any) -> list[float]:
    """Those of some shares whose labels do not run into each other; 100 % is always among them."""
    found = [1.0]
    for share in sorted(shares, reverse=True):
        if all(abs(upward(share) - upward(other)) > 15 for other in found):
            found.append(share)
    return found


def powers(low: float, high: float) -> list[float]:
    """Round numbers between two rates: powers of ten, or also their halves and fifths if there are few."""
    tens = [10.0**power for power in range(-1, 13)]
    for steps in ((1,), (1, 3), (1, 2, 5)):
        found = [ten * step for ten in tens for step in steps if low <= ten * step <= high]
        if len(found) >= 3:
            return found
    return found or [low]


def short(rate: float) -> str:
    """A rate in few letters."""
    for factor, unit in ((1e6, " M"), (1e3, " k")):
        if rate >= factor:
            return f"{rate / factor:.3g}{unit}"
    return f"{rate:.3g}"


def symbol(index: int, x: float, y: float, size: float = 3.6) -> str:
    """The outline of a point: a circle, a square, a diamond or a triangle, one for each series."""
    half = size * 0.85
    shapes = (
        f"M{x - size:.1f} {y:.1f}a{size} {size} 0 1 0 {2 * size} 0a{size} {size} 0 1 0 -{2 * size} 0z",
        f"M{x - half:.1f} {y - half:.1f}h{2 * half:.1f}v{2 * half:.1f}h-{2 * half:.1f}z",
        f"M{x:.1f} {y - size * 1.2:.1f}l{size * 1.2:.1f} {size * 1.2:.1f}l-{size * 1.2:.1f} {size * 1.2:.1f}"
        f"l-{size * 1.2:.1f} -{size * 1.2:.1f}z",
        f"M{x:.1f} {y - size * 1.1:.1f}l{size * 1.1:.1f} {size * 2:.1f}h-{size * 2.2:.1f}z",
    )
    return shapes[index % len(shapes)]


def key_mark(index: int) -> Markup:
    """The symbol of a series, for the legend."""
    return tag(
        "svg",
        tag("path", d=symbol(index, 6, 6), class_=f"point series-{index}"),
        viewBox="0 0 12 12",
        class_="key",
        aria_hidden="true",
    )
