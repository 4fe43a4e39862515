"""The integer form written as slowly and plainly as possible: one neuron, one synapse, one step at a time."""

from dataclasses import dataclass

import numpy as np

from hw.neurons.config import NeuronConfig
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Skip


@dataclass
class ScalarRun:
    """One inference: bursts of every node (steps, C, H, W), states of every population after every timestep
    (T, fields, C, H, W), and the readout's result after every timestep."""

    bursts: dict[str, np.ndarray]
    states: dict[str, np.ndarray]
    results: list[list[int]]

    @property
    def membranes(self) -> dict[str, np.ndarray]:
        """Last membranes of every population (C, H, W)."""
        return {name: states[-1, 0] for name, states in self.states.items()}

    @property
    def logits(self) -> list[int]:
        """The result at the end."""
        return self.results[-1]


def both(value: int | tuple[int, int]) -> tuple[int, int]:
    """Of rows and of columns."""
    return value if isinstance(value, tuple) else (value, value)


def current(network: Network, target, bursts: dict[str, np.ndarray], t: int, c: int, y: int, x: int) -> int:
    """What enters one neuron at one timestep: weighted bursts, shifted, and its bias; skips unshifted."""
    total, skipped = 0, 0
    for projection in network.projections_into(target.name):
        steps = bursts[projection.source]
        source = steps[t if len(steps) > 1 else 0]
        if projection.recurrent:
            source = steps[t - 1] if t else np.zeros_like(steps[0])
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


def leaked(value: int, leak: Leak) -> int:
    """A state after its leak, rounded down."""
    return leak.multiplier * value // 2**leak.shift


def limited(value: int, limits: tuple[int, int] | None) -> int:
    """A state inside its limits."""
    return value if limits is None else min(max(value, limits[0]), limits[1])


def update(neuron: Population | NeuronConfig, current: int, membrane: int) -> tuple[int, int]:
    """Burst and next membrane of one neuron after one timestep."""
    unit = 2**neuron.fraction_bits
    potential = leaked(membrane, neuron.leak) + current
    rounding = unit // 2 if neuron.rounding is None else neuron.rounding
    count = min(max((potential + rounding) // unit, 0), neuron.burst_ceiling)
    cleared = neuron.reset == "hard" and count > 0
    after = 0 if cleared else potential
    if neuron.reset == "soft":
        after = potential - count * unit
    return count, limited(after, neuron.membrane_limits)


def advance(neuron: Population | NeuronConfig, current: int, state: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """Burst and next membrane and synaptic current of one neuron; the latter stays 0 without a synaptic current."""
    membrane, synaptic = state
    if neuron.current_leak is not None:
        synaptic = limited(leaked(synaptic, neuron.current_leak) + current, neuron.current_limits)
        current = synaptic
    count, membrane = update(neuron, current, membrane)
    return count, (membrane, synaptic)


def integrate(readout: Readout, entering: list[int]) -> list[int]:
    """The result of one class after every timestep."""
    total, results = 0, list[int]()
    for value in entering:
        total = limited((total if readout.leak is None else leaked(total, readout.leak)) + value, readout.limits)
        results.append(max([total, *results[-1:]]) if readout.maximum else total)
    return results


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
    bursts = np.asarray(bursts)
    steps = network.timesteps if network.input.coding == "direct" else len(bursts)
    result = ScalarRun(bursts={network.input.name: bursts}, states={}, results=[])
    for population in network.populations:
        fields = 1 if population.current_leak is None else 2
        result.bursts[population.name] = np.zeros((steps, *population.shape), dtype=np.int64)
        result.states[population.name] = np.zeros((steps, fields, *population.shape), dtype=np.int64)
    for t in range(steps):
        for node in network.nodes:
            if isinstance(node, Pooling):
                result.bursts[node.name] = pool(network, node, result.bursts[node.source])
                continue
            states = result.states[node.name]
            for place in np.ndindex(*node.shape):
                before = [int(value) for value in states[(t - 1, slice(None), *place)]] if t else [0, 0]
                entering = current(network, node, result.bursts, t, *place)
                count, after = advance(node, entering, (before[0], before[-1]))
                result.bursts[node.name][(t, *place)] = count
                states[(t, slice(None), *place)] = after[: states.shape[1]]
    classes = [
        integrate(network.readout, [current(network, network.readout, result.bursts, t, c, 0, 0) for t in range(steps)])
        for c in range(len(network.readout.bias))
    ]
    result.results = [list(each) for each in zip(*classes, strict=True)]
    return result
