"""The self-test on the chip: replays the reference inputs forever and checks every logit."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.configuration import TopConfig
from hw.layouts import bursts_layout
from hw.logic import counter
from hw.memory import Inventory, MemoryDeclaration, inventory
from hw.stages.readout_unit import logits_of, result_layout
from hw.stream_register import StreamRegister


@dataclass(frozen=True, kw_only=True)
class SelfTestVectors:
    """``beats``: the beats of all inputs as integers, in order; empty for no self-test. ``logits``: the expected ones,
    or empty."""

    beats: Sequence[int]
    logits: Sequence[int]


def samples_memory(config: TopConfig, depth: int, beats: Sequence[int] = ()) -> MemoryDeclaration:
    """The reference inputs: ``depth`` beats, and their contents if these are known."""
    return MemoryDeclaration(
        name="samples",
        depth=depth,
        layout=unsigned(config.input.group * config.input.burst_bits),
        style="block",
        words=lambda: beats,
    )


def expected_memory(config: TopConfig, depth: int, logits: Sequence[int] = ()) -> MemoryDeclaration:
    """The expected logits: ``depth`` beats of results, and the logits in them if these are known."""
    together, bits = config.readout.classes_per_beat, config.readout.logit_bits

    def words() -> list[int]:
        return [packed(logits[first : first + together], bits) for first in range(0, len(logits), together)]

    return MemoryDeclaration(name="expected", depth=depth, layout=signed(together * bits), style="block", words=words)


def packed(logits: Sequence[int], bits: int) -> int:
    """Several logits as one signed number, the first one lowest."""
    *lower, highest = logits
    low = sum((logit & (1 << bits) - 1) << bits * place for place, logit in enumerate(lower))
    return low + (highest << bits * len(lower))


def self_test_memories(config: TopConfig, vectors: SelfTestVectors) -> Inventory:
    """The memories of a :class:`SelfTest`."""
    if vectors.beats:
        yield from inventory(samples_memory(config, len(vectors.beats), vectors.beats))
    if vectors.logits:
        yield from inventory(expected_memory(config, result_beats(config, vectors), vectors.logits))


def result_beats(config: TopConfig, vectors: SelfTestVectors) -> int:
    """Beats of all expected results."""
    return len(vectors.logits) // config.readout.classes_per_beat


class SelfTest(wiring.Component):
    """Offers the reference inputs one after another, forever, and checks the results.

    Ports:
        bursts, results: to and from :class:`hw.top.NetworkTop`.
        allowed: another inference may begin; one that has begun is always finished.
        offering: an inference has begun, and some of its beats are not taken yet.
        complete: every input has been offered at least once.
        passed: every logit so far was right, and all inputs have been run at least once.
        failed: some logit was wrong; stays 1 until reset.

    Throughput: one beat per cycle each way. Latency: ``latency`` = 3 cycles from a result to ``failed``, and from
    ``allowed`` to the first beat.
    """

    latency = 3

    def __init__(self, config: TopConfig, vectors: SelfTestVectors) -> None:
        self.vectors = vectors
        self.config = config
        super().__init__(
            {
                "bursts": Out(stream.Signature(bursts_layout(config.input.group, config.input.burst_bits))),
                "results": In(stream.Signature(result_layout(config.readout))),
                "allowed": In(1),
                "offering": Out(1),
                "complete": Out(1),
                "passed": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.vectors.beats:
            self._offer(m)
        taken = Signal()
        m.d.comb += [self.results.ready.eq(1), taken.eq(self.results.valid)]
        if self.vectors.logits:
            self._check(m, taken)
        return m

    def _offer(self, m: Module) -> None:
        beats, payload = self.vectors.beats, self.bursts.payload
        declaration = samples_memory(self.config, len(beats), beats)
        m.submodules[declaration.name] = samples = declaration.memory()
        m.submodules.register = register = StreamRegister(payload.shape())
        connect(m, register.leaving, flipped(self.bursts))
        read = samples.read_port()
        moving = Signal()
        fetching = Signal()
        fetched = Signal()
        next_beat, all_offered = counter(m, "next_beat", len(beats), fetching)
        beat, _ = counter(m, "beat", self.config.beats_per_result, fetching)
        m.d.comb += [
            moving.eq(register.arriving.ready),
            fetching.eq(moving & ((beat != 0) | self.allowed)),
            read.en.eq(moving),
            read.addr.eq(next_beat),
        ]
        m.d.sync += self.complete.eq(self.complete | (fetching & all_offered))
        with m.If(moving):
            m.d.sync += fetched.eq(fetching)
        # A register after the block RAMs, whose output comes late in a cycle, and through a multiplexer if it is deep.
        held = Signal()
        word = Signal(payload.shape(), reset_less=True)
        with m.If(moving):
            m.d.sync += [held.eq(fetched), word.eq(read.data)]
        m.d.comb += [
            register.arriving.valid.eq(held),
            register.arriving.payload.eq(word),
            self.offering.eq(fetched | held | self.bursts.valid),
        ]

    def _check(self, m: Module, taken: Signal) -> None:
        beats = result_beats(self.config, self.vectors)
        declaration = expected_memory(self.config, beats, self.vectors.logits)
        m.submodules[declaration.name] = expected = declaration.memory()
        read = expected.read_port()
        position, all_seen = counter(m, "position", beats, taken)
        m.d.comb += [read.en.eq(1), read.addr.eq(position)]

        # The memory's output comes one cycle after the result, and is registered before it is compared.
        all_taken = Signal()
        asked = Signal()
        checking = Signal()
        asked_logit = Signal(declaration.layout, name="asked_logit", reset_less=True)
        logit = Signal.like(asked_logit, name="logit")
        expected_logit = Signal.like(asked_logit, name="expected_logit")
        m.d.sync += [
            asked.eq(taken),
            asked_logit.eq(Cat(logits_of(self.results.payload))),
            checking.eq(asked),
            logit.eq(asked_logit),
            expected_logit.eq(read.data),
            all_taken.eq(all_taken | (taken & all_seen)),
            self.passed.eq(all_taken & ~self.failed),
        ]
        with m.If(checking & (logit != expected_logit)):
            m.d.sync += self.failed.eq(1)
