"""Grids of coloured cells, drawn as few paths: floorplans, raster plots and strips of time."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from gen.page.html import Markup, tag

Cell = tuple[str, int] | None
"""Colour class and level of a cell, from 1, the palest; None for a cell that is not drawn."""
LEVELS = 3


def level_of(share: float) -> int:
    """The level of a share from 0 to 1; 0 for nothing."""
    return min(LEVELS, int(share * LEVELS) + 1) if share > 0 else 0


def cells(rows: Iterable[Sequence[Cell]]) -> list[Markup]:
    """One path for each colour and level, of horizontal runs of cells that are one unit wide and high."""
    paths: dict[tuple[str, int], list[str]] = {}
    for y, row in enumerate(rows):
        x = 0
        for cell, run in groupby(row):
            length = len(list(run))
            if cell is not None:
                paths.setdefault(cell, []).append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    return [
        tag("path", d="".join(runs), class_=f"fill level-{level} {colour}")
        for (colour, level), runs in sorted(paths.items())
    ]
