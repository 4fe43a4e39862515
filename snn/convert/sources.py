"""Models of snn layers from the networks of other frameworks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.nodes import Coding
from snn.convert.assembly import Answer, Feed, assemble
from snn.convert.graph import Graph, Neurons
from snn.convert.model import Converted
from snn.convert.modules.reader import Reading, read_modules
from snn.convert.neurons import GUARD_BITS, TOLERANCE
from snn.convert.nir.graph import graph_of
from snn.ranges import check_range

USUAL_BITS: dict[Coding, int] = {"direct": 8, "frames": 8, "events": 2}
"""Bits of an input burst, unless the caller says otherwise: whole bytes, and counts up to 3."""
ANSWERS: dict[tuple[str, str], Answer] = {
    ("spikes", "each"): "count",
    ("spikes", "sum"): "count",
    ("spikes", "mean"): "count",
    ("membrane", "each"): "membrane",
    ("membrane", "last"): "membrane",
    ("membrane", "max"): "maximum",
    ("current", "each"): "membrane",
    ("current", "sum"): "membrane",
    ("current", "mean"): "membrane",
}
"""The answer that ranks the classes as what a module returns does: quantity, and how timesteps are put together."""


def feed_for(
    *,
    coding: Coding,
    timesteps: int,
    bits: int | None = None,
    mean: Sequence[float] = (0.0,),
    deviation: Sequence[float] = (1.0,),
) -> Feed:
    """What a network is fed with, with the usual number of bits where none is given."""
    width = USUAL_BITS[coding] if bits is None else bits
    return Feed(coding=coding, bits=width, timesteps=timesteps, mean=tuple(mean), deviation=tuple(deviation))


def from_modules(
    module: nn.Module,
    sample: Tensor,
    *,
    timesteps: int | None = None,
    coding: Coding | None = None,
    bits: int | None = None,
    mean: Sequence[float] = (0.0,),
    deviation: Sequence[float] = (1.0,),
    answer: Answer | None = None,
    weight_bits: int = 8,
    guard_bits: int = GUARD_BITS,
    tolerance: float = TOLERANCE,
) -> Converted:
    """The model of a module of snnTorch or SpikingJelly.

    Args:
        module: the trained network, with its time loop or without.
        sample: what it takes, as a batch of at least one.
        timesteps: T; only for a module that is called once for each timestep.
        coding: how raw samples become what the module takes, as in :class:`snn.convert.assembly.Feed`; by default
            ``direct`` if the module reads the same input at every timestep, else ``events``.
        bits: of the input's bursts; by default 8, and 2 for events.
        mean, deviation: of the normalisation in front of the module.
        answer: the network's result; by default what the module returns.
        weight_bits, guard_bits, tolerance: as in :func:`snn.convert.assembly.assemble`.

    Raises:
        UserError: the network has no integer form, or something about it is not known here.
    """
    reading = read_modules(module, sample, tolerance=tolerance)
    coding = ("direct" if reading.constant is not False else "events") if coding is None else coding
    if coding == "direct" and reading.constant is False:
        raise UserError(
            "the module reads another input at each timestep, so the coding is events or frames, not direct"
        )
    if coding != "direct" and reading.constant is True:
        raise UserError(f"the module reads the same input at each timestep, so the coding is direct, not {coding}")
    chosen = answer_of(reading) if answer is None else answer
    note = f"the answer is {chosen}: the module returns {reading.output.quantity}, {reading.output.over_time}"
    return assemble(
        replace(reading.graph, notes=(*reading.graph.notes, note)),
        feed_for(coding=coding, timesteps=duration(reading, timesteps), bits=bits, mean=mean, deviation=deviation),
        answer=chosen,
        weight_bits=weight_bits,
        guard_bits=guard_bits,
        tolerance=tolerance,
    )


def duration(reading: Reading, wanted: int | None) -> int:
    """T of a module; raises UserError if it has another, or if nobody says."""
    if reading.timesteps == 1 and reading.constant is None:
        if wanted is None:
            raise UserError("how many timesteps does the network see each sample? add timesteps=")
        return wanted
    if wanted not in (None, reading.timesteps):
        raise UserError(f"the module computes {reading.timesteps} timesteps, not {wanted}; leave out timesteps=")
    return reading.timesteps


def answer_of(reading: Reading) -> Answer:
    """The answer that ranks classes as what the module returns; raises UserError if there is none."""
    returned = (reading.output.quantity, reading.output.over_time)
    if returned not in ANSWERS:
        raise UserError(
            f"the module returns {returned[0]}, {returned[1]} over time, which no hardware computes; return all "
            "timesteps, or name an answer="
        )
    return ANSWERS[returned]


def nir_network(
    graph: Any,
    *,
    dt: float | None,
    reset: Literal["soft", "hard"],
    rule: Literal["euler", "exponential"] = "euler",
    firing: Literal["reached", "exceeded"] = "reached",
    integration: Literal["per step", "per second"] = "per step",
    ceiling: int = 1,
    tolerance: float = TOLERANCE,
) -> Graph:
    """The graph of a NIR graph; arguments as in :func:`from_nir`."""
    check_range("burst_ceiling", ceiling)
    found = graph_of(graph, dt=dt, reset=reset, rule=rule, tolerance=tolerance, firing=firing, integration=integration)
    nodes = (
        replace(node, form=replace(node.form, burst_ceiling=ceiling)) if isinstance(node, Neurons) else node
        for node in found.nodes
    )
    return replace(found, nodes=tuple(nodes))


def from_nir(
    graph: Any,
    *,
    feed: Feed,
    dt: float | None = None,
    reset: Literal["soft", "hard"],
    answer: Answer | None = None,
    weight_bits: int = 8,
    guard_bits: int = GUARD_BITS,
    tolerance: float = TOLERANCE,
    **meant: Any,
) -> Converted:
    """The model of a NIR graph.

    Args:
        graph: of type nir.NIRGraph, as :func:`snn.convert.nir.file.read_nir` reads it.
        feed: what the network is fed with (:func:`feed_for`).
        dt: seconds per timestep; None if no neuron has a time constant.
        reset: what a spike leaves of the membrane, which NIR does not say.
        answer, weight_bits, guard_bits, tolerance: as in :func:`snn.convert.assembly.assemble`.
        meant: ``rule``, ``firing`` and ``integration`` as in :func:`snn.convert.nir.graph.graph_of`, and ``ceiling``,
            the most spikes of a neuron in one timestep (1).

    Raises:
        UserError: the network has no integer form, or something about it is not known here.
    """
    return assemble(
        nir_network(graph, dt=dt, reset=reset, tolerance=tolerance, **meant),
        feed,
        answer=answer,
        weight_bits=weight_bits,
        guard_bits=guard_bits,
        tolerance=tolerance,
    )
