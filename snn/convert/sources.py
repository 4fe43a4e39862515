"""Models of snn layers from the networks of other frameworks."""

from dataclasses import replace
from typing import Any, Literal

from snn.convert.assembly import Answer, Feed, assemble
from snn.convert.graph import Neurons
from snn.convert.model import Converted
from snn.convert.neurons import GUARD_BITS, TOLERANCE
from snn.convert.nir_graph import graph_of
from snn.ranges import check_range


def from_nir(
    graph: Any,
    *,
    feed: Feed,
    dt: float | None,
    reset: Literal["soft", "hard"],
    rule: Literal["euler", "exponential"] = "euler",
    ceiling: int = 1,
    answer: Answer | None = None,
    weight_bits: int = 8,
    guard_bits: int = GUARD_BITS,
    tolerance: float = TOLERANCE,
) -> Converted:
    """The model of a NIR graph.

    Args:
        graph: of type nir.NIRGraph.
        feed: what the network is fed with.
        dt: seconds per timestep; None if no neuron has a time constant.
        reset: what a spike leaves of the membrane, which NIR does not say.
        rule: how a time constant becomes a decay: ``1 - dt / tau`` or ``exp(-dt / tau)``.
        ceiling: K, the most spikes of a neuron in one timestep.
        answer, weight_bits, guard_bits, tolerance: as in :func:`snn.convert.assembly.assemble`.

    Raises:
        UserError: the network has no integer form, or something about it is not known here.
    """
    check_range("burst_ceiling", ceiling)
    found = graph_of(graph, dt=dt, reset=reset, rule=rule, tolerance=tolerance)
    nodes = (
        replace(node, form=replace(node.form, burst_ceiling=ceiling)) if isinstance(node, Neurons) else node
        for node in found.nodes
    )
    return assemble(
        replace(found, nodes=tuple(nodes)),
        feed,
        answer=answer,
        weight_bits=weight_bits,
        guard_bits=guard_bits,
        tolerance=tolerance,
    )
