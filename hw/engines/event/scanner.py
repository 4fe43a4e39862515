"""Event scanner: finds the set bit-planes of a stream of bursts."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.engines.event.config import ProjectionConfig
from hw.layouts import bursts_layout
from hw.logic import at_most, counter_ahead, index_of, lowest, select


def events_layout(banks: int, rows: int, burst_bits: int) -> data.StructLayout:
    """Payload of an event stream: one event for each bank, taken at the same time.

    ``row``: weight row of that bank; ``plane``: bit-plane k, the weight counts 2^k; ``spike``: 0 for an event that
    adds nothing; ``last``: these events close the accumulation.
    """
    event = data.StructLayout(
        {"row": unsigned(bits_for(rows - 1)), "plane": unsigned(bits_for(burst_bits - 1)), "spike": 1}
    )
    return data.StructLayout({"banks": data.ArrayLayout(event, banks), "last": 1})


def scanner_ports(config: ProjectionConfig) -> dict[str, wiring.Member]:
    """Ports of every kind of scanner: ``bursts``, ``events`` and ``working``."""
    source = config.window.source
    return {
        "bursts": In(stream.Signature(bursts_layout(source.group, source.burst_bits))),
        "events": Out(stream.Signature(events_layout(config.banks, config.rows, source.burst_bits))),
        "working": Out(1),
    }


class EventScanner(wiring.Component):
    """Turns beats of G bursts into one event for every set bit-plane, lowest channel and plane first.

    The channels of a beat are dealt out to E banks, channel c to bank ``c % E``. Each bank sends one event per cycle
    until all banks are done with the beat; a bank that is done earlier sends events without a spike.

    Throughput: E events per cycle. A beat without spikes costs nothing while the beat before it is still being
    scanned and one cycle otherwise; the last beat of an accumulation always gives at least one event.
    While ``events`` is not taken the whole scanner stalls.
    Latency: ``latency`` = 3 cycles from an accepted beat to its first event.

    Ports:
        bursts: ``bursts_layout(group, burst_bits)``, in the order fold -> timestep -> beat, window after window.
        events: ``events_layout(banks, rows, burst_bits)``.
        working: 1 in cycles in which a beat is taken or scanned, 0 during a stall; for taps.
    """

    latency = 3

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config
        super().__init__(scanner_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        banks = self.config.banks
        source = self.config.window.source
        event = self.events.payload

        # The beat being scanned: the planes still to be sent, the row of its first channels, whether it closes a sum.
        # A bank is ending when at most one of its planes is left; this is known one cycle ahead, so that ``ready``
        # does not wait for a search.
        held = Signal()
        held_closes = Signal(reset_less=True)
        held_row = Signal.like(event.banks[0].row, name="held_row", reset_less=True)
        pending = Signal(self.bursts.payload.shape(), reset_less=True)

        # What was found in the beat is encoded one cycle later, so that no row is added behind a search.
        found = Signal()
        found_closes = Signal(reset_less=True)
        found_row = Signal.like(held_row, name="found_row", reset_less=True)
        encoded = Signal(event.shape(), name="encoded", reset_less=True)
        m.d.comb += event.eq(encoded)

        advance = Signal()
        finishing = Signal()
        ending = Signal(banks, reset_less=True)
        m.d.comb += advance.eq(self.events.ready)
        for bank in range(banks):
            counts = dealt(pending, bank, self.config)
            lowest_planes = [lowest(count) for count in counts]
            chosen = Signal(len(counts), name=f"chosen_{bank}")
            m.d.comb += chosen.eq(lowest(Cat(count.any() for count in counts)))
            channel = Signal(len(counts), name=f"channel_{bank}", reset_less=True)
            plane = Signal(source.burst_bits, name=f"plane_{bank}", reset_less=True)
            with m.If(advance):
                m.d.sync += [
                    ending[bank].eq(at_most(Cat(counts), 2)),
                    channel.eq(chosen),
                    plane.eq(select(lowest_planes, chosen)),
                    encoded.banks[bank].row.eq(found_row + index_of(channel)),
                    encoded.banks[bank].plane.eq(index_of(plane)),
                    encoded.banks[bank].spike.eq(plane.any()),
                ]
                for index, count in enumerate(counts):
                    m.d.sync += count.eq(Mux(chosen[index], count & ~lowest_planes[index], count))
        m.d.comb += finishing.eq(ending.all())
        with m.If(advance):
            m.d.sync += [
                found.eq(held),
                found_closes.eq(held_closes & finishing),
                found_row.eq(held_row),
                self.events.valid.eq(found),
                encoded.last.eq(found_closes),
            ]

        # A beat without spikes is skipped unless it closes a sum.
        taken = Signal()
        loading = Signal()
        empty = Signal()
        closes = Signal()
        row = Signal.like(event.banks[0].row, name="row")
        count_rows(m, self.config, taken, closes, row, source.group // banks)
        m.d.comb += [
            empty.eq(~self.bursts.payload.as_value().any() & ~closes),
            loading.eq((~held | finishing) & advance),
            self.bursts.ready.eq((~held | finishing | empty) & advance),
            taken.eq(self.bursts.valid & self.bursts.ready),
            self.working.eq(advance & (held | taken)),
        ]
        with m.If(loading):
            m.d.sync += [
                held.eq(self.bursts.valid & ~empty),
                held_row.eq(row),
                held_closes.eq(closes),
                pending.eq(self.bursts.payload),
                *(
                    ending[bank].eq(at_most(Cat(dealt(self.bursts.payload, bank, self.config)), 1))
                    for bank in range(banks)
                ),
            ]
        return m


def count_rows(m: Module, config: ProjectionConfig, taken: Signal, closes: Signal, row: Signal, share: int) -> None:
    """Drive ``row`` to the row of the arriving beat's first channels, if every beat has ``share`` rows, and ``closes``
    to 1 if that beat closes an accumulation."""
    step_rows = config.window.words * share
    first_row = Signal.like(row, name="first_row")
    step_ends = Signal()
    step_closes = Signal()
    fold_ends = Signal()
    m.d.comb += [
        step_ends.eq(counter_ahead(m, "beat", config.window.words, taken)[1]),
        step_closes.eq(counter_ahead(m, "merged", config.merged_steps, taken & step_ends)[1]),
        closes.eq(step_ends & step_closes),
        fold_ends.eq(
            closes & counter_ahead(m, "step", config.window.source.steps // config.merged_steps, taken & closes)[1]
        ),
    ]
    last_fold = counter_ahead(m, "fold", config.folds, taken & fold_ends)[1]
    with m.If(taken):
        m.d.sync += row.eq(row + share)
        with m.If(step_ends):
            m.d.sync += row.eq(first_row)
        with m.If(fold_ends):
            next_row = Mux(last_fold, 0, first_row + step_rows)
            m.d.sync += [first_row.eq(next_row), row.eq(next_row)]


def dealt(beat: "data.View[data.ArrayLayout]", bank: int, config: ProjectionConfig) -> list[Value]:
    """The bursts of a beat that one bank scans."""
    return [beat[channel] for channel in range(bank, config.window.source.group, config.banks)]
