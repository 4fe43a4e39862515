"""How far a node is ahead of another: what must have been sent before a row of it can be sent."""

from collections.abc import Callable, Sequence

RowsAhead = Callable[[int], int]
"""From a row of one node to the number of rows of another that must have been sent before it."""


def furthest(paths: Sequence[RowsAhead]) -> RowsAhead:
    """The path that asks for most."""
    return lambda row: max(path(row) for path in paths)
