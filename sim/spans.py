"""In which cycles an engine works and a stream moves, as the simulated network recorded it."""

from pathlib import Path

import numpy as np

from qblif.network.checks import IntArray

IDLE, STARVED, HELD_BACK, MOVING = range(4)
"""States of a stream: nothing, ready without valid, valid without ready, both."""
WORKING = 1
"""The state of an engine that works; otherwise it is 0."""


def spans_path(folder: Path, name: str) -> Path:
    """The log of the changes of ``name``, an engine's work or a stream, in the folder of a run."""
    return folder / f"spans_{name}.log"


def read_spans(path: Path) -> IntArray:
    """The state in every cycle of a run, (cycles,); raises ValueError if the recorder did not close its log."""
    words = path.read_text().split()
    if words[-1:] != ["end"]:
        raise ValueError(f"{path} is incomplete")
    begins = np.array([0, *words[::2]], dtype=np.int64)
    states = np.array([0, *words[1:-1:2]], dtype=np.int64)
    return np.repeat(states, np.diff(begins))


def shares(states: IntArray, state: int, edges: IntArray) -> list[float]:
    """The share of cycles in ``state`` between neighbouring ``edges``, which are cycles in ascending order."""
    until = np.concatenate([[0], np.cumsum(states == state)])
    known = np.minimum(edges, len(states))
    return [round(float(share), 3) for share in np.diff(until[known]) / np.maximum(1, np.diff(edges))]
