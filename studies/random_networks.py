"""Networks with random weights: for the resource model of the sizes that people build, for coverage small ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from qblif import golden
from qblif.network.checks import IntArray, Shape
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Skip


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A network in a few words.

    Attributes:
        shape: (C, H, W) of the input.
        layers: channels of each layer: an int for a dense one, ``(channels, stride)`` for a 3x3 convolution,
            ``"pool"`` for 2x2 pooling, ``"residual"`` for two convolutions with an identity skip around them.
        pooling: what ``"pool"`` does.
    """

    name: str
    shape: Shape
    layers: Sequence[int | tuple[int, int] | Literal["pool", "residual"]]
    timesteps: int = 2
    burst_ceiling: int = 3
    weight_bits: int = 4
    input_bits: int = 4
    coding: Literal["direct", "events"] = "direct"
    leak: Leak = field(default_factory=Leak)
    reset: Literal["soft", "hard"] = "soft"
    pooling: Literal["sum", "max"] = "max"
    seed: int = 1


class Builder:
    """Adds layer after layer to a network with random integers."""

    def __init__(self, sketch: Sketch) -> None:
        self.sketch = sketch
        self.random = np.random.default_rng(sketch.seed)
        self.nodes: list[Population | Pooling] = []
        self.projections: list[Dense | Conv2d | Skip] = []
        self.source, self.shape = "input", sketch.shape

    def weights(self, *size: int) -> np.ndarray:
        limit = 2 ** (self.sketch.weight_bits - 1)
        return self.random.integers(-limit, limit, size)

    def populate(self, shape: Shape) -> str:
        """A population of ``shape``; returns its name."""
        sketch, name = self.sketch, f"layer_{len(self.nodes)}"
        self.nodes.append(
            Population(
                name=name,
                shape=shape,
                fraction_bits=6,
                burst_ceiling=sketch.burst_ceiling,
                leak=sketch.leak,
                reset=sketch.reset,
                bias=self.random.integers(-100, 100, shape[0]),
                exponent=self.random.integers(0, 3, shape[0]),
            )
        )
        self.source, self.shape = name, shape
        return name

    def convolve(self, channels: int, stride: int) -> None:
        source, before = self.source, self.shape
        height, width = ((extent + 2 - 3) // stride + 1 for extent in before[1:])
        weights = self.weights(channels, before[0], 3, 3)
        target = self.populate((channels, height, width))
        self.projections.append(
            Conv2d(
                source=source,
                target=target,
                weights=weights,
                weight_bits=self.sketch.weight_bits,
                stride=stride,
                padding=1,
            )
        )

    def dense(self, neurons: int) -> None:
        source, weights = self.source, self.weights(neurons, int(np.prod(self.shape)))
        target = self.populate((neurons, 1, 1))
        bits = self.sketch.weight_bits
        self.projections.append(Dense(source=source, target=target, weights=weights, weight_bits=bits))

    def pool(self) -> None:
        name = f"layer_{len(self.nodes)}"
        self.nodes.append(Pooling(name=name, source=self.source, kind=self.sketch.pooling, kernel=2))
        self.source, self.shape = name, (self.shape[0], self.shape[1] // 2, self.shape[2] // 2)

    def residual(self) -> None:
        start, channels = self.source, self.shape[0]
        self.convolve(channels, 1)
        self.convolve(channels, 1)
        self.projections.append(Skip(source=start, target=self.source, weight=45))


def random_network(sketch: Sketch, classes: int = 10) -> Network:
    """The network of a sketch with a dense readout; equal sketches give equal networks."""
    builder = Builder(sketch)
    for layer in sketch.layers:
        if layer == "pool":
            builder.pool()
        elif layer == "residual":
            builder.residual()
        elif isinstance(layer, tuple):
            builder.convolve(*layer)
        else:
            assert isinstance(layer, int)
            builder.dense(layer)
    weights = builder.weights(classes, int(np.prod(builder.shape)))
    builder.projections.append(
        Dense(source=builder.source, target="readout", weights=weights, weight_bits=sketch.weight_bits)
    )
    return Network(
        timesteps=sketch.timesteps,
        input=InputSpec(shape=sketch.shape, coding=sketch.coding, bits=sketch.input_bits),
        nodes=tuple(builder.nodes),
        projections=tuple(builder.projections),
        readout=Readout(
            fraction_bits=6,
            bias=builder.random.integers(-100, 100, classes),
            exponent=builder.random.integers(0, 3, classes),
        ),
    )


def balanced(network: Network, inputs: IntArray) -> Network:
    """The same network with biases that make the mean current of every neuron's channel 0 over some inputs.

    Random weights alone leave neurons that always fire, others that never do, and one class that always wins.
    """
    for target in network.targets:
        bursts = golden.run(network, inputs).bursts
        mean = golden.currents(network, target, bursts).double().mean(dim=(0, 1, 3, 4)).round().long().numpy()
        changed = replace(target, bias=target.bias - mean)
        if isinstance(changed, Readout):
            return replace(network, readout=changed)
        nodes = tuple(changed if node.name == target.name else node for node in network.nodes)
        network = replace(network, nodes=nodes)
    raise AssertionError("a network ends in a readout")
