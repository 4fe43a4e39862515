"""Builds networks with random integers, part by part; studies and tests make all their networks here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from qblif.network.checks import IntArray, Shape
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Projection, Skip
from qblif.network.window import PerAxis, per_axis


@dataclass(kw_only=True)
class NetworkBuilder:
    """A network that grows; random numbers are drawn in the order of the calls.

    Attributes:
        random: source of the weights.
        shape: (C, H, W) of the input.
        neurons: draws the parameters of a population besides its name and shape, for a number of channels.
        source: the node that the next part reads by default: the last one.
    """

    random: np.random.Generator
    shape: Shape
    neurons: Callable[[int], dict[str, Any]]
    source: str = InputSpec.name
    nodes: list[Population | Pooling] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shapes[InputSpec.name] = self.shape

    @property
    def at(self) -> Shape:
        """Shape of the last node."""
        return self.shapes[self.source]

    def weights(self, bits: int, *size: int) -> IntArray:
        """Signed integers of ``bits`` bits."""
        return self.random.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), size)

    def populate(self, name: str, shape: Shape) -> None:
        """Add a population without projections."""
        self.add(Population(name=name, shape=shape, **self.neurons(shape[0])), shape)

    def add(self, node: Population | Pooling, shape: Shape) -> None:
        """Add a node, which becomes the last one."""
        self.nodes.append(node)
        self.shapes[node.name] = shape
        self.source = node.name

    def convolve(
        self,
        name: str,
        channels: int,
        kernel: PerAxis,
        *,
        source: str | None = None,
        weight_bits: int = 4,
        stride: PerAxis = 1,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
    ) -> None:
        """A convolution into the population ``name``, which is created if it does not exist."""
        source = self.source if source is None else source
        inputs, height, width = self.shapes[source]
        projection = Conv2d(
            source=source,
            target=name,
            weights=self.weights(weight_bits, channels, inputs // groups, *per_axis(kernel)),
            weight_bits=weight_bits,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )
        self.projections.append(projection)
        if name not in self.shapes:
            self.populate(name, (channels, *projection.window((height, width)).windows(height, width)))

    def dense(self, name: str, neurons: int, *, weight_bits: int = 4) -> None:
        """All-to-all weights into a new population."""
        self._connect(name, neurons, weight_bits)
        self.populate(name, (neurons, 1, 1))

    def recur(self, source: str, target: str, *, kernel: PerAxis | None = None, weight_bits: int = 4) -> None:
        """The bursts of ``source`` enter ``target`` a timestep later: through a convolution that keeps the height and
        width, or, without a ``kernel``, all to all."""
        channels, inputs = self.shapes[target][0], self.shapes[source]
        part: dict[str, Any] = {"source": source, "target": target, "weight_bits": weight_bits, "recurrent": True}
        if kernel is None:
            weights = self.weights(weight_bits, channels, int(np.prod(inputs)))
            self.projections.append(Dense(**part, weights=weights))
        else:
            rows, columns = per_axis(kernel)
            weights = self.weights(weight_bits, channels, inputs[0], rows, columns)
            self.projections.append(Conv2d(**part, weights=weights, padding=(rows // 2, columns // 2)))

    def pool(
        self, name: str, kind: str, kernel: PerAxis = 2, *, stride: PerAxis | None = None, padding: PerAxis = 0
    ) -> None:
        """Pooling of the last node."""
        pooling: Any = {"name": name, "source": self.source, "kind": kind, "kernel": kernel}
        node = Pooling(**pooling, stride=stride, padding=padding)
        channels, height, width = self.at
        self.add(node, (channels, *node.window.windows(height, width)))

    def skip(self, source: str, weight: int) -> None:
        """An identity skip into the last node."""
        self.projections.append(Skip(source=source, target=self.source, weight=weight))

    def classify(self, classes: int, *, weight_bits: int = 4) -> None:
        """All-to-all weights into the readout."""
        self._connect(Readout.name, classes, weight_bits)

    def _connect(self, target: str, neurons: int, weight_bits: int) -> None:
        weights = self.weights(weight_bits, neurons, int(np.prod(self.at)))
        self.projections.append(Dense(source=self.source, target=target, weights=weights, weight_bits=weight_bits))

    def network(
        self,
        *,
        timesteps: int,
        coding: str,
        input_bits: int,
        readout: Readout,
        mode: Literal["window", "stream"] = "window",
    ) -> Network:
        """The whole network."""
        spec: Any = {"shape": self.shape, "coding": coding, "bits": input_bits}
        return Network(
            timesteps=timesteps,
            input=InputSpec(**spec),
            nodes=tuple(self.nodes),
            projections=tuple(self.projections),
            readout=readout,
            mode=mode,
        )
