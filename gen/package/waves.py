"""Timing diagrams: WaveJSON as WaveDrom reads it, drawn as SVG without any library.

Of WaveJSON this uses ``signal`` with ``name``, ``wave`` and ``data``, and of the waves ``p``, ``0``, ``1``, ``x``,
``=``, ``.`` and ``|``.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Wave = Mapping[str, Any]
NAME_WIDTH, CYCLE, HEIGHT, GAP, SLOPE = 130, 44, 22, 12, 3
STYLE = "fill:none;stroke:currentColor;stroke-width:1.2"


def runs(wave: str) -> list[tuple[str, int, int]]:
    """The parts of a wave: kind, first cycle, and cycles; a gap lasts a cycle and does not end what it interrupts."""
    found: list[tuple[str, int, int]] = []
    for place, kind in enumerate(wave):
        if kind in ".|" and found:
            found[-1] = (*found[-1][:2], found[-1][2] + 1)
        else:
            found.append((kind, place, 1))
    return found


def clock_path(cycles: int, top: float) -> str:
    """The line of a clock, which rises at the beginning of every cycle."""
    low, high = top + HEIGHT, top
    steps = [f"M {NAME_WIDTH} {low}"]
    for cycle in range(cycles):
        left = NAME_WIDTH + cycle * CYCLE
        steps.append(f"V {high} H {left + CYCLE / 2} V {low} H {left + CYCLE}")
    return f'<path style="{STYLE}" d="{" ".join(steps)}"/>'


def level_parts(wave: str, labels: Sequence[str], top: float) -> list[str]:
    """The line of a signal: levels 0 and 1, values with their labels, and times at which it does not matter."""
    parts, left_labels = [], list(labels)
    before: float | None = None
    for kind, first, cycles in runs(wave):
        left, right = NAME_WIDTH + first * CYCLE, NAME_WIDTH + (first + cycles) * CYCLE
        middle, low = top + HEIGHT / 2, top + HEIGHT
        if kind in "01":
            level = top if kind == "1" else low
            start = middle if before is None and first else level if before is None else before
            parts.append(f'<path style="{STYLE}" d="M {left} {start} L {left + SLOPE} {level} H {right}"/>')
            before = level
            continue
        fill = "fill:#8883" if kind == "x" else "fill:none"
        outline = f"M {left} {middle} L {left + SLOPE} {top} H {right - SLOPE} L {right} {middle} "
        outline += f"L {right - SLOPE} {low} H {left + SLOPE} Z"
        parts.append(f'<path style="{STYLE};{fill}" d="{outline}"/>')
        if kind == "=" and left_labels:
            parts.append(text((left + right) / 2, low - 6, left_labels.pop(0), "middle"))
        before = None
    return parts


def text(x: float, y: float, words: str, anchor: str) -> str:
    """Words at a place."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(diagram: Wave, title: str) -> str:
    """A diagram as one SVG element, with its title for those who cannot see it."""
    signals = diagram["signal"]
    cycles = max((len(signal.get("wave", "")) for signal in signals), default=0)
    width, height = NAME_WIDTH + cycles * CYCLE + 10, len(signals) * (HEIGHT + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'style="max-width:100%;height:auto;font:12px monospace;fill:currentColor"><title>{escape(title)}</title>'
    ]
    for row, signal in enumerate(signals):
        top, wave = GAP + row * (HEIGHT + GAP), signal.get("wave", "")
        if not wave:
            continue
        parts.append(text(NAME_WIDTH - 10, top + HEIGHT - 6, signal["name"], "end"))
        parts += [clock_path(len(wave), top)] if wave[0] == "p" else level_parts(wave, signal.get("data", ()), top)
        for place, kind in enumerate(wave):
            if kind == "|":
                middle = NAME_WIDTH + (place + 0.5) * CYCLE
                bend = (
                    f"M {middle - 4} {top + HEIGHT + 3} C {middle + 8} {top + 14} {middle - 8} {top + 8} {middle + 4} "
                )
                parts.append(f'<path style="{STYLE};stroke-dasharray:2 2" d="{bend}{top - 3}"/>')
    return "\n".join([*parts, "</svg>"])
