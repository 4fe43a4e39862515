"""Request reader: announces every record to the answerer and feeds samples and timesteps to the network."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import bursts_layout
from hw.link.configuration import LinkConfig
from hw.logic import counter
from qblif.protocol import NUMBER_BYTES, Command, Error
from qblif.streams import BurstStream


def job_layout() -> data.StructLayout:
    """Payload of the stream of jobs: what is to be answered."""
    return data.StructLayout({"kind": 8, "id": 8})


class RequestReader(wiring.Component):
    """Reads records, announces them, and feeds their bursts to the network.

    A sample is announced first and then fed, so that the next one can follow at once. A timestep is announced when it
    has been fed, if it is the next one; its bursts are dropped if it is the last one again, or refused. After any
    record but a sample the reader waits until everything is answered: so the counters do not change while they are
    read, and the answer to a timestep lasts until the next.

    Throughput: one byte per cycle, plus two cycles per record.

    Ports:
        records: bytes of :class:`hw.link.receiver.FrameReceiver`.
        idle: everything announced so far is answered.
        jobs: ``job_layout()``.
        bursts: bytes of bursts.
        number, is_next, is_last, execute: as in :class:`hw.link.steps.StepCounter`.
    """

    def __init__(self, config: LinkConfig) -> None:
        self.config = config
        super().__init__(
            {
                "records": In(stream.Signature(8)),
                "idle": In(1),
                "jobs": Out(stream.Signature(job_layout())),
                "bursts": Out(stream.Signature(8)),
                "number": Out(8 * NUMBER_BYTES),
                "is_next": In(1),
                "is_last": In(1),
                "execute": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        identity, job = self.config.identity, self.jobs.payload
        feeding = Signal()
        dropping = Signal()
        fed = counter(m, "fed", identity.burst_bytes, feeding)[1]
        m.d.comb += self.number.eq(self.records.payload)
        with m.FSM(name="state"):
            with m.State("KIND"):
                m.d.comb += self.records.ready.eq(1)
                with m.If(self.records.valid):
                    m.d.sync += job.kind.eq(self.records.payload)
                    m.next = "ID"
            with m.State("ID"):
                m.d.comb += self.records.ready.eq(1)
                with m.If(self.records.valid):
                    m.d.sync += job.id.eq(self.records.payload)
                    m.next = "ANNOUNCE"
                    if self.config.steps:
                        with m.If(job.kind == Command.STEP):
                            m.next = "NUMBER"
            if self.config.steps:
                with m.State("NUMBER"):
                    m.d.comb += self.records.ready.eq(1)
                    with m.If(self.records.valid):
                        m.d.comb += self.execute.eq(self.is_next)
                        m.d.sync += dropping.eq(~self.is_next)
                        with m.If(~self.is_next & ~self.is_last):
                            m.d.sync += job.kind.eq(Error.OUT_OF_SEQUENCE)
                        m.next = "FEED"
            with m.State("ANNOUNCE"):
                m.d.comb += self.jobs.valid.eq(1)
                with m.If(self.jobs.ready):
                    m.next = "ANSWER"
                    with m.If(job.kind == Command.INFER):
                        m.next = "FEED"
            with m.State("FEED"):
                m.d.comb += [
                    self.bursts.valid.eq(self.records.valid & ~dropping),
                    self.bursts.payload.eq(self.records.payload),
                    self.records.ready.eq(self.bursts.ready | dropping),
                    feeding.eq(self.records.valid & self.records.ready),
                ]
                with m.If(feeding & fed):
                    m.next = "ANNOUNCE" if self.config.steps else "KIND"
            with m.State("ANSWER"), m.If(self.idle):
                m.next = "KIND"
        return m


class BeatUnpacker(wiring.Component):
    """Gathers beats from bytes, one bit per cycle, lowest first; unused bits of a request's last byte are dropped.

    Ports:
        arriving: bytes.
        bursts: ``bursts_layout(group, burst_bits)`` of the stream.
    """

    def __init__(self, stream_shape: BurstStream) -> None:
        self.stream_shape = stream_shape
        layout = bursts_layout(stream_shape.group, stream_shape.burst_bits)
        super().__init__({"arriving": In(stream.Signature(8)), "bursts": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = Signal(8)
        left = Signal(range(9))
        beat = Signal(len(self.bursts.payload.as_value()), reset_less=True)
        moving = Signal()
        m.d.comb += [
            self.bursts.payload.eq(beat),
            self.arriving.ready.eq(left == 0),
            moving.eq((left != 0) & (~self.bursts.valid | self.bursts.ready)),
        ]
        beat_ends = counter(m, "bit", len(beat), moving)[1]
        inference_ends = counter(m, "beat", self.stream_shape.beats_per_inference, moving & beat_ends)[1]
        with m.If(self.bursts.ready):
            m.d.sync += self.bursts.valid.eq(0)
        with m.If(moving):
            m.d.sync += [bits.eq(bits >> 1), left.eq(left - 1), beat.eq(Cat(beat, bits[0])[1:])]
            with m.If(beat_ends):
                m.d.sync += self.bursts.valid.eq(1)
                with m.If(inference_ends):
                    m.d.sync += left.eq(0)
        with m.If(self.arriving.valid & self.arriving.ready):
            m.d.sync += [bits.eq(self.arriving.payload), left.eq(8)]
        return m
