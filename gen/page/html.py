"""Building HTML and SVG from Python: every string is escaped unless it was made here."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TIMES = "\N{MULTIPLICATION SIGN}"
VOID = frozenset(("br", "hr", "img", "link", "meta"))
"""Elements of HTML that have no end."""


class Markup(str):
    """Text that is HTML already."""


Child = str | int | float | None | Iterable["Child"]
"""What an element can hold: text, which is escaped, markup, numbers, nothing, or several of them."""


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """An element. An underscore at the end of an attribute's name is dropped, others become hyphens; attributes that
    are None are left out, and numbers are rounded to hundredths."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(text_of(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = join(*children)
    return Markup(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{content}</{name}>")


def join(*children: Child) -> Markup:
    """Several children side by side."""
    return Markup("".join(map(rendered, children)))


def rendered(child: Child) -> str:
    """A child as HTML."""
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int | float):
        return html.escape(text_of(child))
    return "".join(map(rendered, child))


def text_of(value: str | float) -> str:
    """A text as it is, a number without needless digits."""
    return value if isinstance(value, str) else f"{round(value, 2):.12g}"


def number(value: float, digits: int = 0) -> str:
    """A number for people: thousands are separated, and whole numbers have no digits after the point."""
    return f"{value:,.{digits}f}" if round(value, digits) % 1 else f"{value:,.0f}"


def counted(amount: int, thing: str) -> str:
    """An amount of things, such as "1 lane" or "12 lanes"."""
    return f"{number(amount)} {thing}{'' if amount == 1 else 's'}"


def percent(share: float, digits: int = 0) -> str:
    """A share for people."""
    return f"{share:.{digits}%}"


def table(
    caption: str, headings: Sequence[Child], rows: Iterable[Sequence[Child]], *, words: int = 1, total: bool = False
) -> Markup:
    """A table that scrolls by itself where it is too wide for the page.

    Args:
        caption: what it shows.
        headings: of the columns.
        rows: cells; the first of every row is its heading.
        words: the number of columns, from the left, that hold words and not numbers.
        total: whether the last row is the sum of those above.
    """

    def cell(kind: str, index: int, content: Child) -> Markup:
        scope = ("row" if index == 0 else None) if kind == "td" else "col"
        name = "th" if scope else "td"
        return tag(name, content, scope=scope, class_=None if index < words else "number")

    listed = list(rows)
    lines = [
        tag(
            "tr",
            (cell("td", index, content) for index, content in enumerate(row)),
            class_="total" if total and row is listed[-1] else None,
        )
        for row in listed
    ]
    head = tag("thead", tag("tr", (cell("th", index, content) for index, content in enumerate(headings))))
    body = tag("table", tag("caption", caption), head, tag("tbody", lines))
    return tag("div", body, class_="scroll", tabindex=0, role="region", aria_label=caption)


def facts(pairs: Mapping[str, Child]) -> Markup:
    """Names with their values."""
    return tag("dl", ([tag("dt", name), tag("dd", value)] for name, value in pairs.items()), class_="facts")


def svg(title: str, width: float, height: float, *children: Child, class_: str | None = None) -> Markup:
    """A picture that takes the width that there is; ``title`` says in words what it shows."""
    return tag(
        "svg",
        tag("title", title),
        *children,
        viewBox=f"0 0 {text_of(width)} {text_of(height)}",
        role="img",
        class_=class_,
    )


def text(x: float, y: float, words: Child, **attributes: Any) -> Markup:
    """A text in a picture."""
    return tag("text", words, x=x, y=y, **attributes)
