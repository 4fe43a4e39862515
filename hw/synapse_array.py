"""Accumulate-only synapse array: every event adds one weight row, shifted by its bit-plane, into all lanes."""

from amaranth.hdl import Module, ResetSignal, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.configuration import ProjectionConfig
from hw.scanner import event_layout


def sums_layout(lanes: int, bits: int) -> data.ArrayLayout:
    """Payload of a stream of accumulated sums, one for each lane."""
    return data.ArrayLayout(signed(bits), lanes)


class SynapseArray(wiring.Component):
    """Accumulates ``w << plane`` of one weight row an event in P lanes (docs/design.md, integer form).

    ::

        event --> row address | weight memory | weight register | lanes: sum += w << plane --> sums
        cycle      0                1                 2

    Throughput: one event a cycle, without a gap between accumulations. Latency: ``latency`` = 2 cycles from an
    accepted closing event to its sums. While the sums are not taken the array stands still; after they are
    taken every lane starts from 0. The memory's output has a register of its own, so that no block RAM drives
    an adder. No width is ever exceeded: ``accumulator_bits`` bounds every partial sum in any order of events.

    Ports:
        events: ``event_layout(folds * rows, burst_bits)``.
        sums: ``sums_layout(lanes, accumulator_bits)``, one beat an accumulation.
    """

    latency = 2

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config
        events = event_layout(len(config.weight_words), config.source.burst_bits)
        super().__init__(
            {
                "events": In(stream.Signature(events)),
                "sums": Out(stream.Signature(sums_layout(config.lanes, config.accumulator_bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, event = self.config, self.events.payload
        row_layout = data.ArrayLayout(signed(config.weight_bits), config.lanes)
        m.submodules.weights = weights = Memory(
            shape=row_layout,
            depth=len(config.weight_words),
            init=[row_layout.from_bits(word) for word in config.weight_words],
            attrs={"ram_style": config.weight_memory},
        )
        read = weights.read_port()

        moving = Signal()
        m.d.comb += [
            moving.eq(~self.sums.valid | self.sums.ready),
            self.events.ready.eq(moving),
            read.en.eq(moving),
            read.addr.eq(event.row),
        ]

        fetched = Signal()
        fetched_event = Signal(self.events.payload.shape(), reset_less=True)
        ready = Signal()
        last = Signal()
        plane = Signal.like(event.plane, name="plane", reset_less=True)
        weight = Signal(row_layout, reset_less=True)
        with m.If(moving):
            m.d.sync += [
                fetched.eq(self.events.valid),
                fetched_event.eq(event),
                ready.eq(fetched),
                last.eq(fetched_event.last),
                plane.eq(fetched_event.plane),
                weight.eq(read.data),
            ]
            with m.If(~fetched_event.spike):
                m.d.sync += weight.eq(0)

        # One clear for both reasons leaves each lane a flip-flop with clear and enable behind its adder, and no more.
        clear = Signal()
        m.d.comb += [
            self.sums.valid.eq(ready & last),
            clear.eq(ResetSignal() | (ready & moving & last)),
        ]
        for lane in range(config.lanes):
            accumulator = Signal(signed(config.accumulator_bits), name=f"accumulator_{lane}", reset_less=True)
            total = Signal(signed(config.accumulator_bits), name=f"sum_{lane}")
            m.d.comb += [
                total.eq(accumulator + (weight[lane] << plane)),
                self.sums.payload[lane].eq(total),
            ]
            with m.If(clear):
                m.d.sync += accumulator.eq(0)
            with m.Elif(ready & moving):
                m.d.sync += accumulator.eq(total)
        return m
