"""Answerer: the frame that answers each job, and the checksum after it."""

from amaranth.hdl import Array, Cat, Const, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from hw.link.cobs import framed_layout
from hw.link.configuration import LinkConfig
from hw.link.requests import job_layout
from hw.memory import MemoryDeclaration
from hw.stages.readout_unit import ReadoutConfig, result_layout
from qblif.protocol import (
    ANSWER,
    COUNTER_BYTES,
    CRC_BYTES,
    HEADER_BYTES,
    NUMBER_BYTES,
    WINNER_BYTES,
    Command,
    Error,
)


def identity_memory(depth: int, identity: bytes = b"") -> MemoryDeclaration:
    """The identity of the device: ``depth`` bytes, and their contents if these are known."""
    return MemoryDeclaration(name="identity", depth=depth, layout=8, style="block", words=lambda: identity)


class Answerer(wiring.Component):
    """Answers jobs in order; a sample or timestep that gives a result is answered when that arrives.

    Throughput: one byte per cycle, plus one cycle per logit; three cycles per byte of identity, two per byte of
    counters.

    Ports:
        jobs: ``job_layout()``; a job is taken when its answer has left.
        results: results of the network.
        completes: the timestep gives a result.
        next_step: number of the next timestep, which an ``OUT_OF_SEQUENCE`` names.
        counter, turn: next byte of the activity counters, and the request for the byte after it.
        leaving: ``framed_layout()``, without checksum.
    """

    def __init__(self, config: LinkConfig, readout: ReadoutConfig) -> None:
        self.config = config
        super().__init__(
            {
                "jobs": In(stream.Signature(job_layout())),
                "results": In(stream.Signature(result_layout(readout))),
                "completes": In(1),
                "next_step": In(8 * NUMBER_BYTES),
                "counter": In(8),
                "turn": Out(1),
                "leaving": Out(stream.Signature(framed_layout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        identity = self.config.identity
        job, result, leaving = self.jobs.payload, self.results.payload, self.leaving.payload
        declaration = identity_memory(len(identity.to_bytes()), identity.to_bytes())
        m.submodules[declaration.name] = rom = declaration.memory()
        read = rom.read_port()
        counter_bytes = COUNTER_BYTES * len(identity.counters)

        # The lowest of ``left + 1`` bytes of ``word`` is sent next; they are the frame's last ones if ``closing`` is 1.
        header_bytes = HEADER_BYTES + (NUMBER_BYTES if self.config.steps else 0)
        most_bytes = max(identity.logit_bytes, WINNER_BYTES, header_bytes)
        word = Signal(signed(8 * most_bytes))
        left = Signal(range(most_bytes))
        closing = Signal()
        kind = Signal(8)
        position = Signal(range(max(rom.depth, counter_bytes)))
        winner = Signal.like(result.winner, name="winner")
        all_results = Signal()
        sent = Signal()
        # A register after the block RAM, whose output comes late in a cycle.
        fetched = Signal(8)
        m.d.sync += fetched.eq(read.data)
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(position),
            leaving.byte.eq(word[:8]),
            leaving.last.eq(closing & (left == 0)),
            sent.eq(self.leaving.valid & self.leaving.ready),
            self.jobs.ready.eq(sent & leaving.last),
        ]
        with m.FSM(name="state"):
            with m.State("IDLE"), m.If(self.jobs.valid):
                m.d.sync += [
                    word.eq(Cat(job.kind | ANSWER, job.id, self.next_step, Const(0, 1))),
                    left.eq(HEADER_BYTES - 1),
                    kind.eq(job.kind),
                    position.eq(0),
                    all_results.eq(0),
                    closing.eq(1),
                ]
                m.next = "SEND"
                with m.Switch(job.kind):
                    with m.Case(Command.INFER, Command.IDENTIFY, Command.COUNTERS):
                        m.d.sync += closing.eq(0)
                    if self.config.steps:
                        with m.Case(Command.STEP):
                            m.d.sync += closing.eq(~self.completes)
                        with m.Case(Error.OUT_OF_SEQUENCE):
                            m.d.sync += left.eq(header_bytes - 1)
            with m.State("SEND"):
                m.d.comb += self.leaving.valid.eq(1)
                with m.If(sent):
                    m.d.sync += [word.eq(word >> 8), left.eq(left - 1)]
                with m.If(sent & (left == 0)):
                    m.next = "IDLE"
                    with m.If(~closing), m.Switch(kind):
                        with m.Case(identity.command):
                            m.next = "RESULT"
                        with m.Case(Command.IDENTIFY):
                            m.next = "FETCH"
                        with m.Case(Command.COUNTERS):
                            m.next = "COUNTER"
            with m.State("RESULT"):
                with m.If(all_results):
                    m.d.sync += [word.eq(winner), left.eq(WINNER_BYTES - 1), closing.eq(1)]
                    m.next = "SEND"
                with m.Else():
                    m.d.comb += self.results.ready.eq(1)
                    m.d.sync += [word.eq(result.logit), left.eq(identity.logit_bytes - 1), winner.eq(result.winner)]
                    with m.If(self.results.valid):
                        m.d.sync += all_results.eq(result.last)
                        m.next = "SEND"
            with m.State("FETCH"):
                m.next = "IDENTITY"
            with m.State("IDENTITY"):
                m.d.sync += [word.eq(fetched), left.eq(0), closing.eq(position == rom.depth - 1)]
                m.d.sync += position.eq(position + 1)
                m.next = "SEND"
            with m.State("COUNTER"):
                m.d.comb += self.turn.eq(1)
                m.d.sync += [word.eq(self.counter), left.eq(0), closing.eq(position == counter_bytes - 1)]
                m.d.sync += position.eq(position + 1)
                m.next = "SEND"
        return m


class FrameSealer(wiring.Component):
    """Appends the CRC-32 to each frame, lowest byte first. Throughput: one byte per cycle.

    Ports:
        arriving, leaving: ``framed_layout()``.
    """

    def __init__(self) -> None:
        layout = framed_layout()
        super().__init__({"arriving": In(stream.Signature(layout)), "leaving": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        position = Signal(range(CRC_BYTES))
        sent = Signal()
        m.d.comb += [sent.eq(self.leaving.valid & self.leaving.ready), crc.data.eq(self.arriving.payload.byte)]
        with m.FSM(name="state"):
            with m.State("BODY"):
                m.d.comb += [
                    self.leaving.valid.eq(self.arriving.valid),
                    self.leaving.payload.byte.eq(self.arriving.payload.byte),
                    self.arriving.ready.eq(self.leaving.ready),
                    crc.valid.eq(sent),
                ]
                with m.If(sent & self.arriving.payload.last):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [
                    self.leaving.valid.eq(1),
                    self.leaving.payload.byte.eq(
                        Array(crc.crc[8 * index :][:8] for index in range(CRC_BYTES))[position]
                    ),
                    self.leaving.payload.last.eq(position == CRC_BYTES - 1),
                ]
                with m.If(sent):
                    m.d.sync += position.eq(position + 1)
                    with m.If(position == CRC_BYTES - 1):
                        m.d.comb += crc.start.eq(1)
                        m.next = "BODY"
        return m
