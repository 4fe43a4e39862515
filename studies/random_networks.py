"""Networks with random weights: realistic sizes for the resource model, small ones for coverage."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from gen.planning.scope import Objective
from hw.schedule import Schedule
from qblif import golden
from qblif.network.checks import IntArray, Shape
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Readout
from studies.network_builder import NetworkBuilder


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A short description of a network.

    Attributes:
        shape: (C, H, W) of the input.
        layers: channels of each layer: an int for a dense one, ``(channels, stride)`` for a 3x3 convolution,
            ``"pool"`` for 2x2 pooling, ``"sliding"`` for 3x3 pooling with stride 2 and padding 1, ``"residual"`` for
            two convolutions with an identity skip around them, ``"shortcut"`` for two with a 1x1 convolution around,
            ``"recurrent"`` for dense weights from the last layer back into itself.
        current_leak: leak of every neuron's synaptic current; None for none.
        schedule: the order of the timesteps in hardware.
        objective: see :data:`gen.planning.scope.Objective`.
        pooling: the kind of ``"pool"`` and ``"sliding"``.
    """

    name: str
    shape: Shape
    layers: Sequence[int | tuple[int, int] | Literal["pool", "sliding", "residual", "shortcut", "recurrent"]]
    timesteps: int = 2
    burst_ceiling: int = 3
    weight_bits: int = 4
    input_bits: int = 4
    coding: Literal["direct", "events"] = "direct"
    leak: Leak = field(default_factory=Leak)
    reset: Literal["soft", "hard"] = "soft"
    pooling: Literal["sum", "max"] = "max"
    current_leak: Leak | None = None
    schedule: Schedule = "position_major"
    objective: Objective | None = None
    seed: int = 1


def dense_chain(
    seed: int,
    *,
    sizes: tuple[int, ...] = (12, 8, 5),
    timesteps: int = 3,
    fraction_bits: int = 5,
    burst_ceiling: int = 3,
    weight_bits: int = 4,
    input_bits: int = 2,
    leak: tuple[int, int] = (1, 1),
    reset: str = "soft",
    coding: str = "direct",
    rounding: int | None = None,
    **over_time: Any,
) -> Network:
    """A chain of dense layers; the last of ``sizes`` is the number of classes. ``over_time``: synaptic current and
    limits of its populations."""
    random = np.random.default_rng(seed)

    def constants(channels: int) -> dict[str, Any]:
        return {"bias": random.integers(-40, 60, channels), "exponent": random.integers(0, 3, channels)}

    def neurons(channels: int) -> dict[str, Any]:
        return {
            "fraction_bits": fraction_bits,
            "burst_ceiling": burst_ceiling,
            "leak": Leak(multiplier=leak[0], shift=leak[1]),
            "reset": reset,
            "rounding": rounding,
            **over_time,
            **constants(channels),
        }

    builder = NetworkBuilder(random=random, shape=(sizes[0], 1, 1), neurons=neurons)
    for index, channels in enumerate(sizes[1:-1]):
        builder.dense(f"hidden_{index}", channels, weight_bits=weight_bits)
    builder.classify(sizes[-1], weight_bits=weight_bits)
    readout = Readout(fraction_bits=4, **constants(sizes[-1]))
    return builder.network(timesteps=timesteps, coding=coding, input_bits=input_bits, readout=readout)


def random_network(sketch: Sketch, classes: int = 10) -> Network:
    """The network of a sketch with a dense readout; equal sketches give equal networks."""
    random, bits = np.random.default_rng(sketch.seed), sketch.weight_bits

    def neurons(channels: int) -> dict[str, Any]:
        return {
            "fraction_bits": 6,
            "burst_ceiling": sketch.burst_ceiling,
            "leak": sketch.leak,
            "reset": sketch.reset,
            "current_leak": sketch.current_leak,
            "bias": random.integers(-100, 100, channels),
            "exponent": random.integers(0, 3, channels),
        }

    builder = NetworkBuilder(random=random, shape=sketch.shape, neurons=neurons)

    def convolve(channels: int, stride: int) -> None:
        builder.convolve(name(), channels, 3, stride=stride, padding=1, weight_bits=bits)

    def name() -> str:
        return f"layer_{len(builder.nodes)}"

    for layer in sketch.layers:
        if layer == "pool":
            builder.pool(name(), sketch.pooling)
        elif layer == "sliding":
            builder.pool(name(), sketch.pooling, 3, stride=2, padding=1)
        elif layer in ("residual", "shortcut"):
            start, channels = builder.source, builder.at[0]
            convolve(channels, 1)
            convolve(channels, 1)
            if layer == "residual":
                builder.skip(start, 45)
            else:
                builder.convolve(builder.source, channels, 1, source=start, weight_bits=bits)
        elif layer == "recurrent":
            builder.recur(builder.source, builder.source, weight_bits=bits)
        elif isinstance(layer, tuple):
            convolve(*layer)
        else:
            assert isinstance(layer, int)
            builder.dense(name(), layer, weight_bits=bits)
    builder.classify(classes, weight_bits=bits)
    bias, exponent = random.integers(-100, 100, classes), random.integers(0, 3, classes)
    return builder.network(
        timesteps=sketch.timesteps,
        coding=sketch.coding,
        input_bits=sketch.input_bits,
        readout=Readout(fraction_bits=6, bias=bias, exponent=exponent),
    )


def balanced(network: Network, inputs: IntArray) -> Network:
    """The same network with biases that make every channel's mean current over ``inputs`` 0.

    With random weights alone some neurons always fire, others never do, and one class always wins.
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
