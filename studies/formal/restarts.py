"""Proofs that a reset leaves nothing behind: whatever state it meets, the component then does what a new one does."""

from functools import partial

from amaranth.hdl import ResetInserter, Signal, Value

from studies.formal.components import STAGES
from studies.formal.proof import Proof, Statement


def as_new(s: Statement, name: str) -> None:
    """Two of a component begin in any states; one is reset at some time, the other until then; then all is equal."""
    make, arriving_name, leaving_name = STAGES[name]
    used, new = make(), make()
    s.free(reset := Signal(name="reset"))
    over = s.kept(1, reset)
    s.module.submodules.used = ResetInserter(reset)(used)
    s.module.submodules.new = ResetInserter(reset | ~over)(new)
    arriving, leaving = ([getattr(one, port) for one in (used, new)] for port in (arriving_name, leaving_name))
    s.free(arriving[0].valid, arriving[0].payload, leaving[0].ready)
    s.module.d.comb += [
        arriving[1].valid.eq(arriving[0].valid),
        arriving[1].payload.eq(arriving[0].payload),
        leaving[1].ready.eq(leaving[0].ready),
    ]
    payloads = [s.name(Value.cast(one.payload), len(Value.cast(one.payload))) for one in leaving]
    compared = over & ~reset
    s.claim(~compared | (arriving[0].ready == arriving[1].ready))
    s.claim(~compared | (leaving[0].valid == leaving[1].valid))
    s.claim(~compared | ~leaving[0].valid | (payloads[0] == payloads[1]))
    s.witness(compared & leaving[0].valid)


QUICK = ("synapse array", "stream register")
"""Components whose proof takes few seconds."""
CYCLES = {
    "synapse array, two banks": 6,
    "receptive field": 14,
    "neuron bank": 10,
    "neuron bank, time-major": 10,
    "frame readout": 12,
    "pooling": 24,
    "readout": 10,
    "readout, two classes per beat": 10,
    "sliding pooling": 20,
}
"""As many as a beat takes from a reset to the other end, and a few more; 8 elsewhere."""

PROOFS = [
    Proof(
        name=f"{name}: reset",
        claim="whatever state a reset meets, the component then does what a new one does",
        circuits={"": partial(as_new, name=name)},
        unbounded=False,
        depth=CYCLES.get(name, 8),
        reach=24,
        any_state=True,
    )
    for name in STAGES
    if name != "fork"
]
QUICK_PROOFS = [proof for proof in PROOFS if proof.name.removesuffix(": reset") in QUICK]
