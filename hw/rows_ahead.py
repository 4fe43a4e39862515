"""How far one node is ahead of another: how many of its rows must have been sent before the other can send a row."""

from collections.abc import Callable, Sequence

RowsAhead = Callable[[int], int]
"""Maps a row of one node to the number of rows of another that must have been sent before it."""


def furthest(paths: Sequence[RowsAhead]) -> RowsAhead:
    """For each row, the largest number that any of ``paths`` requires."""
    return lambda row: max(path(row) for path in paths)
