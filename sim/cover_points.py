"""The questions of functional coverage about one network, put to the bursts, membranes and logits of a run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gen.planning.widths import LayerBounds, layer_bounds
from hw.configuration import NeuronConfig, ProjectionConfig, TopConfig
from qblif.golden import Activations, advance, currents
from qblif.network.bounds import Interval
from qblif.network.checks import IntArray
from qblif.network.graph import Network
from qblif.network.nodes import Pooling, Population
from qblif.streams import stream_beats
from sim.coverage import CoverPoint

ROWS = {(0, 0): "middle", (1, 0): "top", (0, 1): "bottom", (1, 1): "top and bottom"}
COLUMNS = {(0, 0): "centre", (1, 0): "left", (0, 1): "right", (1, 1): "left and right"}


def cover(config: TopConfig, network: Network, activations: Activations) -> list[CoverPoint]:
    """Every question but those about the flow of streams, with the hits of each inference."""
    bursts = {name: values.numpy() for name, values in activations.bursts.items()}
    points = [extremes(network, bursts[network.input.name])]
    points += [burst_values(network, name, values) for name, values in bursts.items()]
    for node in network.nodes:
        if isinstance(node, Pooling):
            points += pooled_windows(network, node, bursts[node.source])
    for name, neurons, _ in config.populations:
        population = network.node(name)
        assert isinstance(population, Population)
        points += neuron_points(network, population, neurons, activations)
    for layer in config.layers:
        points += scanner_points(network, layer.name, layer.projection, bursts[layer.projection.source])
    return [*points, *class_points(network, activations)]


def extremes(network: Network, bursts: IntArray) -> CoverPoint:
    """Whether an input was silent, and whether one had every burst at its ceiling."""
    flat = bursts.reshape(len(bursts), -1)
    hits = np.stack([(flat == 0).all(axis=1), (flat == network.input.burst_ceiling).all(axis=1)], axis=1)
    bins = ("silent", "every burst at its ceiling")
    return CoverPoint(place=network.input.name, kind="extremes", bins=bins, hits=hits.astype(np.int64))


def burst_values(network: Network, name: str, bursts: IntArray) -> CoverPoint:
    """Every burst value of a node at every timestep that its stream carries."""
    steps, ceiling = network.steps(name), network.burst_ceiling(name)
    values = bursts.reshape(len(bursts), steps, -1)
    hits = np.stack([(values == burst).sum(axis=2) for burst in range(ceiling + 1)], axis=2)
    bins, unreachable = [], {}
    for step in range(steps):
        low, high = burst_range(network, name, first_step=step == 0)
        for burst in range(ceiling + 1):
            bins.append(f"{burst} at t = {step + 1}" if steps > 1 else str(burst))
            if not low <= burst <= high:
                unreachable[bins[-1]] = f"bursts are {low} to {high} for every input, by interval analysis"
    return CoverPoint(
        place=name, kind="bursts", bins=tuple(bins), hits=hits.reshape(len(bursts), -1), unreachable=unreachable
    )


def burst_range(network: Network, name: str, *, first_step: bool = False) -> tuple[int, int]:
    """Bounds of the bursts of a node, of those of the first timestep alone where that is asked for."""
    node = network.node(name)
    if isinstance(node, Population):
        bounds = layer_bounds(network, node)
        bursts = bursts_of(bounds.current if first_step else bounds.potential, node)
        return int(bursts.low.min()), int(bursts.high.max())
    if isinstance(node, Pooling):
        low, high = burst_range(network, node.source, first_step=first_step)
        windows = node.kernel**2 if node.kind == "sum" else 1
        return low * windows, high * windows
    return 0, node.burst_ceiling


def bursts_of(potential: Interval, population: Population) -> Interval:
    """Bounds of the bursts of every channel."""
    half, fraction = 1 << population.fraction_bits - 1, population.fraction_bits
    return Interval(
        low=np.clip((potential.low + half) >> fraction, 0, population.burst_ceiling),
        high=np.clip((potential.high + half) >> fraction, 0, population.burst_ceiling),
    )


def pooled_windows(network: Network, pooling: Pooling, bursts: IntArray) -> list[CoverPoint]:
    """Where the maximum of a window stood, whether it stood there alone; whether dropped rows and columns fired."""
    size, count = pooling.kernel, len(bursts)
    channels, height, width = network.shape(pooling.source)
    rows, columns = height // size, width // size
    points = []
    if pooling.kind == "max":
        kept = bursts[..., : rows * size, : columns * size]
        windows = kept.reshape(count, -1, channels, rows, size, columns, size).transpose(0, 1, 2, 3, 5, 4, 6)
        windows = windows.reshape(count, -1, size * size)
        largest = windows.max(axis=2)
        at_largest = windows == largest[:, :, np.newaxis]
        alone = (at_largest.sum(axis=2) == 1)[:, :, np.newaxis] & at_largest
        tied = (at_largest.sum(axis=2) > 1) & (largest > 0)
        hits = np.concatenate([alone.sum(axis=1), np.stack([tied.sum(axis=1), (largest == 0).sum(axis=1)], 1)], 1)
        places = [f"row {row}, column {column} alone" for row in range(size) for column in range(size)]
        points.append(CoverPoint(place=pooling.name, kind="maxima", bins=(*places, "tied", "all 0"), hits=hits))
    dropped = {"a row": bursts[..., rows * size :, :], "a column": bursts[..., columns * size :]}
    dropped = {name: part for name, part in dropped.items() if part.size}
    if dropped:
        hits = np.stack([(part > 0).reshape(count, -1).sum(axis=1) for part in dropped.values()], axis=1)
        points.append(CoverPoint(place=pooling.name, kind="dropped", bins=tuple(dropped), hits=hits))
    return points


def neuron_points(
    network: Network, population: Population, neurons: NeuronConfig, activations: Activations
) -> list[CoverPoint]:
    """Clamps, membranes, and which channels and folds fired, of one population."""
    name, bounds = population.name, layer_bounds(network, population)
    half, unit = 1 << population.fraction_bits - 1, 1 << population.fraction_bits
    saturated = population.burst_ceiling * unit + half
    steps = list(advance(currents(network, population, activations.bursts), population, network.timesteps))
    potentials = torch.stack([potential for potential, _, _ in steps], dim=1).numpy()
    clamped = np.stack([total(potentials < -half), total(potentials >= saturated)], axis=1)
    fired = (activations.bursts[name].numpy() > 0).sum(axis=(1, 3, 4))
    dead = bursts_of(bounds.potential, population).high == 0
    channels = tuple(str(channel) for channel in range(population.shape[0]))
    silent = dict.fromkeys(np.array(channels)[dead], "its bursts are 0 for every input, by interval analysis")
    folds = np.arange(len(channels)) // neurons.lanes
    points = [
        CoverPoint(
            place=name,
            kind="clamps",
            bins=("at 0", "at K"),
            hits=clamped,
            unreachable=unclamped(bounds, -half, saturated),
        ),
        CoverPoint(place=name, kind="channels", bins=channels, hits=fired, unreachable=silent),
        CoverPoint(
            place=name,
            kind="folds",
            bins=tuple(str(fold) for fold in range(neurons.folds)),
            hits=np.stack([fired[:, folds == fold].sum(axis=1) for fold in range(neurons.folds)], axis=1),
            unreachable={
                str(fold): "none of its channels can fire" for fold in range(neurons.folds) if dead[folds == fold].all()
            },
        ),
        membrane_signs(name, "last membranes", activations.membranes[name].numpy(), bounds),
    ]
    if len(steps) > 1 and population.leak.multiplier:
        carried = torch.stack([membrane for _, _, membrane in steps[:-1]], dim=1).numpy()
        points.append(membrane_signs(name, "carried membranes", carried, bounds))
    return points


def total(places: NDArray[Any]) -> IntArray:
    """How often something holds in each inference."""
    return places.reshape(len(places), -1).sum(axis=1)


def unclamped(bounds: LayerBounds, lowest: int, saturated: int) -> dict[str, str]:
    """The clamps that no potential needs."""
    low, high = int(bounds.potential.low.min()), int(bounds.potential.high.max())
    reason = f"potentials are {low} to {high} for every input, by interval analysis"
    return {name: reason for name, needed in (("at 0", low < lowest), ("at K", high >= saturated)) if not needed}


def membrane_signs(name: str, kind: str, membranes: IntArray, bounds: LayerBounds) -> CoverPoint:
    """Negative and positive membranes: those carried into the next timestep, or left when an inference is over."""
    low, high = int(bounds.membrane.low.min()), int(bounds.membrane.high.max())
    reason = f"membranes are {low} to {high} for every input, by interval analysis"
    return CoverPoint(
        place=name,
        kind=kind,
        bins=("negative", "positive"),
        hits=np.stack([total(membranes < 0), total(membranes > 0)], axis=1),
        unreachable={sign: reason for sign, there in (("negative", low < 0), ("positive", high > 0)) if not there},
    )


def scanner_points(network: Network, name: str, projection: ProjectionConfig, bursts: IntArray) -> list[CoverPoint]:
    """Bit-planes, beats, banks and windows of one layer; only bins that the layer's shape has."""
    source = projection.source
    shape, largest = (1, network.steps(source), *network.shape(source)), burst_range(network, source)[1]
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
    """Beats with work for every bank, and beats for which one bank works longer than another."""
    work = set_planes(bursts, projection).sum(axis=(2, 4))
    if projection.banks == 1:
        return ["all work", "one waits for another"], np.zeros((len(bursts), 2), dtype=np.int64)
    least, most = work.min(axis=2), work.max(axis=2)
    return ["all work", "one waits for another"], np.stack([total(least > 0), total(least < most)], axis=1)


def beats_of_windows(bursts: IntArray, projection: ProjectionConfig) -> IntArray:
    """The sum of each beat of each accumulation: (inferences, rows, columns, accumulations, beats)."""
    window, merged = projection.window, projection.merged_steps
    source, stride = window.source, window.stride
    sums = stream_beats(bursts, source).sum(axis=2)
    sums = sums.reshape(len(bursts), source.height, source.width, source.folds, source.steps, source.beats)
    around = (window.padding, window.padding)
    sums = np.pad(sums, ((0, 0), around, around, (0, 0), (0, 0), (0, 0)))
    looks = []
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            below = slice(row, row + stride * (window.height - 1) + 1, stride)
            beside = slice(column, column + stride * (window.width - 1) + 1, stride)
            looks.append(sums[:, below, beside])
    # kernel place, inference, row, column, fold, step, beat -> a window's beats in the order in which they arrive.
    seen = np.stack(looks).transpose(1, 2, 3, 5, 0, 4, 6)
    return seen.reshape(len(bursts), window.height, window.width, source.steps // merged, -1)


def beats_seen(bursts: IntArray, projection: ProjectionConfig) -> tuple[list[str], IntArray]:
    """Beats with spikes and without, those that close an accumulation apart; accumulations of nothing."""
    seen = beats_of_windows(bursts, projection) > 0
    inner, closing, something = seen[..., :-1], seen[..., -1], np.max(seen, axis=-1)
    bins = ["empty", "with spikes", "closing empty", "closing with spikes", "sum of nothing"]
    parts = (~inner, inner, ~closing, closing, ~something)
    return bins, np.stack([total(part) for part in parts], axis=1)


def windows_seen(bursts: IntArray, projection: ProjectionConfig) -> tuple[list[str], IntArray]:
    """Windows with spikes in the middle and over each side and corner of the source, where padding enters."""
    window = projection.window
    rows = [sides(y, window.kernel[0], window.source.height, projection) for y in range(window.height)]
    columns = [sides(x, window.kernel[1], window.source.width, projection) for x in range(window.width)]
    any_spike = beats_of_windows(bursts, projection).any(axis=(3, 4))
    bins, hits = [], []
    for row, row_name in ROWS.items():
        for column, column_name in COLUMNS.items():
            here = np.outer([side == row for side in rows], [side == column for side in columns])
            bins.append(f"{row_name} {column_name}")
            hits.append((any_spike & here).sum(axis=(1, 2)))
    return bins, np.stack(hits, axis=1)


def sides(index: int, kernel: int, extent: int, projection: ProjectionConfig) -> tuple[int, int]:
    """Whether window ``index`` along an axis lies over the near side of the source, and over the far side."""
    start = index * projection.window.stride - projection.window.padding
    return int(start < 0), int(start + kernel > extent)


def class_points(network: Network, activations: Activations) -> list[CoverPoint]:
    """Which class won, and whether another had the same logit."""
    logits = activations.logits.numpy()
    classes = np.arange(logits.shape[1])
    won = activations.classes.numpy()[:, np.newaxis] == classes
    tied = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1) > 1
    bounds = layer_bounds(network, network.readout).current
    losers = {
        str(label): "another class's logit is larger for every input, by interval analysis"
        for label in classes
        if bounds.high[label] < bounds.low.max()
    }
    return [
        CoverPoint(
            place="readout",
            kind="class",
            bins=tuple(str(label) for label in classes),
            hits=won.astype(np.int64),
            unreachable=losers,
        ),
        CoverPoint(
            place="readout",
            kind="first place",
            bins=("alone", "tied"),
            hits=np.stack([~tied, tied], 1).astype(np.int64),
        ),
    ]
