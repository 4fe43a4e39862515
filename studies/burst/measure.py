"""Activity and cost of a trained network: its scales, bursts, operations, and the hardware that it would take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gen.design import Design, make_design
from gen.planning.candidates import evaluate_plan
from gen.planning.cycles import predict
from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.network.projections import Conv2d, Dense, Skip
from snn.datasets.data import Images
from snn.layers import SpikingLayer
from snn.tracing import node_names

Figures = dict[str, Any]
BOARD = "arty_a7"
CLOCK_MHZ = 100.0
"""The clock of all recorded runs, whatever the board's default is."""
RATE = 2_000.0
"""Inferences per second that the smallest design must reach."""
ADD_PJ_PER_BIT = 0.1 / 32
"""Energy of an integer addition, per bit: 0.1 pJ for 32 bits in 45 nm (Horowitz, ISSCC 2014, figure 1.1.9)."""
READ_PJ_PER_BIT = 10 / 64
"""Energy of reading from an 8 KiB memory, per bit: 10 pJ for 64 bits, from the same figure."""


def scales(model: nn.Module) -> dict[str, float]:
    """The scale s of every population, by its name in the graph."""
    layers = ((name, layer) for layer, name in node_names(model).items() if isinstance(layer, SpikingLayer))
    return {name: float(layer.neuron.scale.detach()) for name, layer in layers}


def activity_figures(network: Network, images: Images) -> Figures:
    """Bursts and operations per inference, by the golden model.

    ``histogram``: for every node, the share of its neurons and timesteps that send 0, 1, ... K.
    ``bursts``: sum of all burst counts of the populations. ``operations``: burst counts times the synapses that they
    reach. ``accumulates``: additions of one weight that the hardware makes, one for every set bit-plane.
    """
    result = golden.run(network, encode(images.pixels, network.input))
    count = len(images.labels)
    operations, accumulates, energy = 0, 0, 0.0
    for projection in network.projections:
        if isinstance(projection, Skip):
            continue
        bursts = result.bursts[projection.source]
        operations += golden.over_synapses(projection, bursts, network.burst_ceiling(projection.source))
        additions = golden.accumulates(projection, network, bursts)
        accumulates += additions
        energy += additions * energy_of_addition(network, projection)
    return {
        "histogram": {
            name: shares(result.bursts[name], network.burst_ceiling(name)) for name in (n.name for n in network.nodes)
        },
        "bursts": sum(int(result.bursts[node.name].sum()) for node in network.nodes) / count,
        "operations": operations / count,
        "accumulates": accumulates / count,
        "energy_nj": energy / count / 1000,
    }


def shares(bursts: Tensor, ceiling: int) -> list[float]:
    """The share of each count from 0 to ``ceiling`` among all bursts."""
    found = torch.bincount(bursts.flatten(), minlength=ceiling + 1)
    return [round(share, 6) for share in (found / found.sum()).tolist()]


def energy_of_addition(network: Network, projection: Dense | Conv2d) -> float:
    """Energy in pJ of one accumulate: reading the weight and adding it in an accumulator as wide as the largest sum."""
    rows = np.abs(projection.weights.reshape(len(projection.weights), -1)).sum(axis=1)
    bits = int(rows.max() * network.burst_ceiling(projection.source)).bit_length() + 1
    return READ_PJ_PER_BIT * projection.weight_bits + ADD_PJ_PER_BIT * bits


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A kind of design to plan for a network: the fastest on 80 % of the board, or the smallest at a rate."""

    name: str
    target_fps: float | None


DESIGNS = (Wanted(name="fastest", target_fps=None), Wanted(name="smallest", target_fps=RATE))


def hardware_figures(path: Path, images: Images) -> Figures:
    """Cycles, LUTs, flip-flops and block RAMs of a checkpoint's network on BOARD; None if it does not fit."""
    figures: Figures = {}
    for wanted in DESIGNS:
        try:
            design = make_design(path, BOARD, clock_mhz=CLOCK_MHZ, target_fps=wanted.target_fps)
        except UserError:
            figures[wanted.name] = None
            continue
        figures[wanted.name] = design_figures(design, images)
    return figures


def design_figures(design: Design, images: Images) -> Figures:
    """Cycles per image, by the exact model, and resources, by the fitted model."""
    known = golden.run(design.network, encode(images.pixels, design.network.input))
    cycles = predict(design.config, {name: bursts.numpy() for name, bursts in known.bursts.items()})
    candidate = evaluate_plan(design.network, design.board, design.plan, design.origin.activity, design.inputs)
    totals = {key: round(candidate.total(key), 1) for key in ("lut", "ff", "bram")}
    return {"cycles": cycles.mean, "clock_mhz": design.plan.clock_mhz, **totals}
