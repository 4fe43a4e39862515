"""AXI4-Stream: packets of samples become beats of bursts, results become packets.

AMBA 4 AXI4-Stream Protocol (ARM IHI 0051).
"""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.stages.readout_unit import ReadoutConfig, result_layout
from hw.stream_register import StreamRegister

MOST_IN_FLIGHT = 16
"""Samples that have been taken and whose results have not left."""
SHORTEST_WORD, LONGEST_WORD = 32, 64
BAD_BIT = 31
"""The bit of a result's last word that marks a bad sample."""


class AxiStreamSignature(wiring.Signature):
    """An AXI4-Stream master without null bytes.

    Args:
        data_bits: bits of ``tdata``, whole bytes.
        user_bits: bits of ``tuser``; 0 for none.
    """

    def __init__(self, data_bits: int, user_bits: int = 0) -> None:
        user = {"tuser": Out(user_bits)} if user_bits else {}
        super().__init__({"tdata": Out(data_bits), "tvalid": Out(1), "tready": In(1), "tlast": Out(1), **user})


def sample_bits(beat_bits: int) -> int:
    """Bits of ``tdata`` for a beat of the network: whole bytes."""
    return -(-beat_bits // 8) * 8


def result_bits(logit_bits: int) -> int:
    """Bits of ``tdata`` for a logit: 32, or 64 if it needs more."""
    return SHORTEST_WORD if logit_bits <= SHORTEST_WORD else LONGEST_WORD


class SampleReceiver(wiring.Component):
    """Turns each packet into the beats of one sample, whatever the packet's length.

    A short packet is completed with zeros. Of a long packet the surplus is dropped. Either way the network gets a whole
    sample and gives a result, which is marked as bad, and the next packet begins a new sample. After a restart the rest
    of a packet that had begun is dropped without a mark.

    Throughput: a beat per cycle. ``port.tready`` depends on ``bursts.ready`` of the same cycle, and on nothing of
    ``port``.

    Args:
        beat_layout: payload of the network's input.
        beats: beats of a sample.

    Ports:
        port: packets; the beat is in the lowest bits of ``tdata``, the others are ignored.
        bursts: beats of the network.
        marks: for every sample, with its last beat, whether it is bad.
        hold: begin no further sample.
        restart: the network restarts; nothing is sent.
        short, long: a packet was too short or too long, for one cycle.
        between: no sample is in progress.
    """

    def __init__(self, beat_layout: data.ArrayLayout, beats: int) -> None:
        self.beats = beats
        self.bits = Shape.cast(beat_layout).width
        super().__init__(
            {
                "port": In(AxiStreamSignature(sample_bits(self.bits))),
                "bursts": Out(stream.Signature(beat_layout)),
                "marks": Out(stream.Signature(1)),
                "hold": In(1),
                "restart": In(1),
                "short": Out(1),
                "long": Out(1),
                "between": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port, bursts, marks = self.port, self.bursts, self.marks
        # A beat waits in a register, which is cleared when its packet has ended too early: what is then sent are zeros.
        # What is left of a packet when its sample is complete is dropped.
        beat = Signal(self.bits, reset_less=True)
        last = Signal(reset_less=True)
        full = Signal()
        filling = Signal()
        dropping = Signal()
        begun = Signal()
        inside = Signal()
        sent = Signal()
        used = Signal()
        position = Signal(range(max(2, self.beats)))
        ends = Signal(init=self.beats == 1)
        still_inside = Mux(used, ~last, inside)
        offered = (filling | (full & ~dropping)) & (begun | ~self.hold) & ~self.restart
        m.d.comb += [
            bursts.valid.eq(offered & (~ends | marks.ready)),
            bursts.payload.as_value().eq(beat),
            sent.eq(bursts.valid & bursts.ready),
            used.eq(full & (dropping | sent)),
            port.tready.eq((~full | used) & ~filling & ~self.short),
            marks.valid.eq(sent & ends),
            marks.payload.eq(filling | ~last),
            self.short.eq(sent & ~filling & last & ~ends),
            self.long.eq(sent & ~filling & ~last & ends),
            self.between.eq(~begun),
        ]
        m.d.sync += inside.eq(still_inside)
        with m.If(used):
            m.d.sync += full.eq(0)
            with m.If(last):
                m.d.sync += dropping.eq(0)
        with m.If(port.tvalid & port.tready):
            m.d.sync += [full.eq(1), last.eq(port.tlast)]
        with m.If(self.short):
            m.d.sync += [beat.eq(0), filling.eq(1)]
        with m.Elif(port.tready):
            m.d.sync += beat.eq(port.tdata)
        with m.If(sent):
            m.d.sync += [
                position.eq(Mux(ends, 0, position + 1)),
                ends.eq(Const(self.beats == 1) | (position == self.beats - 2)),
                begun.eq(~ends),
            ]
            with m.If(ends):
                m.d.sync += filling.eq(0)
        with m.If(self.long):
            m.d.sync += dropping.eq(1)
        with m.If(self.restart):
            m.d.sync += [
                position.eq(0),
                ends.eq(self.beats == 1),
                begun.eq(0),
                filling.eq(0),
                dropping.eq(still_inside),
            ]
        return m


class ResultSender(wiring.Component):
    """Turns each result into a packet: the logit of every class, then a word with the class.

    A restart completes a packet that has begun, with logits 0, class 0 and the mark of a bad sample; results that have
    not begun to leave are lost.

    Throughput: a word per cycle. No output of ``port`` depends on an input of the same cycle.

    Args:
        readout: the network's readout, with one class per beat.

    Ports:
        results: results of the network.
        marks: for every result, whether its sample is bad.
        port: packets: logits, sign-extended; then the class in bits 15 to 0 and the mark in bit ``BAD_BIT``, and in
            ``tuser`` of this word.
        restart: the network restarts.
        finished: the last word of a packet has been taken, for one cycle.
        idle: no packet is in progress.
    """

    def __init__(self, readout: ReadoutConfig) -> None:
        self.readout = readout
        self.bits = result_bits(readout.logit_bits)
        super().__init__(
            {
                "results": In(stream.Signature(result_layout(readout))),
                "marks": In(stream.Signature(1)),
                "port": Out(AxiStreamSignature(self.bits, user_bits=1)),
                "restart": In(1),
                "finished": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        results, marks, port = self.results, self.marks, self.port
        layout = data.StructLayout({"data": self.bits, "last": 1, "bad": 1})
        m.submodules.departure = departure = StreamRegister(layout)
        leaving = departure.arriving
        m.d.comb += [
            port.tvalid.eq(departure.leaving.valid),
            port.tdata.eq(departure.leaving.payload.data),
            port.tlast.eq(departure.leaving.payload.last),
            port.tuser.eq(departure.leaving.payload.bad),
            departure.leaving.ready.eq(port.tready),
            self.finished.eq(port.tvalid & port.tready & port.tlast),
        ]
        # Words come from the result until it is complete or cut off; then zeros fill up the logits, and the class ends
        # the packet.
        cut = Signal()
        bad = Signal()
        classified = Signal()
        sent = Signal()
        winner = Signal.like(results.payload.winner, name="winner")
        index = Signal(range(self.readout.classes + 1))
        m.d.comb += [
            sent.eq(leaving.valid & leaving.ready),
            classified.eq(index == self.readout.classes),
            leaving.valid.eq(classified | cut | (results.valid & marks.valid & ~self.restart)),
            results.ready.eq(leaving.ready & marks.valid & ~classified & ~cut & ~self.restart),
            marks.ready.eq(results.valid & results.ready & results.payload.last),
            leaving.payload.last.eq(classified),
            leaving.payload.bad.eq(classified & bad),
            self.idle.eq((index == 0) & ~departure.leaving.valid),
        ]
        with m.If(classified):
            m.d.comb += leaving.payload.data.eq(Cat(winner, Const(0, BAD_BIT - len(winner)), bad))
        with m.Elif(~cut):
            m.d.comb += leaving.payload.data.eq(results.payload.logit.as_signed())
        with m.If(sent):
            m.d.sync += index.eq(Mux(classified, 0, index + 1))
            with m.If(~cut & ~classified):
                m.d.sync += [winner.eq(results.payload.winner), bad.eq(marks.payload)]
            with m.If(classified):
                m.d.sync += cut.eq(0)
        with m.If(self.restart & ~classified & (index != 0)):
            m.d.sync += [cut.eq(1), winner.eq(0), bad.eq(1)]
        return m
