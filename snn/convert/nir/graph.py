"""A NIR graph as a graph of float operations between neurons.

NIR (https://neuroir.org) leaves open how long a timestep is, how neurons reset, which rule makes a decay of a time
constant, whether a membrane at its threshold fires, and what IF means by r. The caller decides, and the graph's notes
say what was taken. Everything else is taken as the classes of nir 1.0 document it, and what is not known is refused.
Numbers are float64.
"""

import math
from typing import Any, Literal

from qblif.errors import UserError
from qblif.network.checks import Shape
from qblif.reading import shown
from snn.convert.graph import INPUT, Graph, Node
from snn.convert.neurons import TOLERANCE
from snn.convert.nir.file import read_nir as read_nir
from snn.convert.nir.items import Item
from snn.convert.nir.layers import LARGEST, LAYERS, Dimensions, check_shape, declared
from snn.convert.nir.neurons import Rule, Steps, integrator, population
from snn.convert.nir.wiring import Wiring, wiring_of

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
