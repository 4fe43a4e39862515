"""Functional coverage of a window engine, counted in the bursts of its source."""

import numpy as np

from hw.coverage import ComputedRun, CoverPoint
from hw.engines.window.config import ConstantConfig
from qblif.network.graph import burst_range


def slice_points(name: str, engine: ConstantConfig, run: ComputedRun) -> list[CoverPoint]:
    """Cover points of an engine of the layer ``name``: every bit-plane of the source's bursts, and timesteps in which
    no neuron, one or several of them fired."""
    network, source = run.network, engine.source
    bursts, largest = run.bursts[source], burst_range(network, source)[1]
    planes = range(engine.arriving.burst_bits)
    hits = np.stack([(bursts >> plane & 1).reshape(len(bursts), -1).sum(axis=1) for plane in planes], axis=1)
    reason = f"bursts of {source} are at most {largest}, by interval analysis"
    bins = tuple(f"plane {plane}" for plane in planes)
    unreachable = {label: reason for plane, label in enumerate(bins) if 2**plane > largest}
    fired = (bursts > 0).reshape(*bursts.shape[:2], -1).sum(axis=2)
    counts = np.stack([(fired == 0).sum(axis=1), (fired == 1).sum(axis=1), (fired > 1).sum(axis=1)], axis=1)
    shown = 2 if np.prod(bursts.shape[2:]) == 1 else 3
    return [
        CoverPoint(place=name, kind="planes", bins=bins, hits=hits, unreachable=unreachable),
        CoverPoint(place=name, kind="timesteps", bins=("silent", "one", "several")[:shown], hits=counts[:, :shown]),
    ]
