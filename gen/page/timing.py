"""The clock that was reached, and the paths that limit it."""

from collections.abc import Mapping
from typing import Any

from gen.page.bars import Bar, bars
from gen.page.html import Child, Markup, join, tag
from gen.page.layout import note
from gen.reported import fmax


def timing_section(report: Mapping[str, Any]) -> Markup:
    """Clock and critical paths of a report."""
    if report["fmax_mhz"] is None:
        return note(f"The design asks for {report['clock_mhz']:g} MHz. What the chip reaches is known after routing.")
    period = 1000 / report["clock_mhz"]
    words: list[Child] = [
        f"The design runs at {report['clock_mhz']:g} MHz, so a path may take {period:.1f} ns. After routing the chip "
        "reaches ",
        tag("strong", fmax(report)),
        ".",
    ]
    if report["missed"] is not None:
        missed = report["missed"]
        words.append(
            f" At the board's {missed['clock_mhz']:g} MHz timing was not met ({missed['fmax_mhz']:.1f} MHz), so the "
            f"clock was lowered."
        )
    paths = report["critical_paths"]
    if not paths:
        return join(tag("p", words), note("The tools do not name the slowest paths."))
    longest = max(period, *(path["logic_ns"] + path["routing_ns"] for path in paths))
    return join(
        tag("p", words),
        tag("h3", "Slowest paths"),
        tag("div", bars(path_bar(path, period, longest) for path in paths), class_="long"),
        note("First part: logic; second, paler part: routing. The line is the clock's period."),
    )


def path_bar(path: Mapping[str, Any], period: float, longest: float) -> Bar:
    """A path: from where to where, between which clocks, and how long."""
    begins, ends = (end_words(path[end]) for end in ("begins", "ends"))
    total = path["logic_ns"] + path["routing_ns"]
    clocks = " to ".join(path["clocks"])
    return Bar(
        label=[begins, tag("span", " → ", class_="quiet"), ends, tag("small", f" ({clocks})")],
        value=f"{total:.1f} ns",
        detail=f"{path['logic_ns']:.1f} logic, {path['routing_ns']:.1f} routing",
        segments=[("plain", path["logic_ns"] / longest), ("pale", path["routing_ns"] / longest)],
        mark=period / longest,
    )


def end_words(end: Mapping[str, str]) -> Markup:
    """One end of a path: its signal, and where the source makes it."""
    return join(tag("code", end["signal"]), tag("small", f" {end['source']}") if end["source"] else None)
