"""Functional coverage of an event engine, counted in the bursts of its source."""

from collections.abc import Callable

import numpy as np

from hw.coverage import ComputedRun, CoverPoint, total
from hw.engines.event.config import ProjectionConfig
from qblif.network.checks import IntArray
from qblif.network.graph import burst_range
from qblif.network.window import Axis
from qblif.streams import stream_beats

ROWS = {(0, 0): "middle", (1, 0): "top", (0, 1): "bottom", (1, 1): "top and bottom"}
COLUMNS = {(0, 0): "centre", (1, 0): "left", (0, 1): "right", (1, 1): "left and right"}


def scanner_points(name: str, projection: ProjectionConfig, run: ComputedRun) -> list[CoverPoint]:
    """Cover points of the bit-planes, beats, banks and windows of an engine of the layer ``name``; only bins that its
    shape allows."""
    network, source = run.network, projection.source
    bursts, largest = run.bursts[source], burst_range(network, source)[1]
    shape = (1, network.steps(source), *network.shape(source))
    every_plane = 2**projection.window.source.burst_bits - 1
    one_channel = np.zeros(shape, dtype=np.int64)
    one_channel[:, :, 0] = 1
    probes = [np.zeros(shape, dtype=np.int64), np.full(shape, every_plane), one_channel]
    points = []
    questions: dict[str, Callable[[IntArray, ProjectionConfig], tuple[list[str], IntArray]]] = {
        "planes": planes_scanned,
        "beats": beats_seen,
        "banks": banks_together,
        "windows": windows_seen,
    }
    for kind, question in questions.items():
        bins, hits = question(bursts, projection)
        there = np.any([question(probe, projection)[1].any(axis=0) for probe in probes], axis=0)
        shown = tuple(np.array(bins)[there].tolist())
        unreachable = {}
        if kind == "planes":
            reason = f"bursts of {source} are at most {largest}, by interval analysis"
            unreachable = {label: reason for label in shown if 2 ** int(label.split()[-1]) > largest}
        if shown:
            points.append(CoverPoint(place=name, kind=kind, bins=shown, hits=hits[:, there], unreachable=unreachable))
    return points


def set_planes(bursts: IntArray, projection: ProjectionConfig) -> IntArray:
    """Bit-planes that the source sends to each bank: 0 or 1, (inferences, beats, channels of a bank, banks, planes)."""
    source = projection.window.source
    beats = stream_beats(bursts, source)
    dealt = beats.reshape(*beats.shape[:2], source.group // projection.banks, projection.banks)
    return dealt[..., np.newaxis] >> np.arange(source.burst_bits) & 1


def planes_scanned(bursts: IntArray, projection: ProjectionConfig) -> tuple[list[str], IntArray]:
    """How often each bank scanned each bit-plane."""
    hits = set_planes(bursts, projection).sum(axis=(1, 2))
    bins = [f"bank {bank}, plane {plane}" for bank in range(hits.shape[1]) for plane in range(hits.shape[2])]
    return bins, hits.reshape(len(bursts), -1)


def banks_together(bursts: IntArray, projection: ProjectionConfig) -> tuple[list[str], IntArray]:
    """Beats with work for every bank, and beats on which one bank works longer than another."""
    work = set_planes(bursts, projection).sum(axis=(2, 4))
    if projection.banks == 1:
        return ["all work", "one waits for another"], np.zeros((len(bursts), 2), dtype=np.int64)
    least, most = work.min(axis=2), work.max(axis=2)
    return ["all work", "one waits for another"], np.stack([total(least > 0), total(least < most)], axis=1)


def beats_of_windows(bursts: IntArray, projection: ProjectionConfig) -> IntArray:
    """The sum of each beat of each accumulation: (inferences, rows, columns, accumulations, beats)."""
    window, merged = projection.window, projection.merged_steps
    source = window.source
    sums = stream_beats(bursts, source).sum(axis=2)
    sums = sums.reshape(len(bursts), source.height, source.width, source.folds, source.steps, source.beats)
    # kernel place, inference, row, column, fold, step, beat -> a window's beats in the order in which they arrive.
    seen = np.stack(list(window.window.views(sums))).transpose(1, 2, 3, 5, 0, 4, 6)
    return seen.reshape(len(bursts), window.height, window.width, source.steps // merged, -1)


def beats_seen(bursts: IntArray, projection: ProjectionConfig) -> tuple[list[str], IntArray]:
    """Beats with and without spikes, with separate counts for closing beats; accumulations without any spike."""
    seen = beats_of_windows(bursts, projection) > 0
    inner, closing, something = seen[..., :-1], seen[..., -1], np.max(seen, axis=-1)
    bins = ["empty", "with spikes", "closing empty", "closing with spikes", "sum of nothing"]
    parts = (~inner, inner, ~closing, closing, ~something)
    return bins, np.stack([total(part) for part in parts], axis=1)


def windows_seen(bursts: IntArray, projection: ProjectionConfig) -> tuple[list[str], IntArray]:
    """Windows with spikes in the middle and over each side and corner of the source, where they reach into padding."""
    window = projection.window
    rows = [sides(y, window.rows, window.source.height) for y in range(window.height)]
    columns = [sides(x, window.columns, window.source.width) for x in range(window.width)]
    any_spike = beats_of_windows(bursts, projection).any(axis=(3, 4))
    bins, hits = [], []
    for row, row_name in ROWS.items():
        for column, column_name in COLUMNS.items():
            here = np.outer([side == row for side in rows], [side == column for side in columns])
            bins.append(f"{row_name} {column_name}")
            hits.append((any_spike & here).sum(axis=(1, 2)))
    return bins, np.stack(hits, axis=1)


def sides(index: int, axis: Axis, extent: int) -> tuple[int, int]:
    """Whether window ``index`` along an axis reaches over the near side of the source, and over the far side."""
    return int(axis.start(index) < 0), int(axis.start(index) + axis.span > extent)
