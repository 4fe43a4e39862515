"""Proofs about numbered timesteps: each is executed once, and what is repeated or out of sequence changes nothing."""

from amaranth.hdl import Cat, Fragment, Mux, Signal

from hw.link.configuration import LinkConfig
from hw.link.requests import RequestReader
from hw.link.steps import StepCounter
from qblif.protocol import Command, Error, Identity
from qblif.streams import BurstStream
from studies.formal.proof import Proof, Statement

DATA_BYTES = 2
STEPS_PER_RESULT = 3
LINK = LinkConfig(
    identity=Identity(
        network_sha256=bytes(32),
        shape=(8, 1, 1),
        coding="events",
        bits=2,
        mode="window",
        timesteps=STEPS_PER_RESULT,
        stream=BurstStream(steps=1, beats=4, group=2, burst_bits=2),
        classes=2,
        logit_bytes=1,
        fraction_bits=0,
        clock_hz=12_000_000,
        baud=3_000_000,
        window=1,
        counters=(),
    ),
    divisor=4,
)
"""Timesteps of two bytes, three for each result."""
KIND, ID, NUMBER, DATA = range(4)
"""Places in a record; its data begins at the last of them."""


def numbered(s: Statement) -> None:
    """A second reading of the records, from the protocol's text, says which bytes may enter the network."""
    m, reader, steps = s.module, RequestReader(LINK), StepCounter(STEPS_PER_RESULT)
    inside = s.add(reader)
    m.submodules.steps = counted = Fragment.get(steps, None)
    inside |= {signal.name: signal for one in counted.statements["sync"] for signal in one._lhs_signals()}
    records, bursts, jobs = reader.records, reader.bursts, reader.jobs
    s.free(records.valid, records.payload, bursts.ready, jobs.ready, reader.idle, steps.numbered)
    m.d.comb += [
        steps.number.eq(reader.number),
        steps.execute.eq(reader.execute),
        reader.is_next.eq(steps.is_next),
        reader.is_last.eq(steps.is_last),
    ]
    taken = records.valid & records.ready
    place = Signal(3)
    is_step, executing, refused, begun = Signal(), Signal(), Signal(), Signal()
    wanted = Signal(8)
    last = (wanted - 1)[:8]
    is_next = steps.numbered & (records.payload == wanted)
    with m.If(taken):
        m.d.sync += place.eq(place + 1)
        with m.Switch(place):
            with m.Case(KIND):
                # The receiver lets no command of another kind of device through.
                m.d.sync += [is_step.eq(records.payload == Command.STEP), executing.eq(0), refused.eq(0)]
            with m.Case(ID):
                m.d.sync += place.eq(Mux(is_step, NUMBER, KIND))
            with m.Case(NUMBER):
                m.d.sync += [executing.eq(is_next), refused.eq(~is_next & ~(begun & (records.payload == last)))]
                with m.If(is_next):
                    m.d.sync += [wanted.eq(wanted + 1), begun.eq(1)]
            with m.Case(DATA + DATA_BYTES - 1):
                m.d.sync += place.eq(KIND)
    s.assume(~records.valid | (place != KIND) | (records.payload != Command.INFER))

    s.claim(bursts.valid == (records.valid & executing & (place >= DATA)))
    s.claim(~bursts.valid | (bursts.payload == records.payload))
    s.claim(~bursts.valid | (records.ready == bursts.ready))
    s.claim(steps.next == wanted)
    kind = jobs.payload.kind
    s.claim(~(jobs.valid & is_step) | (kind == Mux(refused, Error.OUT_OF_SEQUENCE, Command.STEP)))
    s.claim(~jobs.valid | (place == KIND))
    s.witness(jobs.valid & is_step & ~executing & ~refused)
    s.witness(jobs.valid & is_step & refused & begun)
    s.witness(jobs.valid & is_step & executing & (wanted == 2))

    # What holds in every state that both can reach together; the induction leans on it. The reader's states are
    # numbered in the order in which they are first mentioned: KIND, ID, ANNOUNCE, NUMBER, FEED, ANSWER.
    state = inside["state_state"]
    for at, states in {KIND: (0, 2, 5), ID: (1,), NUMBER: (3,)}.items():
        s.claim((place == at) == Cat(state == one for one in states).any())
    s.claim((place < DATA + DATA_BYTES) & (state <= 5))
    s.claim(inside["fed"] == Mux(place < DATA, 0, place - DATA))
    s.claim((place < DATA) | (inside["dropping"] == ~executing))
    s.claim((place < NUMBER) | is_step)
    s.claim((place != ID) | ((kind == Command.STEP) == is_step))
    s.claim((place != NUMBER) | (kind == Command.STEP))
    s.claim((place < DATA) | (kind == Mux(refused, Error.OUT_OF_SEQUENCE, Command.STEP)))
    s.claim(((place != KIND) & (place != ID)) | (kind != Command.INFER) | (state != 2))
    s.claim((place != ID) | (kind != Command.INFER))
    s.claim((inside["begun"] == begun) & (~begun | (inside["last"] == last)))


PROOFS = [
    Proof(
        name="timesteps: executed once",
        claim="just the bytes of timesteps with the next number enter the network; one with the last number is "
        "answered like that one, any other is announced as out of sequence",
        circuits={"": numbered},
        unbounded=True,
        depth=2,
        reach=30,
    )
]
