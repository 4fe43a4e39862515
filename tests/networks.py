"""Random integer networks and plans for tests."""

import dataclasses
import math
from itertools import pairwise

import numpy as np

from boards.catalogue import find_board
from gen.plan import make_plan
from hw.network import Dense, InputSpec, Leak, Network, Population, Readout
from hw.plan import Plan


def random_network(
    seed: int,
    *,
    sizes: tuple[int, ...] = (12, 8, 5),
    timesteps: int = 3,
    burst_ceiling: int = 3,
    weight_bits: int = 4,
    input_bits: int = 2,
    leak: tuple[int, int] = (1, 1),
    reset: str = "soft",
    coding: str = "direct",
) -> Network:
    """A chain of dense layers; the last of ``sizes`` is the number of classes."""
    random = np.random.default_rng(seed)
    limit = 2 ** (weight_bits - 1)
    nodes, projections, source = [], [], "input"
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        name = "readout" if last else f"hidden_{index}"
        weights = random.integers(-limit, limit, (outputs, inputs))
        projections.append(Dense(source=source, target=name, weights=weights, weight_bits=weight_bits))
        bias, exponent = random.integers(-40, 60, outputs), random.integers(0, 3, outputs)
        if last:
            readout = Readout(fraction_bits=4, bias=bias, exponent=exponent)
        else:
            nodes.append(
                Population(
                    name=name,
                    shape=(outputs, 1, 1),
                    fraction_bits=5,
                    burst_ceiling=burst_ceiling,
                    leak=Leak(multiplier=leak[0], shift=leak[1]),
                    reset=reset,
                    bias=bias,
                    exponent=exponent,
                )
            )
        source = name
    return Network(
        timesteps=timesteps,
        input=InputSpec(shape=(sizes[0], 1, 1), coding=coding, bits=input_bits),
        nodes=tuple(nodes),
        projections=tuple(projections),
        readout=readout,
    )


def plan_for(network: Network, board: str = "arty_a7", **changes: dict[str, int]) -> Plan:
    """The planner's plan, with fields of single layers replaced: ``plan_for(net, hidden_0={"lanes": 4})``."""
    plan = make_plan(network, find_board(board), 100.0, "0" * 64, {})
    channels = {target.name: target.shape[0] for target in (*network.nodes, network.readout)}
    layers = []
    for layer in plan.layers:
        fields = dict(changes.get(layer.name, {}))
        lanes = fields.get("lanes", layer.lanes)
        layers.append(dataclasses.replace(layer, **fields, folds=math.ceil(channels[layer.name] / lanes)))
    return dataclasses.replace(plan, layers=tuple(layers))


def random_bursts(network: Network, count: int, seed: int = 0, density: float = 0.5) -> np.ndarray:
    """Input bursts (count, steps, C, H, W), the given share of them not 0."""
    random = np.random.default_rng(seed)
    shape = (count, network.steps("input"), *network.input.shape)
    bursts = random.integers(0, network.input.burst_ceiling + 1, shape)
    return np.where(random.random(shape) < density, bursts, 0)
