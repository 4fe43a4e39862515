"""The integer form written as slowly and plainly as possible: one neuron, one synapse, one step at a time."""

from dataclasses import dataclass

import numpy as np

from hw.neurons.config import NeuronConfig
from qblif.network.graph import Network
from qblif.network.nodes import Pooling, Population
from qblif.network.projections import Conv2d, Dense, Skip


@dataclass
class ScalarRun:
    """One inference: bursts of every node (steps, C, H, W), last membranes of every population (C, H, W), logits."""

    bursts: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray]
    logits: list[int]


def both(value: int | tuple[int, int]) -> tuple[int, int]:
    """Of rows and of columns."""
    return value if isinstance(value, tuple) else (value, value)


def current(network: Network, target, bursts: dict[str, np.ndarray], t: int, c: int, y: int, x: int) -> int:
    """What enters one neuron at one timestep: weighted bursts, shifted, and its bias; skips unshifted."""
    total, skipped = 0, 0
    for projection in network.projections_into(target.name):
        steps = bursts[projection.source]
        source = steps[t if len(steps) > 1 else 0]
        if isinstance(projection, Skip):
            skipped += projection.weight * int(source[c, y, x])
        elif isinstance(projection, Dense):
            for weight, burst in zip(projection.weights[c].tolist(), source.reshape(-1).tolist(), strict=True):
                total += weight * burst
        else:
            assert isinstance(projection, Conv2d)
            outputs, channels, height, width = projection.weights.shape
            stride, padding, dilation = both(projection.stride), both(projection.padding), both(projection.dilation)
            first = c // (outputs // projection.groups) * channels
            for j, ky, kx in np.ndindex(channels, height, width):
                row = y * stride[0] - padding[0] + ky * dilation[0]
                column = x * stride[1] - padding[1] + kx * dilation[1]
                if 0 <= row < source.shape[1] and 0 <= column < source.shape[2]:
                    total += int(projection.weights[c, j, ky, kx]) * int(source[first + j, row, column])
    return total * 2 ** int(target.exponent[c]) + int(target.bias[c]) + skipped


def update(neuron: Population | NeuronConfig, current: int, membrane: int) -> tuple[int, int]:
    """Burst and next membrane of one neuron after one timestep."""
    unit = 2**neuron.fraction_bits
    potential = neuron.leak.multiplier * membrane // 2**neuron.leak.shift + current
    rounding = unit // 2 if neuron.rounding is None else neuron.rounding
    count = min(max((potential + rounding) // unit, 0), neuron.burst_ceiling)
    if neuron.reset == "hard":
        return count, 0 if count > 0 else potential
    return count, potential - count * unit


def fire(network: Network, population: Population, bursts: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Bursts (T, C, H, W) and last membranes (C, H, W) of one population."""
    fired = np.zeros((network.timesteps, *population.shape), dtype=np.int64)
    last = np.zeros(population.shape, dtype=np.int64)
    for c, y, x in np.ndindex(*population.shape):
        membrane = 0
        for t in range(network.timesteps):
            entering = current(network, population, bursts, t, c, y, x)
            fired[t, c, y, x], membrane = update(population, entering, membrane)
        last[c, y, x] = membrane
    return fired, last


def pool(network: Network, pooling: Pooling, source: np.ndarray) -> np.ndarray:
    """Sum or maximum of every window, (steps, C, H, W); what lies outside the source is 0."""
    kernel, padding = both(pooling.kernel), both(pooling.padding)
    stride = kernel if pooling.stride is None else both(pooling.stride)
    result = np.zeros((len(source), *network.shape(pooling.name)), dtype=np.int64)
    for t, c, y, x in np.ndindex(*result.shape):
        window = []
        for i, j in np.ndindex(*kernel):
            row, column = y * stride[0] - padding[0] + i, x * stride[1] - padding[1] + j
            inside = 0 <= row < source.shape[2] and 0 <= column < source.shape[3]
            window.append(int(source[t, c, row, column]) if inside else 0)
        result[t, c, y, x] = sum(window) if pooling.kind == "sum" else max(window)
    return result


def scalar_run(network: Network, bursts: np.ndarray) -> ScalarRun:
    """One inference of any network from its input bursts (steps, C, H, W)."""
    result = ScalarRun(bursts={network.input.name: np.asarray(bursts)}, membranes={}, logits=[])
    for node in network.nodes:
        if isinstance(node, Pooling):
            result.bursts[node.name] = pool(network, node, result.bursts[node.source])
        else:
            result.bursts[node.name], result.membranes[node.name] = fire(network, node, result.bursts)
    for c in range(len(network.readout.bias)):
        parts = [current(network, network.readout, result.bursts, t, c, 0, 0) for t in range(network.timesteps)]
        result.logits.append(sum(parts))
    return result
