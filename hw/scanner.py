"""Event scanner: finds the set bit-planes of a stream of bursts."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.configuration import BurstStream
from hw.logic import counter, encode, select


def bursts_layout(group: int, burst_bits: int) -> data.ArrayLayout:
    """Payload of a burst stream: ``group`` burst counts, the lowest channel in the lowest bits."""
    return data.ArrayLayout(unsigned(burst_bits), group)


def event_layout(rows: int, burst_bits: int) -> data.StructLayout:
    """Payload of an event stream.

    ``row``: weight row; ``plane``: bit-plane k, the weight counts 2^k; ``spike``: 0 for an event that adds nothing
    and only closes an accumulation; ``last``: this event closes the accumulation.
    """
    return data.StructLayout(
        {"row": unsigned(bits_for(rows - 1)), "plane": unsigned(bits_for(burst_bits - 1)), "spike": 1, "last": 1}
    )


class EventScanner(wiring.Component):
    """Turns beats of ``group`` bursts into one event for every set bit-plane, lowest channel and plane first.

    Throughput: one event a cycle. A beat without spikes costs nothing while the beat before it is still being
    scanned and one cycle otherwise; the last beat of an accumulation always gives at least one event.
    Latency: ``latency`` = 2 cycles from an accepted beat to its first event.

    Args:
        source: shape of the incoming stream, in the order timestep -> beat for every fold of this layer.
        folds: how often this layer reads the source; fold f's rows start at ``f * source.rows``.
        merged_steps: timesteps that make one accumulation.

    Ports:
        bursts: ``bursts_layout(group, burst_bits)``.
        events: ``event_layout(folds * rows, burst_bits)``.
    """

    latency = 2

    def __init__(self, *, source: BurstStream, folds: int, merged_steps: int) -> None:
        self.source, self.folds, self.merged_steps = source, folds, merged_steps
        super().__init__(
            {
                "bursts": In(stream.Signature(bursts_layout(source.group, source.burst_bits))),
                "events": Out(stream.Signature(event_layout(folds * source.rows, source.burst_bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        event = self.events.payload

        # The beat being scanned: the planes still to be sent, the row of its first channel, whether it closes a sum.
        held = Signal()
        held_closes = Signal(reset_less=True)
        held_row = Signal.like(event.row, name="held_row", reset_less=True)
        pending = Signal(self.bursts.payload.shape(), reset_less=True)

        occupied = Signal(self.source.group)
        channel = Signal(self.source.group)
        planes = Signal(self.source.burst_bits)
        plane = Signal(self.source.burst_bits)
        m.d.comb += [
            occupied.eq(Cat(count.any() for count in pending)),
            channel.eq(occupied & -occupied),
            planes.eq(select(list(pending), channel)),
            plane.eq(planes & -planes),
        ]

        sending = Signal()
        finishing = Signal()
        m.d.comb += [
            sending.eq(~self.events.valid | self.events.ready),
            finishing.eq((occupied == channel) & (planes == plane) & sending),
        ]
        with m.If(sending):
            m.d.sync += [
                self.events.valid.eq(held),
                event.row.eq(held_row + encode(channel)),
                event.plane.eq(encode(plane)),
                event.spike.eq(occupied.any()),
                event.last.eq(held_closes & finishing),
            ]
            for index, count in enumerate(pending):
                m.d.sync += count.eq(count & ~Mux(channel[index], plane, 0))

        # A beat without spikes passes unless the end of a sum must be told.
        taken = Signal()
        loading = Signal()
        empty = Signal()
        closes = Signal()
        row = self._count_rows(m, taken, closes)
        m.d.comb += [
            empty.eq(~self.bursts.payload.as_value().any() & ~closes),
            loading.eq(~held | finishing),
            self.bursts.ready.eq(loading | empty),
            taken.eq(self.bursts.valid & self.bursts.ready),
        ]
        with m.If(loading):
            m.d.sync += [
                held.eq(self.bursts.valid & ~empty),
                held_row.eq(row),
                held_closes.eq(closes),
                pending.eq(self.bursts.payload),
            ]
        return m

    def _count_rows(self, m: Module, taken: Signal, closes: Signal) -> Signal:
        """Row of the arriving beat's first channel; drives ``closes`` where that beat ends an accumulation."""
        source = self.source
        row = Signal.like(self.events.payload.row, name="row")
        first_row = Signal.like(row, name="first_row")
        step_ends = Signal()
        step_closes = Signal()
        fold_ends = Signal()
        m.d.comb += [
            step_ends.eq(counter(m, "beat", source.beats * source.folds, taken)[1]),
            step_closes.eq(counter(m, "merged", self.merged_steps, taken & step_ends)[1]),
            closes.eq(step_ends & step_closes),
            fold_ends.eq(closes & counter(m, "step", source.steps // self.merged_steps, taken & closes)[1]),
        ]
        last_fold = counter(m, "fold", self.folds, taken & fold_ends)[1]
        with m.If(taken):
            m.d.sync += row.eq(row + source.group)
            with m.If(step_ends):
                m.d.sync += row.eq(first_row)
            with m.If(fold_ends):
                next_row = Mux(last_fold, 0, first_row + source.rows)
                m.d.sync += [first_row.eq(next_row), row.eq(next_row)]
        return row
