"""Proofs about streams: what waits stays as it is, nothing is lost or made up, and nobody waits for ever."""

from functools import partial
from typing import Any

from amaranth.hdl import Value

from hw.engines.event.handover import Handover
from hw.stream_register import StreamRegister
from studies.formal.components import STAGES
from studies.formal.proof import Proof, Statement


def stage(s: Statement, name: str) -> tuple[Any, Any, Any]:
    """A component with free streams on either side: itself, what arrives, what leaves."""
    make, arriving_name, leaving_name = STAGES[name]
    component = make()
    s.add(component)
    arriving, leaving = getattr(component, arriving_name), getattr(component, leaving_name)
    if isinstance(leaving, list | tuple):
        # Of an array of streams the first one stands for all.
        leaving = leaving[0]
    s.free(arriving.valid, arriving.payload, leaving.ready)
    return component, arriving, leaving


def waits_unchanged(s: Statement, stream: Any) -> Value:
    """In this cycle the stream keeps the rule that a beat that was not taken is offered again, unchanged."""
    return s.unchanged(stream.valid, stream.ready, stream.payload)


def stable(s: Statement, name: str) -> None:
    """A beat that waits is offered again, unchanged."""
    component, arriving, leaving = stage(s, name)
    if name == "fork":
        # A fork hands on what arrives in the same cycle, so it can only be as good as that.
        s.assume(waits_unchanged(s, arriving))
        s.free(component.leaving[1].ready)
        s.claim(waits_unchanged(s, component.leaving[1]))
    s.claim(waits_unchanged(s, leaving))
    s.witness(s.kept(leaving.valid & ~leaving.ready, 1) & leaving.valid & leaving.ready)


def in_order(s: Statement, component: Any) -> None:
    """Whichever beat the solver picks leaves as it came, at its place in the sequence."""
    s.add(component)
    arriving, leaving = component.arriving, component.leaving
    s.free(arriving.valid, arriving.payload, leaving.ready)
    picked = s.chosen(4, "picked")
    came = s.count(arriving.valid & arriving.ready)
    left = s.count(leaving.valid & leaving.ready)
    beat = s.kept(Value.cast(arriving.payload), arriving.valid & arriving.ready & (came == picked))
    s.claim(~leaving.valid | (left < came))
    s.claim(~leaving.valid | (left != picked) | (Value.cast(leaving.payload) == beat))
    s.witness(leaving.valid & (left == picked) & (picked == 3))
    s.witness(~arriving.ready)


def turned(s: Statement) -> None:
    """Each of two loads of four sums leaves twice, two sums per beat."""
    component = Handover(lanes=4, cores=2, bits=4, repeats=2)
    s.add(component)
    sums, currents = component.sums, component.currents
    s.free(sums.valid, sums.payload, currents.ready)
    came, left = s.count(sums.valid & sums.ready), s.count(currents.valid & currents.ready)
    load = [s.kept(sums.payload[lane].as_unsigned(), sums.valid & sums.ready) for lane in range(4)]
    s.claim(~currents.valid | (left >> 2 == came - 1))
    for core in range(2):
        wanted = s.name(load[core], 4)
        with s.module.If(left[0]):
            s.module.d.comb += wanted.eq(load[core + 2])
        s.claim(~currents.valid | (currents.payload[core].as_unsigned() == wanted))
    s.witness(left == 6)


def forked(s: Statement) -> None:
    """Either branch is at most one beat ahead of the other, and what it gets is what arrives."""
    component, arriving, _ = stage(s, "fork")
    branches = [component.leaving[0], component.leaving[1]]
    s.free(branches[1].ready)
    s.assume(waits_unchanged(s, arriving))
    came = s.count(arriving.valid & arriving.ready)
    for branch in branches:
        ahead = s.name(s.count(branch.valid & branch.ready) - came, 6)
        s.claim(ahead <= 1)
        s.claim((ahead == 0) | (arriving.valid & ~branch.valid))
        s.claim(~branch.valid | (arriving.valid & (Value.cast(branch.payload) == Value.cast(arriving.payload))))
        s.claim(~arriving.valid | branch.valid | (ahead == 1))
    s.witness(came == 3)


def accepted(s: Statement, name: str, cycles: int) -> None:
    """A beat that is offered while what leaves is always taken is accepted within ``cycles`` cycles."""
    _, arriving, leaving = stage(s, name)
    s.assume(leaving.ready)
    s.assume(waits_unchanged(s, arriving))
    waits = arriving.valid & ~arriving.ready
    s.claim(~s.longer(waits, cycles))
    s.witness(s.kept(waits, 1) & arriving.ready if cycles > 0 else arriving.valid & arriving.ready)


LATE = (
    "receptive field",
    "neuron bank",
    "neuron bank, time-major",
    "frame readout",
    "pooling",
    "sliding pooling",
)
"""Components that need more cycles until a beat waits behind them."""
LIMITS = {
    "stream register": 0,
    "skip buffer": 0,
    "event scanner": 4,
    "event scanner, two banks": 2,
    "synapse array": 0,
    "synapse array, two banks": 0,
    "hand-over": 4,
    "neuron bank": 2,
    "neuron bank, time-major": 2,
    "pooling": 2,
    "combiner": 0,
    "readout": 0,
    "readout, two classes per beat": 0,
    "frame readout": 2,
}
"""Cycles after which each of these components has certainly accepted what is offered, if nothing waits behind it."""

PROOFS = [
    *(
        Proof(
            name=f"{name}: stable",
            claim="a beat that waits is offered again, unchanged, until it is taken",
            circuits={"": partial(stable, name=name)},
            unbounded=True,
            depth=2,
            reach=30 if name in LATE else 12,
        )
        for name in STAGES
        if "two banks" not in name
    ),
    Proof(
        name="fork: every beat once",
        claim="each branch gets every beat once, in order, and none is taken before both have it",
        circuits={"": forked},
        unbounded=True,
        depth=3,
    ),
    Proof(
        name="stream register: in order",
        claim="every beat leaves once, unchanged, in order",
        circuits={"": lambda s: in_order(s, StreamRegister(4))},
        unbounded=False,
        depth=16,
    ),
    Proof(
        name="hand-over: in order",
        claim="every load of sums leaves as often as it is to be repeated, lowest lanes first",
        circuits={"": turned},
        unbounded=False,
        depth=16,
        reach=14,
    ),
    *(
        Proof(
            name=f"{name}: live",
            claim=f"an offered beat is accepted within {limit} cycles if what leaves is taken"
            if limit
            else "an offered beat is accepted at once if what leaves is taken",
            circuits={"": partial(accepted, name=name, cycles=limit)},
            unbounded=True,
            depth=limit + 4,
        )
        for name, limit in LIMITS.items()
    ),
]
