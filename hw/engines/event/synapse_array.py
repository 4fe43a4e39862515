"""Accumulate-only synapse array: every event adds one weight row, shifted by its bit-plane, into all lanes."""

from amaranth.hdl import Cat, Module, Shape, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.engines.event.config import ProjectionConfig
from hw.engines.event.scanner import events_layout
from hw.layouts import sums_layout
from hw.logic import lookup, tree

MOST_ADDED = 4
"""Numbers of a lane that are added up within one cycle."""


def array_latency(banks: int) -> int:
    """Latency in cycles of a :class:`SynapseArray`: adding the events of several banks takes one more cycle, or more
    for more than ``MOST_ADDED`` banks."""
    cycles = 2
    while banks > 1:
        banks, cycles = -(-banks // MOST_ADDED), cycles + 1
    return cycles


class SynapseArray(wiring.Component):
    """Accumulates ``w << plane`` of one weight row per event in P lanes (docs/design.md, integer form).

    ::

        event --> row address | weight memory | weight register | lanes: sum += w << plane --> sums
        cycle      0                1                 2

    With E > 1, each bank has its own weight memory, and the shifted weights of all banks are added up before the
    lanes, which takes one more cycle, or two for more than ``MOST_ADDED`` banks.

    Throughput: E events per cycle, without a gap between accumulations. Latency: ``latency`` = 2 cycles (3 or 4 with
    several banks) from accepted closing events to their sums. While the sums are not taken the array stalls;
    after they are taken every lane starts from 0. The output of each memory is registered, so that no block RAM
    drives an adder. No sum overflows: ``accumulator_bits`` bounds every partial sum in any order of events.

    Ports:
        events: ``events_layout(banks, rows, burst_bits)``.
        sums: ``sums_layout(lanes, accumulator_bits)``, one beat per accumulation.
    """

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config
        events = events_layout(config.banks, config.rows, config.window.source.burst_bits)
        super().__init__(
            {
                "events": In(stream.Signature(events)),
                "sums": Out(stream.Signature(sums_layout(config.lanes, config.accumulator_bits))),
            }
        )

    @property
    def latency(self) -> int:
        return array_latency(self.config.banks)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        # In each cycle of the pipeline: whether there are events, and whether they close an accumulation.
        moving = Signal()
        present, closing = [self.events.valid], [self.events.valid & self.events.payload.last]
        for cycle in range(self.latency):
            present.append(Signal(name=f"present_{cycle}"))
            closing.append(Signal(name=f"closing_{cycle}"))
            with m.If(moving):
                m.d.sync += [present[-1].eq(present[-2]), closing[-1].eq(closing[-2])]
        # The scanner has a register of its own for sums that wait, so that the many lanes do not delay its ready.
        open_ = Signal(init=1, name="open")
        with m.If(moving):
            m.d.sync += open_.eq(~closing[-2])
        m.d.comb += [
            self.sums.valid.eq(closing[-1]),
            moving.eq(~closing[-1] | self.sums.ready),
            self.events.ready.eq(open_ | self.sums.ready),
        ]
        numbers, summed = [self._fetch(m, bank, moving) for bank in range(config.banks)], 1
        while len(numbers) > 1:
            parts, summed = -(-len(numbers) // MOST_ADDED), min(config.banks, summed * MOST_ADDED)
            bits = config.weight_bits + config.window.source.burst_bits - 1 + (summed - 1).bit_length()
            numbers = [
                self._add(m, numbers[part::parts], moving, signed(bits), f"sum_of_{summed}_{part}")
                for part in range(parts)
            ]
        increments = numbers[0]

        # With one clear signal for reset and end of sum, each lane is only an adder and flip-flops with clear and
        # enable. A reset clears the accumulators one cycle later, through a register, long before the first event
        # reaches them.
        begins = Signal(init=1)
        m.d.sync += begins.eq(0)
        clear = Signal()
        m.d.comb += clear.eq(begins | (closing[-1] & self.sums.ready))
        for lane in range(config.lanes):
            accumulator = Signal(signed(config.accumulator_bits), name=f"accumulator_{lane}", reset_less=True)
            total = Signal(signed(config.accumulator_bits), name=f"sum_{lane}")
            m.d.comb += [
                total.eq(accumulator + increments[lane]),
                self.sums.payload[lane].eq(total),
            ]
            with m.If(clear):
                m.d.sync += accumulator.eq(0)
            with m.Elif(present[-1] & moving):
                m.d.sync += accumulator.eq(total)
        return m

    def _add(self, m: Module, numbers: list[list[Value]], moving: Signal, shape: Shape, name: str) -> list[Value]:
        """The sum of several numbers of each lane, one cycle later."""
        added: list[Value] = []
        for lane in range(self.config.lanes):
            total = Signal(shape, name=f"{name}_{lane}", reset_less=True)
            with m.If(moving):
                m.d.sync += total.eq(tree([number[lane] for number in numbers]))
            added.append(total)
        return added

    def _fetch(self, m: Module, bank: int, moving: Signal) -> list[Value]:
        """The bank's weights two cycles after its event, shifted by the event's plane; 0 for an event without spike."""
        config, event = self.config, self.events.payload.banks[bank]
        fetched = self._constants(m, bank, moving) if config.lut_inputs else self._memory(m, bank, moving)
        fetched_spike = Signal(name=f"fetched_spike_{bank}", reset_less=True)
        fetched_plane = Signal.like(event.plane, name=f"fetched_plane_{bank}", reset_less=True)
        plane = Signal.like(event.plane, name=f"plane_{bank}", reset_less=True)
        weight = Signal(config.row_layout, name=f"weight_{bank}", reset_less=True)
        with m.If(moving):
            m.d.sync += [
                fetched_spike.eq(event.spike & self.events.valid),
                fetched_plane.eq(event.plane),
                plane.eq(fetched_plane),
                weight.eq(fetched),
            ]
            with m.If(~fetched_spike):
                m.d.sync += weight.eq(0)
        return [weight[lane] << plane for lane in range(config.lanes)]

    def _memory(self, m: Module, bank: int, moving: Signal) -> Value:
        """The bank's weights, from a memory, one cycle after its event."""
        declaration = self.config.weight_memories[bank]
        m.submodules[declaration.name] = weights = declaration.memory()
        read = weights.read_port()
        m.d.comb += [read.en.eq(moving), read.addr.eq(self.events.payload.banks[bank].row)]
        return Value.cast(read.data)

    def _constants(self, m: Module, bank: int, moving: Signal) -> Value:
        """The bank's weights, each bit a constant from which the row selects, one cycle after its event."""
        row = self.events.payload.banks[bank].row
        fetched = Signal(self.config.row_layout, name=f"fetched_weight_{bank}", reset_less=True)
        with m.If(moving):
            m.d.sync += fetched.eq(Cat(lookup(truth, list(row)) for truth in self.config.bank_truths(bank)))
        return Value.cast(fetched)
