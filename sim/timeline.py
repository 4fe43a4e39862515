"""Which layer works when, and which bursts leave it, from the logs of a simulated run."""

from pathlib import Path
from typing import Any

import numpy as np

from hw.configuration import TopConfig
from hw.stages.stage import Stage
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.streams import BurstStream, stream_beats
from sim.compare import fields, read_log
from sim.inferences import Outcome
from sim.spans import HELD_BACK, MOVING, STARVED, WORKING, read_spans, shares, spans_path

COLUMNS, MOST_ROWS = 240, 64
"""Columns of every strip, and rows of the tallest raster plot."""
DIGITS = 9
SILENT, NOTHING = "0", "."
"""Signs of cells of a raster plot in which no neuron fired, and from which no beat came."""


def timeline(config: TopConfig, network: Network, outcome: Outcome) -> dict[str, Any]:
    """Work, stalls and bursts of every stage in a run with spans, from the first beat accepted to the last class.

    Shares are those of the cycles of each column.
    """
    begin, end = int(outcome.started[0]), int(outcome.comparison.class_cycles[-1]) + 1
    edges = np.linspace(begin, end, min(COLUMNS, end - begin) + 1).astype(np.int64)
    return {
        "name": outcome.mode.name,
        "begin": begin,
        "end": end,
        "accepted": outcome.started.tolist(),
        "left": outcome.comparison.class_cycles.tolist(),
        "stages": [stage_row(network, stage, outcome.folder, edges) for stage in config.stages],
    }


def stage_row(network: Network, stage: Stage, folder: Path, edges: IntArray) -> dict[str, Any]:
    """A stage in a run: it works while one of its engines does, or, without engines, while it takes beats."""
    arriving = read_spans(spans_path(folder, f"flow_arriving_{stage.name}"))
    engines = [read_spans(spans_path(folder, f"working_{worker}")) == WORKING for worker in stage.workers]
    works = np.any(engines, axis=0) if engines else arriving == MOVING
    whole = edges[[0, -1]]
    row: dict[str, Any] = {"name": stage.name, "raster": None}
    for key, states, state in (
        ("works", works.astype(np.int64), WORKING),
        ("held_back", arriving, HELD_BACK),
        ("starved", arriving, STARVED),
    ):
        row |= {key: shares(states, state, edges), f"{key}_share": shares(states, state, whole)[0]}
    if stage.output is not None:
        row["raster"] = raster(network, stage.name, stage.output, folder, edges)
    return row


def raster(network: Network, name: str, stream: BurstStream, folder: Path, edges: IntArray) -> dict[str, Any]:
    """The bursts that left a node: rows of channels, columns of cycles; a digit is the mean burst, 9 the largest."""
    log = read_log(folder / f"tap_{name}.log")
    bursts = fields(log.payloads, stream.group, stream.burst_bits, is_signed=False)
    channels = beat_channels(network, name, stream)
    owners = np.tile(channels, (-(-len(bursts) // len(channels)), 1))[: len(bursts)]
    count = int(channels.max()) + 1
    rows = min(count, MOST_ROWS)
    inside = (log.cycles >= edges[0]) & (log.cycles < edges[-1])
    columns = np.searchsorted(edges, log.cycles, side="right") - 1
    row, column = owners * rows // count, np.broadcast_to(columns[:, np.newaxis], owners.shape)
    known = (owners >= 0) & inside[:, np.newaxis]
    sums, beats = np.zeros((rows, len(edges) - 1)), np.zeros((rows, len(edges) - 1))
    np.add.at(sums, (row[known], column[known]), bursts[known])
    np.add.at(beats, (row[known], column[known]), 1)
    means = sums / np.maximum(beats, 1) / network.burst_ceiling(name)
    digits = np.ceil(means * DIGITS).astype(np.int64)
    lines = [
        "".join(str(digit) if seen else NOTHING for digit, seen in zip(line, taken, strict=True))
        for line, taken in zip(digits, beats, strict=True)
    ]
    fired = int((bursts[known] > 0).sum())
    return {"channels": count, "sent": int(known.sum()), "fired": fired, "lines": lines}


def beat_channels(network: Network, name: str, stream: BurstStream) -> IntArray:
    """The channel of every burst of every beat of a frame, (beats, group); -1 for those that fill up a beat."""
    shape = network.shape(name)
    neurons = np.arange(int(np.prod(shape))).reshape(shape)
    channels = (
        neurons if stream.height * stream.width == 1 else np.broadcast_to(np.arange(shape[0])[:, None, None], shape)
    )
    # Beats are filled up with 0, so that channels begin with 1 here.
    known = np.broadcast_to(channels + 1, (1, stream.timesteps, *shape))
    return stream_beats(known, stream)[0] - 1
