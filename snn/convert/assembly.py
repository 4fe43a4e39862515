"""A model of snn layers that computes what a graph says."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import torch
from torch import nn

from qblif.errors import UserError
from qblif.network.nodes import Coding, InputSpec, Leak
from snn.bursts import Encoder
from snn.bursts import Flatten as FlattenBursts
from snn.convert.folding import Path, Weights, further
from snn.convert.graph import INPUT, Flatten, Graph, Integrator, Neurons, Node
from snn.convert.model import Call, Converted
from snn.convert.neurons import GUARD_BITS, TOLERANCE, nearest_decay
from snn.convert.parts import factors, neurons, projection, stage_of
from snn.layers import ReadoutLayer, SpikingLayer
from snn.projections import QuantProjection
from snn.ranges import check_choice

MOST_PATHS = 64
"""Ways from populations to one layer, which additions of branches multiply."""
Answer = Literal["count", "membrane", "maximum", "step"]
"""What a network's result is. ``count``: the spikes of each neuron of the last layer; ``membrane``: the membranes after
the last timestep, which of a last layer without neurons are the sums of its currents over all timesteps; ``maximum``:
their largest values; ``step``: what the last layer gives at each timestep, without end."""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What the network is fed with.

    Attributes:
        coding: of the samples: ``direct``, the same current from 0 to 1 at every timestep; ``frames``, another one at
            each; ``events``, counts of spikes.
        bits: of the input's bursts.
        timesteps: T; of a stream only the length of the reference recordings.
        mean, deviation: of ``(x - mean) / deviation``, by which the original normalises what ``coding`` gives; one
            number for each channel, or one for all.
    """

    coding: Coding = "direct"
    bits: int = 8
    timesteps: int
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)


def assemble(
    graph: Graph,
    feed: Feed,
    *,
    answer: Answer | None = None,
    weight_bits: int = 8,
    guard_bits: int = GUARD_BITS,
    tolerance: float = TOLERANCE,
) -> Converted:
    """The model of a graph, in the float form, with float64 weights.

    Args:
        graph: the network.
        feed: what it is fed with.
        answer: its result; None is ``count`` of spikes, or ``membrane`` of a last layer without neurons that fire.
        weight_bits: signed bits of the weights in the integer form.
        guard_bits: fraction bits of the integer form beyond those that its weights need.
        tolerance: the largest error of a decay that is not a multiple of 2^-8.

    Raises:
        UserError: no model of snn layers is equal to the graph; the message names the node and the way out.
    """
    graph.check()
    if answer is not None:
        check_choice("answer", answer, ("count", "membrane", "maximum", "step"))
    return Assembly(graph, feed, weight_bits, guard_bits, tolerance).model(answer)


class Assembly:
    """The layers of a model while it is made; arguments as in :func:`assemble`."""

    def __init__(self, graph: Graph, feed: Feed, weight_bits: int, guard_bits: int, tolerance: float) -> None:
        self.graph, self.feed = graph, feed
        self.weight_bits, self.guard_bits, self.tolerance = weight_bits, guard_bits, tolerance
        self.places = {node.name: place for place, node in enumerate(graph.nodes)}
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: graph.shape}
        self.calls: list[Call] = []
        self.staged: dict[tuple[str, ...], str] = {}
        """The calls that have been made for a source and some stages behind it."""

    def node(self, name: str) -> Node:
        """The node with this name."""
        return self.graph.nodes[self.places[name]]

    def model(self, answer: Answer | None) -> Converted:
        """The whole model."""
        used = self.used()
        for node in self.graph.nodes:
            if node.name not in used:
                raise node.refuse("does not reach the network's output; remove it")
            if isinstance(node, Integrator) and node.name != self.graph.output:
                raise node.refuse("never fires, so it can only be the last layer")
            if isinstance(node, Neurons):
                self.population(node)
        last = self.node(self.graph.output)
        self.readout(last, answer)
        spec = InputSpec(shape=self.graph.shape, coding=self.feed.coding, bits=self.feed.bits)
        encoder = Encoder(spec, self.feed.timesteps, mode="stream" if answer == "step" else "window")
        return Converted(encoder.double(), self.calls, self.graph.notes, counts=isinstance(last, Neurons))

    def used(self) -> set[str]:
        """The names of all nodes from which the output can be reached."""
        found, left = set[str](), [self.graph.output]
        while left:
            name = left.pop()
            if name not in found and name != INPUT:
                found.add(name)
                left += self.node(name).sources
        return found

    def paths(self, reader: Node, sources: tuple[str, ...], place: int) -> list[Path]:
        """All paths from populations, or the input, through ``sources`` to a reader at a place among the nodes.

        Raises:
            UserError: there are too many, or hardware has nothing equal to one.
        """
        found = list(islice(self.walk(sources, place, frozenset()), MOST_PATHS + 1))
        if len(found) > MOST_PATHS:
            raise reader.refuse(f"is reached on more than {MOST_PATHS} ways; add fewer branches without neurons")
        return found

    def walk(self, sources: tuple[str, ...], place: int, passed: frozenset[str]) -> Iterator[Path]:
        """The paths of :meth:`paths`; ``passed`` are the nodes between it and the reader."""
        for name in sources:
            late = name != INPUT and self.places[name] >= place
            if name == INPUT:
                yield self.start()
            elif isinstance(source := self.node(name), Neurons):
                yield Path.start(name, self.shape(source), amplitude=source.form.amplitude, delayed=late)
            elif isinstance(source, Integrator):
                raise source.refuse("never fires, so it can only be the last layer")
            elif name in passed:
                raise source.refuse("is part of a cycle without neurons that fire")
            else:
                for number, path in enumerate(self.walk(source.sources, self.places[name], passed | {name})):
                    if late and path.delayed:
                        raise source.refuse("delays what it reads by more than one timestep")
                    # The sum of all paths goes through the node, so its constant is added once.
                    yield replace(path.through(further(source) if number else source), delayed=path.delayed or late)

    def start(self) -> Path:
        """The input, normalised."""
        mean, deviation = (
            torch.tensor(values, dtype=torch.float64) for values in (self.feed.mean, self.feed.deviation)
        )
        channels = self.graph.shape[0]
        if not {len(mean), len(deviation)} <= {1, channels} or not bool((deviation > 0).all()):
            raise UserError(f"the normalisation needs 1 or {channels} means, and as many deviations above 0")
        path = Path.start(INPUT, self.graph.shape)
        return replace(path, scale=1 / deviation, shift=-mean / deviation)

    def shape(self, node: Neurons) -> tuple[int, ...]:
        """The shape of a population; that of one that is not yet made is found from what it reads without delay, and is
        empty while it is looked for."""
        if node.name not in self.shapes:
            place = self.places[node.name]
            ahead = tuple(name for name in node.sources if name == INPUT or self.places[name] < place)
            self.shapes[node.name] = ()
            path = next(self.walk(ahead, place, frozenset()), None)
            if path is None:
                raise node.refuse("reads only what comes later")
            self.shapes[node.name] = path.shape
        if not self.shapes[node.name]:
            raise node.refuse("reads only what comes later")
        return self.shapes[node.name]

    def population(self, node: Neurons) -> None:
        """Add the layer of a population."""
        paths = self.paths(node, node.sources, self.places[node.name])
        ahead, own = [path for path in paths if not path.delayed], [path for path in paths if path.delayed]
        if not ahead:
            raise node.refuse("reads only what comes later, or spikes of the timestep before")
        self.check_alike(node, paths)
        self.shapes[node.name] = ahead[0].shape
        factor, offset = factors(node, len(ahead[0].projected().bias))
        if len(ahead) > 2:
            raise node.refuse(f"adds {len(ahead)} branches, and hardware adds 2; put neurons into one of them")
        ahead.sort(key=lambda path: path.unchanged)
        identity = len(ahead) == 2 and ahead[1].unchanged and bool((factor == 1).all())
        projected = ahead[:1] if identity else ahead
        weights = [path.projected().scaled(factor, 0 * factor) for path in projected]
        weights[0] = replace(weights[0], bias=weights[0].bias + offset)
        if len(own) > 1 or any(path.source != node.name or path.stages or ahead[0].flat for path in own):
            raise node.refuse("reads more of the timestep before than its own spikes through one projection")
        recurrent = own[0].projected().scaled(factor, 0 * factor) if own else None
        layer = SpikingLayer(
            self.projected(weights[0]),
            neurons(node.form),
            shortcut=self.projected(weights[1]) if len(weights) == 2 else None,
            recurrent=None if recurrent is None else self.projected(recurrent),
            guard_bits=self.guard_bits,
        )
        sources = tuple(self.staging(path) for path in ahead)
        self.calls.append(Call(name=node.name, module=layer.double(), sources=sources, scale=1 / factor))
        if ahead[0].flat:
            self.staged[node.name,] = self.call(f"{node.name}.flatten", FlattenBursts(), node.name)

    def check_alike(self, node: Node, paths: list[Path]) -> None:
        """Raise UserError unless what arrives on all paths can be added."""
        if len({(path.shape, path.flat) for path in paths}) > 1:
            shapes = ", ".join(sorted({str(path.shape) for path in paths}))
            raise node.refuse(f"adds values of different shapes: {shapes}")

    def readout(self, node: Node, answer: Answer | None) -> None:
        """Add the readout behind, or instead of, the last node."""
        fires = isinstance(node, Neurons)
        if fires and answer in ("membrane", "maximum"):
            raise node.refuse(f"fires, so its result is a count of spikes, not {answer}")
        if not fires and answer == "count":
            raise node.refuse("never fires, so its result is 'membrane' or 'maximum', not 'count'")
        if isinstance(node, Neurons):
            path = Path.start(node.name, self.shapes[node.name])
            path = path.through(Flatten(name=f"{node.name}.flatten", sources=()))
            last, name = Integrator(name=node.name, sources=()), "readout"
        else:
            last, name = Integrator(name=node.name, sources=(node.name,)), node.name
            last = node if isinstance(node, Integrator) else last
            place = self.places[node.name] + (last is not node)
            paths = self.paths(node, last.sources, place)
            if len(paths) != 1 or paths[0].delayed:
                raise node.refuse("adds several branches; only neurons that fire can")
            path = paths[0]
        weights = path.projected()
        if not weights.dense:
            raise node.refuse("is a convolution; a readout has one value for each class: put a Linear layer there")
        offset = weights.bias.new_zeros(1) if last.bias is None else last.bias.double()
        weights = weights.scaled(weights.bias.new_tensor([last.gain]), offset)
        forgets = fires and answer == "step"
        module = ReadoutLayer(
            self.projected(weights),
            leak=Leak(multiplier=0, shift=0) if forgets else self.leak(node, last.beta),
            maximum=answer == "maximum",
            per_step=answer == "step",
            guard_bits=self.guard_bits,
        )
        self.calls.append(Call(name=name, module=module.double(), sources=(self.staging(path),)))

    def leak(self, node: Node, beta: float) -> Leak | None:
        """The leak of a readout; None if it keeps everything."""
        if beta == 1:
            return None
        decay = nearest_decay(beta, self.tolerance)
        if decay is None:
            raise node.refuse(f"no fraction a/2^8 is within {self.tolerance:g} of its decay {beta:g}; allow more")
        return decay.leak

    def projected(self, weights: Weights) -> QuantProjection:
        """A projection with these weights."""
        return projection(weights, self.weight_bits)

    def staging(self, path: Path) -> str:
        """The name of the call that gives what a path's projection reads; adds those that are missing."""
        key: tuple[str, ...] = (path.source,)
        name = self.staged.get(key, path.source)
        for stage in path.stages:
            key = (*key, stage.name)
            if key not in self.staged:
                self.staged[key] = self.call(stage.name, stage_of(stage), name)
            name = self.staged[key]
        return name

    def call(self, name: str, module: nn.Module, source: str) -> str:
        """Add a call, and return its name, which is made unique."""
        taken = {INPUT, *self.places, *(call.name for call in self.calls)} - {name}
        taken |= {call.name for call in self.calls}
        while name in taken:
            name += "'"
        self.calls.append(Call(name=name, module=module, sources=(source,)))
        return name
