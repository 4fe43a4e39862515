"""The frame of every page: head, style, navigation and sections. A page is one file that loads nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gen.page.html import Child, Markup, join, tag

STYLE = Path(__file__).with_name("page.css")
GREYS = 3
COLOURS = 10
"""Colours of layers in the style; later layers begin again with the first."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""A page may load nothing and run nothing, even if a string were not escaped."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page: ``name`` for links, a heading, and what is below it."""

    name: str
    heading: str
    content: Markup


def page(title: str, above: Markup, sections: Sequence[Section]) -> str:
    """A whole page.

    Args:
        title: of the window.
        above: what is above the sections, see :func:`head`.
        sections: the parts, which the navigation lists.
    """
    links = [tag("li", tag("a", one.heading, href=f"#{one.name}")) for one in sections]
    parts = [
        tag("section", tag("h2", one.heading, id=f"{one.name}-heading"), one.content, id=one.name,
            aria_labelledby=f"{one.name}-heading")
        for one in sections
    ]  # fmt: skip
    document = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("title", title),
            tag("style", Markup(STYLE.read_text())),
        ),
        tag(
            "body",
            tag("header", above),
            tag("nav", tag("ul", links), aria_label="Sections"),
            tag("main", parts),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{document}\n"


def head(
    kind: str, title: str, words: str, state: tuple[str, str], tiles: Sequence[tuple[str, Child, Child]]
) -> Markup:
    """What is above the sections.

    Args:
        kind: of page.
        title, words: what it is about.
        state: how it went, and the class that colours it: ``good``, ``open`` or ``bad``.
        tiles: name, value and remark of the figures that people look for first.
    """
    return join(
        tag("p", kind, class_="kind"),
        tag("h1", title),
        tag("p", words, class_="quiet"),
        tag("p", tag("span", state[0], class_=f"state {state[1]}")),
        tag(
            "ul",
            (tag("li", tag("span", name), tag("b", value), tag("small", more)) for name, value, more in tiles),
            class_="tiles",
        ),
    )


def figure(caption: Child, content: Child) -> Markup:
    """A picture with a caption below."""
    return tag("figure", content, tag("figcaption", caption))


def small_figure(heading: Child, words: Child, content: Child) -> Markup:
    """One of several pictures side by side, with its heading above."""
    return tag("figure", tag("figcaption", tag("b", heading), words), content, class_="small")


def side_by_side(*parts: Child) -> Markup:
    """Parts in columns where the page is wide enough."""
    return tag("div", (tag("div", part) for part in parts), class_="columns")


def note(*words: Child) -> Markup:
    """A remark below a figure or instead of one."""
    return tag("p", *words, class_="note")


class Colours:
    """The colours of layers, the same in every figure of a page: CSS classes that set ``--colour``.

    Args:
        layers: the layers, in order.
        around: the parts of the hardware around them, which are grey.
    """

    def __init__(self, layers: Sequence[str], around: Sequence[str] = ()) -> None:
        self._classes = {name: f"around-{index % GREYS}" for index, name in enumerate(around)}
        self._classes |= {name: f"layer-{index % COLOURS}" for index, name in enumerate(layers)}

    def __getitem__(self, name: str) -> str:
        """The class of a layer; everything else is grey."""
        return self._classes.get(name, "others")

    def __contains__(self, name: str) -> bool:
        """Whether a layer has a colour of its own."""
        return name in self._classes

    def label(self, name: str) -> Markup:
        """A layer's name with its colour."""
        return tag("span", tag("span", class_=f"dot {self[name]}"), name, class_="layer")

    def legend(self, names: Sequence[str]) -> Markup:
        """What the colours mean."""
        return tag("ul", (tag("li", self.label(name)) for name in names), class_="legend")
