"""Receptive field of a dense layer: keeps a whole input so that it can be read again, or in another order."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.configuration import BurstStream
from hw.logic import counter
from hw.plan import MemoryStyle
from hw.scanner import bursts_layout


class DenseReceptiveField(wiring.Component):
    """Double-buffered memory of one whole input, all timesteps of it.

    The source arrives in the order fold of the source -> timestep -> beat; it leaves, once for every fold of the
    layer that reads it, in the order timestep -> fold of the source -> beat. While one input is read the next
    is written into the other half.

    Throughput: one beat a cycle. Latency: ``latency`` = 2 cycles from an input's last beat to its first beat out.

    Ports:
        arriving, leaving: ``bursts_layout(group, burst_bits)``.
    """

    latency = 2

    def __init__(self, *, source: BurstStream, folds: int, memory: MemoryStyle) -> None:
        self.source, self.folds, self.memory = source, folds, memory
        layout = bursts_layout(source.group, source.burst_bits)
        super().__init__({"arriving": In(stream.Signature(layout)), "leaving": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source = self.source
        beats = source.beats * source.folds * source.steps
        m.submodules.buffer = buffer = Memory(
            shape=self.arriving.payload.shape(),
            depth=2 * 2 ** (beats - 1).bit_length(),
            init=[],
            attrs={"ram_style": self.memory},
        )
        write, read = buffer.write_port(), buffer.read_port()
        full = Signal(2)
        written_half = Signal()
        read_half = Signal()

        m.d.comb += [
            self.arriving.ready.eq(~full.bit_select(written_half, 1)),
            write.en.eq(self.arriving.valid & self.arriving.ready),
            write.data.eq(self.arriving.payload),
        ]
        position, input_ends = counter(m, "written", beats, write.en)
        m.d.comb += write.addr.eq(Cat(position, written_half) if beats > 1 else written_half)
        with m.If(write.en & input_ends):
            m.d.sync += [full.bit_select(written_half, 1).eq(1), written_half.eq(~written_half)]

        reading = Signal()
        done = Signal()
        m.d.comb += [
            read.en.eq(~self.leaving.valid | self.leaving.ready),
            reading.eq(read.en & full.bit_select(read_half, 1)),
            self.leaving.payload.eq(read.data),
        ]
        address = self._count_reads(m, reading, done)
        m.d.comb += read.addr.eq(Cat(address, read_half) if beats > 1 else read_half)
        with m.If(read.en):
            m.d.sync += self.leaving.valid.eq(reading)
        with m.If(reading & done):
            m.d.sync += [full.bit_select(read_half, 1).eq(0), read_half.eq(~read_half)]
        return m

    def _count_reads(self, m: Module, reading: Signal, done: Signal) -> Signal:
        """Address of the next beat to leave; drives ``done`` on the last one of an input."""
        source = self.source
        address = Signal(range(source.beats * source.folds * source.steps))
        step_address = Signal.like(address, name="step_address")
        beat_ends = counter(m, "beat", source.beats, reading)[1]
        part_ends = beat_ends & counter(m, "part", source.folds, reading & beat_ends)[1]
        step_ends = part_ends & counter(m, "step", source.steps, reading & part_ends)[1]
        m.d.comb += done.eq(step_ends & counter(m, "pass", self.folds, reading & step_ends)[1])
        with m.If(reading):
            next_step = Mux(step_ends, 0, step_address + source.beats)
            m.d.sync += address.eq(
                Mux(part_ends, next_step, Mux(beat_ends, address + (source.steps - 1) * source.beats + 1, address + 1))
            )
            with m.If(part_ends):
                m.d.sync += step_address.eq(next_step)
        return address
