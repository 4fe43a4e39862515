"""Everything that a report says, as tables: nothing is left out."""

import json
from collections.abc import Mapping
from typing import Any

from gen.page.html import Child, Markup, facts, table, tag
from gen.page.layout import note

MOST_IN_LINE = 16
"""A list of more plain values than this is a block of its own."""


def everything_section(report: Mapping[str, Any]) -> Markup:
    """All keys of a report: plain values first, then one part for each table."""
    plain = {key: shown(value) for key, value in report.items() if is_plain(value)}
    parts = [
        tag("section", tag("h3", key), shown(value), class_="part")
        for key, value in report.items()
        if not is_plain(value)
    ]
    return tag(
        "div", note("The names are those of report.json, for programs."), facts(plain), parts, class_="everything"
    )


def is_plain(value: Any) -> bool:
    """Whether a value has room in a line."""
    return not isinstance(value, dict | list) or not value


def shown(value: Any) -> Child:
    """A value of a report."""
    if isinstance(value, dict):
        return shown_object(value)
    if isinstance(value, list):
        return shown_list(value)
    return in_line(value)


def shown_object(value: dict[str, Any]) -> Child:
    """An object: of several objects as a table, otherwise as names with their values."""
    if not value:
        return tag("span", "{}", class_="quiet")
    if all(isinstance(one, dict) for one in value.values()):
        keys = list(dict.fromkeys(key for one in value.values() for key in one))
        rows = [[name, *(in_line(one[key]) if key in one else "" for key in keys)] for name, one in value.items()]
        return table("", ["", *keys], rows, words=1 + len(keys))
    return facts({key: shown(one) for key, one in value.items()})


def shown_list(value: list[Any]) -> Child:
    """A list: of objects as a table, of many texts as lines, of others in a line."""
    if not value:
        return tag("span", "[]", class_="quiet")
    if all(isinstance(one, dict) for one in value):
        keys = list(dict.fromkeys(key for one in value for key in one))
        rows = [[in_line(one[key]) if key in one else "" for key in keys] for one in value]
        return table("", keys, rows, words=len(keys))
    if all(isinstance(one, str) for one in value) and len(value) > MOST_IN_LINE:
        lines = tag("pre", "\n".join(value))
        return tag("div", lines, class_="scroll", tabindex=0, role="region", aria_label="rows of text")
    return in_line(value)


def in_line(value: Any) -> str:
    """A value in one line of a table."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_line(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ("; " if any(isinstance(one, dict) for one in value) else ", ").join(map(in_line, value))
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
