"""What a report says of the network itself: its graph, its weights and the bursts of its reference inputs."""

from typing import Any

import numpy as np

from gen.planning.activity import Activity
from qblif import golden
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.network.nodes import Pooling, Population
from qblif.network.projections import Dense, Projection, Skip
from qblif.network.references import ReferenceVectors
from qblif.network.window import Window

MOST_BARS = 64
"""Bars of a histogram; values side by side share one if there are more of them."""


def network_graph(network: Network) -> dict[str, Any]:
    """The nodes in order and the edges between them; words are for people, everything else for programs."""
    spec = network.input
    nodes = [node_row(network, spec.name, "input", spec.burst_ceiling, f"{spec.bits} bits, {spec.coding}")]
    edges = []
    for node in network.nodes:
        if isinstance(node, Population):
            words = f"{node.reset} reset, leak {node.leak.multiplier}/{2**node.leak.shift}"
            nodes.append(node_row(network, node.name, "population", node.burst_ceiling, words))
        else:
            ceiling = network.burst_ceiling(node.name)
            nodes.append(
                node_row(network, node.name, "pooling", ceiling, f"{node.kind} of {window_words(node.window)}")
            )
        edges += edge_rows(network, node.name)
    nodes.append(node_row(network, network.readout.name, "readout", None, "sums over all timesteps, then a maximum"))
    edges += edge_rows(network, network.readout.name)
    return {"timesteps": network.timesteps, "mode": network.mode, "nodes": nodes, "edges": edges}


def node_row(network: Network, name: str, kind: str, ceiling: int | None, words: str) -> dict[str, Any]:
    """One node: its shape (channels, height, width), and the largest burst that it sends, if it sends any."""
    shape = network.readout.shape if name == network.readout.name else network.shape(name)
    return {"name": name, "kind": kind, "shape": list(shape), "burst_ceiling": ceiling, "words": words}


def edge_rows(network: Network, target: str) -> list[dict[str, Any]]:
    """Everything that leads into a node."""
    node = network.staged(target)
    if isinstance(node, Pooling):
        return [{"source": node.source, "target": target, "kind": "pooling", "recurrent": False, "words": node.kind}]
    return [
        {
            "source": one.source,
            "target": target,
            "kind": one.kind,
            "recurrent": one.recurrent,
            "words": projection_words(one),
        }
        for one in network.projections_into(target)
    ]


def projection_words(projection: Projection) -> str:
    """What a projection does."""
    if isinstance(projection, Skip):
        return f"identity, times {projection.weight}"
    if isinstance(projection, Dense):
        return f"dense, {projection.weights.shape[1]} to {projection.weights.shape[0]}"
    groups = f", {projection.groups} groups" if projection.groups > 1 else ""
    return f"convolution of {window_words(projection.window((0, 0)))}{groups}"


def window_words(window: Window) -> str:
    """A window that slides: its kernel, and its stride, padding and dilation where they are not the usual ones."""
    words = [" x ".join(map(str, window.kernel))]
    parts = {"stride": (window.stride, 1), "padding": (window.padding, 0), "dilation": (window.dilation, 1)}
    for name, (found, usual) in parts.items():
        if set(found) != {usual}:
            words.append(f"{name} {' x '.join(map(str, dict.fromkeys(found)))}")
    return ", ".join(words)


def weight_counts(network: Network) -> list[dict[str, Any]]:
    """How often every weight occurs, for each projection with weights."""
    rows = []
    for target in network.targets:
        for projection in network.weighted_projections(target.name):
            bits, weights = projection.weight_bits, projection.weights
            lowest = -(2 ** (bits - 1))
            rows.append(
                {
                    "source": projection.source,
                    "target": target.name,
                    "bits": bits,
                    "zeros": int((weights == 0).sum()),
                    **histogram(weights.reshape(-1), lowest, 2**bits),
                }
            )
    return rows


def histogram(values: IntArray, lowest: int, different: int) -> dict[str, Any]:
    """Counts of ``step`` neighbouring values each, from ``lowest`` on, for ``different`` possible values."""
    step = -(-different // MOST_BARS)
    counts = np.bincount((values - lowest) // step, minlength=-(-different // step))
    return {"lowest": lowest, "step": step, "counts": counts.tolist()}


def burst_counts(network: Network, vectors: ReferenceVectors, activity: Activity) -> list[dict[str, Any]]:
    """How often every burst occurs in the reference inputs, and the recorded activity: mean set bit-planes of a neuron
    at each timestep. Empty counts without references, and no activity where none was measured."""
    samples = vectors.samples[: golden.at_once(network)]
    found = golden.run(network, encode(samples, network.input)).bursts if len(samples) else {}
    rows = []
    for name in (network.input.name, *(node.name for node in network.nodes)):
        neurons = int(np.prod(network.shape(name)))
        bursts = found[name].numpy().reshape(-1) if name in found else np.empty(0, dtype=np.int64)
        rows.append(
            {
                "node": name,
                **histogram(bursts, 0, network.burst_ceiling(name) + 1),
                "planes": [round(planes / neurons, 4) for planes in activity.get(name, [])],
            }
        )
    return rows
