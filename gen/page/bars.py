"""Bars: lists of values with a bar each, stacked bars, and histograms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gen.page.html import Child, Markup, join, number, percent, svg, tag, text

WIDTH, HEIGHT, FOOT, HEAD = 240, 92, 16, 6
"""Size of a histogram, and of the parts below and above its bars."""
GAP = 0.16
"""Share of a bar's room that is left empty."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A value with its bar.

    Attributes:
        label, value: what it is, and how much in words.
        detail: more words, which have less room.
        segments: colour class and share of the whole, from the left.
        mark: share of the whole where a line is drawn; None for no line.
        bold: whether it stands out.
        shapes: more to draw, in a picture of 100 times 10 units.
        height: of the bar in pixels; None for the usual one.
    """

    label: Child
    value: Child
    detail: Child = ""
    segments: Sequence[tuple[str, float]] = ()
    mark: float | None = None
    bold: bool = False
    shapes: Child = None
    height: int | None = None


def bars(listed: Iterable[Bar]) -> Markup:
    """Values below each other."""
    return tag("ul", map(bar_item, listed), class_="bars")


def bar_item(bar: Bar) -> Markup:
    """One value; the bar itself says nothing that the words do not."""
    left, parts = 0.0, [join(bar.shapes)]
    for colour, share in bar.segments:
        shown = min(share, 1 - left)
        parts.append(tag("rect", x=100 * left, y=0, width=100 * shown, height=10, class_=f"fill {colour}"))
        left += shown
    if bar.mark is not None:
        parts.append(tag("rect", x=min(99.4, 100 * bar.mark), y=0, width=0.6, height=10, class_="mark"))
    track = tag(
        "svg",
        parts,
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        aria_hidden="true",
        class_="track",
        style=None if bar.height is None else f"height: {bar.height}px",
    )
    return tag(
        "li",
        tag("span", bar.label, class_="label"),
        tag("b", bar.value),
        tag("small", bar.detail),
        track,
        class_="bold" if bar.bold else None,
    )


def histogram(title: str, counts: Sequence[int], lowest: int, step: int, colour: str) -> Markup:
    """Shares of values, the most frequent one as high as there is room; empty without counts."""
    total, most = sum(counts), max(counts, default=0)
    if not most:
        return join()
    each, room = WIDTH / len(counts), HEIGHT - FOOT - HEAD
    shapes = []
    for index, count in enumerate(counts):
        value = lowest + index * step
        height = max(room * count / most, 0.6 if count else 0.0)
        words = f"{value_words(value, step)}: {percent(count / total, 1)} ({number(count)})"
        x, y = each * (index + GAP / 2), HEAD + room - height
        bar = tag("rect", tag("title", words), x=x, y=y, width=each * (1 - GAP), height=height, class_="fill")
        shapes.append(bar)
    base = tag("path", d=f"M0 {HEAD + room}H{WIDTH}", class_="axis")
    return svg(
        title, WIDTH, HEIGHT, shapes, base, value_labels(len(counts), lowest, step, each), class_=f"histogram {colour}"
    )


def value_labels(shown: int, lowest: int, step: int, each: float) -> list[Markup]:
    """The values below the bars: all that have room, or the first, the last and 0."""
    narrow = shown > 16
    every = 2 if shown > 10 else 1
    indices = sorted({0, -lowest // step, shown - 1}) if narrow else range(-lowest // step % every, shown, every)
    anchors = {0: "start", shown - 1: "end"} if narrow else {}
    return [
        text(
            each * (index + 0.5),
            HEIGHT - 4,
            str(lowest + index * step),
            class_="tick",
            text_anchor=anchors.get(index, "middle"),
        )
        for index in indices
    ]


def value_words(value: int, step: int) -> str:
    """The values of a bar."""
    return str(value) if step == 1 else f"{value} to {value + step - 1}"
