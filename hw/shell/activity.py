"""Activity of a network, as the amounts by which counters are to be increased in every cycle."""

from collections.abc import Collection
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value

from hw.configuration import TopConfig
from hw.logic import tree
from hw.top import NetworkTop

MOST_ADDED_AT_ONCE = 6
"""Bursts of a beat that are added up within one cycle."""


def counter_widths(config: TopConfig) -> dict[str, int]:
    """Name of every activity counter, and the width of its increment.

    The counters are ``inferences`` finished, ``cycles`` with an inference in progress, the bursts sent on every stream,
    and the cycles in which every layer's scanner worked.
    """

    def most_bursts(group: int, bits: int) -> int:
        return int(group * (2**bits - 1)).bit_length()

    widths = {"inferences": 1, "cycles": 1, "bursts_input": most_bursts(config.input.group, config.input.burst_bits)}
    for stage in config.stages:
        if stage.output is not None:
            widths[f"bursts_{stage.name}"] = most_bursts(stage.output.group, stage.output.burst_bits)
        widths |= {f"scanning_{worker}": 1 for worker in stage.workers}
    return widths


def count_activity(
    m: Module,
    network: NetworkTop,
    increments: Any,
    names: Collection[str],
    *,
    arriving: Any,
    finished: Value,
    active: Value,
    counted: Value,
) -> None:
    """Drive the ``increments`` of those counters of :func:`counter_widths` that ``names`` has, some cycles late.

    Args:
        m: a module with the domain ``network``.
        network: the network, with taps.
        increments: a signal for every counter, by name.
        names: the names of the counters.
        arriving: the stream of the network's input.
        finished: an inference ends in this cycle.
        active: an inference is in progress.
        counted: bursts and work count only while this is 1.
    """
    events = {"inferences": finished, "cycles": active}
    streams = {"input": (arriving.valid & arriving.ready, arriving.payload)}
    for stage in network.config.stages:
        if stage.output is not None:
            tap = getattr(network, f"tap_{stage.name}")
            streams[stage.name] = (tap.transferred, tap.bursts)
        for worker in stage.workers:
            events[f"scanning_{worker}"] = getattr(network, f"working_{worker}") & counted
    events = {name: happens for name, happens in events.items() if name in names}
    streams = {name: stream for name, stream in streams.items() if f"bursts_{name}" in names}
    for name, happens in events.items():
        # A register between the network's logic and the carry chain of a counter.
        happened = Signal(name=f"{name}_happened")
        m.d.network += happened.eq(happens)
        m.d.comb += getattr(increments, name).eq(happened)
    for name, (transferred, bursts) in streams.items():
        increment = getattr(increments, f"bursts_{name}")
        # A beat may come directly from a block RAM, so it is registered before its bursts are added up; those of
        # a wide beat are added up in two cycles.
        taken = Signal(name=f"{name}_taken")
        beat = Signal.like(bursts, name=f"{name}_beat", reset_less=True)
        m.d.network += [taken.eq(transferred & counted), beat.eq(bursts)]
        counts = list(beat)
        if len(counts) > MOST_ADDED_AT_ONCE:
            parts = [tree(counts[first::MOST_ADDED_AT_ONCE]) for first in range(MOST_ADDED_AT_ONCE)]
            counts = [Signal.like(part, name=f"{name}_part_{at}", reset_less=True) for at, part in enumerate(parts)]
            added = Signal(name=f"{name}_added")
            m.d.network += [added.eq(taken), *(count.eq(part) for count, part in zip(counts, parts, strict=True))]
            taken = added
        sent = Signal.like(increment, name=f"{name}_bursts")
        m.d.network += sent.eq(Mux(taken, tree(counts), 0))
        m.d.comb += increment.eq(sent)
