"""The resources of the chip: what each part takes, estimated and, once there is a netlist, in fact."""

from collections.abc import Mapping, Sequence
from typing import Any

from gen.page.bars import Bar, bars
from gen.page.html import Child, Markup, join, number, percent, table, tag
from gen.page.layout import Colours, note
from gen.reported import unit_name


def amount(resource: str, value: float) -> str:
    """An amount of a resource; block RAMs may be halves."""
    return number(value, 1 if resource == "bram" and value % 1 else 0)


def resources_section(report: Mapping[str, Any], colours: Colours) -> Markup:
    """The resources of a report."""
    estimated = {row["name"]: row["estimated"] for row in report["layers"]}
    used = report["used_by_part"] or {}
    resources = [key for key in report["estimated"] if report["budget"].get(key)]
    names = list(dict.fromkeys((*estimated, *used)))
    groups = [
        tag("div", tag("h3", unit_name(report, key)), bars(resource_bars(report, key, estimated, used, colours)))
        for key in resources
    ]
    shown = [key for key in resources if any(key in row for row in used.values())] if used else []
    return join(
        tag("div", groups, class_="grid"),
        colours.legend(names),
        parts_table(report, names, resources, estimated, shown, used, colours),
        note("Estimated: by the planner's model, before synthesis. ", "Used: counted in the netlist." if used else ""),
    )


def resource_bars(
    report: Mapping[str, Any],
    key: str,
    estimated: Mapping[str, Mapping[str, float]],
    used: Mapping[str, Mapping[str, float]],
    colours: Colours,
) -> list[Bar]:
    """What is estimated and what is used of one resource, part by part, against what the chip has."""
    budget = report["budget"][key]
    found = [share_bar("estimated", key, report["estimated"][key], budget, estimated, colours)]
    if report["resources"] and key in report["resources"]:
        parts = used if any(key in row for row in used.values()) else {}
        found.append(share_bar("used", key, report["resources"][key], budget, parts, colours))
    return found


def share_bar(
    label: str,
    key: str,
    total: float,
    budget: float,
    parts: Mapping[str, Mapping[str, float]],
    colours: Colours,
) -> Bar:
    """One stacked bar."""
    return Bar(
        label=label,
        value=percent(total / budget),
        detail=f"{amount(key, total)} of {amount(key, budget)}",
        segments=[(colours[name], row.get(key, 0) / budget) for name, row in parts.items()]
        or [("others", total / budget)],
    )


def parts_table(
    report: Mapping[str, Any],
    names: Sequence[str],
    resources: Sequence[str],
    estimated: Mapping[str, Mapping[str, float]],
    shown: Sequence[str],
    used: Mapping[str, Mapping[str, float]],
    colours: Colours,
) -> Markup:
    """Every part with its resources, and the sums."""

    def line(label: Child, guess: Mapping[str, float], fact: Mapping[str, float]) -> list[Child]:
        guesses = [amount(key, guess[key]) if key in guess else "" for key in resources]
        return [label, *guesses, *(amount(key, fact[key]) if key in fact else "" for key in shown)]

    headings = [f"{unit_name(report, key)}, estimated" for key in resources]
    headings += [f"{unit_name(report, key)}, used" for key in shown]
    rows = [line(colours.label(name), estimated.get(name, {}), used.get(name, {})) for name in names]
    total = line("total", report["estimated"], report["resources"] or {})
    return table("Resources by part", ["part", *headings], [*rows, total], total=True)
