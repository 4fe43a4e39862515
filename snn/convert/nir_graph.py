"""A NIR graph as a graph of float operations between neurons.

NIR (https://neuroir.org) leaves open how long a timestep is, how neurons reset, which rule makes a decay of a time
constant, whether a membrane at its threshold fires, and what IF means by r. The caller decides, and the graph's notes
say what was taken. Everything else is taken as the classes of nir 1.0 document it, and what is not known is refused.
Numbers are float64.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from qblif.errors import UserError
from qblif.network.checks import Shape
from qblif.reading import shown
from snn.convert.graph import INPUT, Affine, Convolution, Dense, Flatten, Graph, Node, Pair, Pool, Sides
from snn.convert.neurons import TOLERANCE
from snn.convert.nir_file import read_nir as read_nir
from snn.convert.nir_neurons import Rule, Steps, integrator, per_channel, population
from snn.convert.nir_wiring import Item, Wiring, wiring_of

Dimensions = tuple[int, ...]
"""What NIR calls a shape: (features,), (channels, length) or (channels, rows, columns)."""
LARGEST = 2**26
"""Values that a node may give; no device holds as many."""
MOST_NOTES = 100

INTEGRATORS = ("I", "LI", "CubaLI")

Converted = tuple[list[Node], Dimensions]
"""The nodes that a node becomes, the last of which has its name, and the shape of what it gives."""


def graph_of(
    nirgraph: Any,
    *,
    dt: float | None = None,
    reset: Literal["soft", "hard"],
    rule: Rule = "euler",
    tolerance: float = TOLERANCE,
    firing: Literal["reached", "exceeded"] = "reached",
    integration: Literal["per step", "per second"] = "per step",
) -> Graph:
    """The graph that a ``nir.NIRGraph`` describes.

    Args:
        nirgraph: the graph, as :func:`read_nir` or an exporter gives it.
        dt: seconds of a timestep; None if no node has a time constant.
        reset: ``"soft"``: a spike takes the threshold away. ``"hard"``: it sets the membrane to v_reset.
        rule: ``"euler"``: beta = 1 - dt / tau. ``"exponential"``: beta = exp(-dt / tau).
        tolerance: the largest error of a decay that is not a multiple of 2^-8.
        firing: ``"reached"``: neurons fire at the threshold. ``"exceeded"``: only above it, as NIR's equations say.
        integration: what a timestep adds to the membranes of IF and I: ``"per step"``: r * I, as sinabs means it.
            ``"per second"``: r * dt * I, as SpikingJelly means it.

    Raises:
        UserError: the integer form does not contain the network, or something about it is not known here. The message
            names the node and its class.
    """
    steps = Steps(dt=dt, reset=reset, rule=rule, tolerance=tolerance, firing=firing, integration=integration, notes=[])
    if dt is not None and not 0 < dt < math.inf:
        raise UserError(f"a timestep of {dt:g} seconds is not possible; give --dt a number above 0")
    if type(nirgraph).__name__ != "NIRGraph":
        raise UserError(f"a NIR graph is expected, not a {type(nirgraph).__name__}; nir.read gives one")
    wiring = wiring_of(nirgraph, steps.notes)
    converter = Converter(wiring, steps)
    graph = Graph(
        shape=converter.shape,
        nodes=converter.nodes(),
        output=wiring.output.sources[0],
        notes=tuple([*assumptions(wiring, steps), *steps.notes][:MOST_NOTES]),
    )
    graph.check()
    return graph


def assumptions(wiring: Wiring, steps: Steps) -> list[str]:
    """What was taken for what NIR leaves open, as far as it concerns this network."""
    kinds = {item.kind for item in wiring.computed}
    taken = []
    if kinds & {"IF", "LIF", "CubaLIF"}:
        reset = "takes its threshold away" if steps.reset == "soft" else "sets its membrane to v_reset"
        taken.append(f"reset {steps.reset}: a neuron that fires {reset}; a NIR file does not say what was trained")
    if kinds & {"IF", "LIF", "CubaLIF", "Threshold"}:
        fires = "reaches" if steps.firing == "reached" else "exceeds"
        taken.append(f"a neuron fires when its membrane {fires} its threshold; NIR's equations say exceeds")
    if kinds & {"LIF", "CubaLIF", "LI", "CubaLI"}:
        decay = "1 - dt / tau" if steps.rule == "euler" else "exp(-dt / tau)"
        taken.append(f"dt {steps.dt:g} s, rule {steps.rule}: a decay is {decay}; a NIR file holds neither")
    if kinds & {"IF", "I"}:
        added = "r" if steps.integration == "per step" else "r * dt"
        taken.append(f"a timestep adds {added} times its current to the membranes of IF and I")
    taken.append("membranes and synaptic currents start at 0")
    taken += [f"{shown(target)} reads {shown(source)} one timestep later" for source, target in wiring.late]
    return taken


class Converter:
    """Converts the nodes one by one, from the input on, with the shapes of what arrives."""

    def __init__(self, wiring: Wiring, steps: Steps) -> None:
        self.wiring, self.steps = wiring, steps
        self.shapes: dict[str, Dimensions] = {wiring.input.name: declared(wiring.input, "input")}
        self.integrators = {item.name for item in wiring.computed if item.kind in INTEGRATORS}

    @property
    def shape(self) -> Shape:
        """(C, H, W) of the input."""
        first = self.shapes[self.wiring.input.name]
        channels, *rest = first
        rows, columns = (1, *rest) if len(rest) == 1 else rest or (1, 1)
        return channels, rows, columns

    def nodes(self) -> tuple[Node, ...]:
        """All nodes in order; raises UserError."""
        made: dict[str, list[Node]] = {}
        for item in self.wiring.found[1:]:
            arriving = next(self.shapes[source] for source in item.sources if source in self.shapes)
            made[item.name], self.shapes[item.name] = self.convert(item, arriving)
        for item in [*self.wiring.computed, self.wiring.output]:
            self.check_sources(item)
        for item in self.wiring.found:
            for end in item.ends:
                check_shape(end, self.shapes[item.name])
        return tuple(node for item in self.wiring.computed for node in made[item.name])

    def check_sources(self, item: Item) -> None:
        """Raise UserError unless all that arrives has one shape, and comes of nodes that may send it."""
        arriving = {source: self.shapes[source] for source in item.sources}
        (first, shape), *rest = arriving.items()
        for source, other in rest:
            item.require(
                shape == other, f"{shown(first)} sends it {shape} and {shown(source)} {other}; make them the same"
            )
        if item is self.wiring.output:
            check_shape(item, shape)
            return
        for name in item.sources:
            lost = f"reads the membranes of {shown(name)}, which only the output can; put spiking neurons there"
            item.require(name not in self.integrators, lost)

    def convert(self, item: Item, shape: Dimensions) -> Converted:
        """The nodes of one node; raises UserError."""
        sources = tuple(INPUT if source == self.wiring.input.name else source for source in item.sources)
        if item.spiking:
            return population(item, sources, shape, self.steps), shape
        if item.kind in INTEGRATORS:
            return integrator(item, sources, shape, self.steps), shape
        node, given = LAYERS[item.kind](item, sources, shape)
        item.require(min(given) > 0, f"makes {given} of {shape}, which is nothing; change its window")
        item.require(
            math.prod(given) <= LARGEST, f"gives {given} values, more than {LARGEST}; make the network smaller"
        )
        return [node], given


def declared(item: Item, side: Literal["input", "output"], missing: Dimensions | None = None) -> Dimensions:
    """The shape that a node itself says; raises UserError."""
    types = getattr(item.node, f"{side}_type", None)
    values: Any = types.get(side) if isinstance(types, dict) else None
    if values is None and missing is not None:
        return missing
    item.require(values is not None, "has no shape; give it one")
    try:
        sizes = tuple(values)
        shape = tuple(map(int, sizes))
    except (TypeError, ValueError, OverflowError):
        raise item.refuse(f"its shape is {shown(values)} instead of whole numbers; repair it") from None
    fine = shape == sizes and 1 <= len(shape) <= 3 and min(shape) > 0 and math.prod(shape) <= LARGEST
    expected = "(features,), (channels, length) or (channels, rows, columns)"
    item.require(fine, f"its shape is {sizes[:5]}, not {expected} without a batch; repair it")
    return shape


def check_shape(item: Item, shape: Dimensions) -> None:
    """Raise UserError unless a node expects the shape that arrives, or says nothing about it."""
    expected = declared(item, "input", missing=shape)
    item.require(expected == shape, f"expects {expected} and gets {shape}; make them the same")


def tensor(item: Item, name: str, dimensions: int) -> Tensor:
    """Weights with so many dimensions; raises UserError."""
    values = item.numbers(name)
    item.require(
        values.ndim == dimensions and values.size > 0,
        f"{name} has shape {values.shape}, and {dimensions} dimensions are expected; reshape it",
    )
    return torch.from_numpy(values)


def bias(item: Item, channels: int) -> Tensor | None:
    """The bias of weights; raises UserError."""
    if getattr(item.node, "bias", None) is None:
        return None
    values = tensor(item, "bias", 1)
    item.require(len(values) == channels, f"{len(values)} biases for {channels} channels; make them as many")
    return values if bool(values.any()) else None


def whole(item: Item, name: str, count: int, least: int) -> tuple[int, ...]:
    """An attribute as ``count`` whole numbers, or one for all; raises UserError."""
    values = item.numbers(name)
    fine = values.size in (1, count) and bool((values % 1 == 0).all()) and bool((abs(values) < LARGEST).all())
    item.require(fine, f"{name} is not {count} whole numbers; repair it")
    numbers = tuple(int(value) for value in values.flatten()) * (count if values.size == 1 else 1)
    item.require(min(numbers) >= least, f"{name} {numbers} is less than {least}; repair it")
    return numbers


def dense(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """Affine or Linear."""
    weight = tensor(item, "weight", 2)
    outputs, inputs = weight.shape
    item.require(
        shape == (inputs,), f"has weights for ({inputs},) features and gets {shape}; Flatten makes features of images"
    )
    return Dense(name=item.name, sources=sources, weight=weight, bias=bias(item, outputs)), (outputs,)


def convolution(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """Conv1d or Conv2d."""
    axes = 1 if item.kind == "Conv1d" else 2
    weight = tensor(item, "weight", axes + 2)
    (groups,) = whole(item, "groups", 1, 1)
    item.require(len(shape) == axes + 1, f"has windows over {axes} axes and gets {shape}; reshape what arrives")
    outputs, inputs, *kernel = weight.shape
    item.require(
        shape[0] == inputs * groups and outputs % groups == 0,
        f"weights {tuple(weight.shape)} in {groups} groups do not fit {shape[0]} channels; correct them",
    )
    if item.node.input_shape is not None:
        sizes = whole(item, "input_shape", axes, 1)
        item.require(sizes == shape[1:], f"input_shape is {sizes} and {shape[1:]} arrives; make them the same")
    stride, dilation = (whole(item, name, axes, 1) for name in ("stride", "dilation"))
    padding = [pad for one in padded(item, kernel, stride, dilation) for pad in one]
    sizes = tuple(
        (size + padding[2 * axis] + padding[2 * axis + 1] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        for axis, size in enumerate(shape[1:])
    )
    if axes == 1:
        weight, padding = weight.unsqueeze(2), [0, 0, *padding]
        stride, dilation = (1, *stride), (1, *dilation)
    node = Convolution(
        name=item.name,
        sources=sources,
        weight=weight,
        bias=bias(item, outputs),
        stride=pair(stride),
        padding=four(padding),
        dilation=pair(dilation),
        groups=groups,
    )
    return node, (outputs, *sizes)


def padded(item: Item, kernel: list[int], stride: Dimensions, dilation: Dimensions) -> list[Pair]:
    """Zeros before and behind each axis; raises UserError. With 'same' the odd one comes behind, as in PyTorch."""
    given = item.node.padding
    if not isinstance(given, str):
        return [(pad, pad) for pad in whole(item, "padding", len(kernel), 0)]
    item.require(given in ("same", "valid"), f"padding {shown(given)} is neither 'same' nor 'valid'; give numbers")
    if given == "valid":
        return [(0, 0)] * len(kernel)
    item.require(max(stride) == 1, "padding 'same' with a stride above 1 has no meaning in PyTorch; give numbers")
    totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


def pair(numbers: tuple[int, ...]) -> Pair:
    """Two numbers, for rows and columns."""
    rows, columns = numbers
    return rows, columns


def four(numbers: list[int]) -> Sides:
    """Four numbers, for the sides of an image."""
    above, below, left, right = numbers
    return above, below, left, right


def pool(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """SumPool2d or AvgPool2d."""
    item.require(len(shape) == 3, f"pools (channels, rows, columns) and gets {shape}; reshape what arrives")
    kernel, stride = (pair(whole(item, name, 2, 1)) for name in ("kernel_size", "stride"))
    padding = pair(whole(item, "padding", 2, 0))
    average = item.kind == "AvgPool2d"
    unclear = "NIR does not say whether an average counts padding; take padding 0, or SumPool2d and Scale"
    item.require(not (average and any(padding)), unclear)
    node = Pool(
        name=item.name,
        sources=sources,
        kind="average" if average else "sum",
        kernel=kernel,
        stride=stride,
        padding=padding,
    )
    sizes = [(size + 2 * padding[axis] - kernel[axis]) // stride[axis] + 1 for axis, size in enumerate(shape[1:])]
    return node, (shape[0], *sizes)


def flatten(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """Flatten of all dimensions; NIR counts them without the batch."""
    check_shape(item, shape)
    (start,), (end,) = (whole(item, name, 1, -len(shape)) for name in ("start_dim", "end_dim"))
    last = len(shape) - 1
    fine = start in (0, -len(shape)) and end in (last, -1)
    item.require(
        fine, f"flattens dimensions {start} to {end} of {shape}, not all; NIR counts no batch, so take 0 and -1"
    )
    return Flatten(name=item.name, sources=sources), (math.prod(shape),)


def scale(item: Item, sources: tuple[str, ...], shape: Dimensions) -> tuple[Node, Dimensions]:
    """Scale by channels."""
    factors = torch.from_numpy(per_channel(item, "scale", shape).copy())
    return Affine(name=item.name, sources=sources, scale=factors, shift=torch.zeros(1).double()), shape


LAYERS: dict[str, Callable[[Item, tuple[str, ...], Dimensions], tuple[Node, Dimensions]]] = {
    "Affine": dense,
    "Linear": dense,
    "Conv1d": convolution,
    "Conv2d": convolution,
    "SumPool2d": pool,
    "AvgPool2d": pool,
    "Flatten": flatten,
    "Scale": scale,
}
"""Nodes without a state: each gives its node and the shape of what that gives."""
