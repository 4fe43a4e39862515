"""Event scanner with a queue per bank: banks wait for each other once per accumulation, not once per beat."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.engines.event.config import ProjectionConfig
from hw.engines.event.scanner import count_rows, dealt, events_layout, scanner_ports
from hw.logic import at_most, index_of, lowest, select, times_constant


class QueuedScanner(wiring.Component):
    """Turns beats of G bursts into one event for every set bit-plane, as :class:`hw.engines.event.scanner.EventScanner`
    does, in the order in which each bank alone finds them.

    ::

        beat --> queue of each bank | bank: planes still to be sent | channel and plane | row --> events
        cycle           0                          1                         2             3

    Each bank has a queue for its bursts of a beat, and scans them one plane per cycle. Beats without spikes for a bank
    do not enter its queue; the closing beat of an accumulation enters all. A bank that has ended an accumulation waits
    until all have.

    Throughput: E events per cycle and one beat per cycle; each bank works for as many cycles as it has planes, and for
    one if its bursts of the closing beat are all 0. The queues hold the beats of two accumulations, so that a third one
    is not begun before the first one has ended. While ``events`` is not taken the whole scanner stalls.
    Latency: ``latency`` = 4 cycles from an accepted beat to its first event.

    Ports:
        bursts: ``bursts_layout(group, burst_bits)``, in the order fold -> timestep -> beat, window after window.
        events: ``events_layout(banks, rows, burst_bits)``.
        working: 1 in cycles in which a beat is taken, waits or is scanned, 0 during a stall; for taps.
    """

    latency = 4

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config
        super().__init__(scanner_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        advance = Signal()
        taken = Signal()
        closes = Signal()
        ended = Signal()
        # Accumulations that have arrived as a whole and not ended; a register, since ``ready`` leads on to the source.
        whole = Signal(2)
        word = Signal(range(max(2, config.folds * config.window.words)))
        count_rows(m, config, taken, closes, word, 1)
        m.d.comb += [
            advance.eq(self.events.ready),
            self.bursts.ready.eq(~whole[1] & advance),
            taken.eq(self.bursts.valid & self.bursts.ready),
        ]

        banks = []
        for bank in range(config.banks):
            m.submodules[bank_name(bank)] = scanned = QueuedBank(config)
            m.d.comb += [
                scanned.arriving.word.eq(word),
                scanned.arriving.closes.eq(closes),
                scanned.arriving.counts.eq(Cat(dealt(self.bursts.payload, bank, config))),
                scanned.taken.eq(taken),
                scanned.advance.eq(advance),
                scanned.ended.eq(ended),
            ]
            banks.append(scanned)
        found = Signal()
        found_last = Signal()
        m.d.comb += [
            ended.eq(Cat(bank.ending for bank in banks).all()),
            self.working.eq(advance & (taken | Cat(bank.busy for bank in banks).any())),
        ]
        with m.If(advance):
            m.d.sync += [
                whole.eq(whole + (taken & closes) - ended),
                found.eq(Cat(bank.held for bank in banks).any()),
                found_last.eq(ended),
                self.events.valid.eq(found),
                self.events.payload.last.eq(found_last),
            ]
        for bank, scanned in enumerate(banks):
            m.d.comb += self.events.payload.banks[bank].eq(scanned.event)
        return m


def bank_name(bank: int) -> str:
    """The submodule of a bank."""
    return f"bank_{bank}"


class QueuedBank(wiring.Component):
    """A bank's queue, and its search for set bit-planes, lowest channel and plane first.

    Throughput: one plane per cycle. Latency: 4 cycles from ``taken`` to ``event``.

    Ports:
        arriving: the bank's bursts of a beat, see :attr:`hw.engines.event.config.ProjectionConfig.queue_layout`;
            ``single`` is not used.
        taken: the beat is taken.
        advance: the scanner does not stall.
        ended: all banks are ending; the next accumulation begins.
        held: planes are being scanned, or the bank waits for the others.
        busy: beats are held or wait.
        ending: at most one plane of an accumulation is left.
        event: what was found two cycles before, an element of ``events_layout``.
    """

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config
        events = events_layout(1, config.rows, config.window.source.burst_bits)
        super().__init__(
            {
                "arriving": In(config.queue_layout),
                "taken": In(1),
                "advance": In(1),
                "ended": In(1),
                "held": Out(1),
                "busy": Out(1),
                "ending": Out(1),
                "event": Out(events["banks"].shape[0].shape),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules[config.bank_queue.name] = queue = config.bank_queue.memory()
        write, read = queue.write_port(), queue.read_port(domain="comb")
        # The queue never holds as many beats as it has places, so equal addresses mean that it is empty.
        waiting = Signal()
        loading = Signal()
        m.d.comb += [
            write.en.eq(self.taken & (self.arriving.closes | self.arriving.counts.as_value().any())),
            write.data.eq(self.arriving),
            write.data.single.eq(at_most(self.arriving.counts.as_value(), 1)),
            waiting.eq(write.addr != read.addr),
        ]
        with m.If(write.en):
            m.d.sync += write.addr.eq(write.addr + 1)

        pending = Signal.like(read.data.counts, name="pending", reset_less=True)
        word = Signal.like(read.data.word, name="word", reset_less=True)
        closes = Signal(reset_less=True)
        single = Signal(reset_less=True)
        counts = [pending[channel] for channel in range(config.share)]
        lowest_planes = [lowest(count) for count in counts]
        chosen = Signal(config.share)
        m.d.comb += [
            chosen.eq(lowest(Cat(count.any() for count in counts))),
            self.ending.eq(self.held & single & closes),
            self.busy.eq(self.held | waiting),
            loading.eq(self.advance & (~self.held | (single & ~closes) | self.ended)),
        ]
        channel = Signal(config.share, reset_less=True)
        plane = Signal(config.window.source.burst_bits, reset_less=True)
        found_word = Signal.like(word, name="found_word", reset_less=True)
        with m.If(self.advance):
            m.d.sync += [
                single.eq(at_most(Cat(counts), 2)),
                channel.eq(chosen),
                plane.eq(Mux(self.held, select(lowest_planes, chosen), 0)),
                found_word.eq(word),
                # Nothing that a bank held before a reset may be seen behind it.
                self.event.row.eq(Mux(plane.any(), times_constant(found_word, config.share) + index_of(channel), 0)),
                self.event.plane.eq(index_of(plane)),
                self.event.spike.eq(plane.any()),
                *(
                    count.eq(Mux(chosen[index], count & ~lowest_planes[index], count))
                    for index, count in enumerate(counts)
                ),
            ]
        with m.If(loading):
            m.d.sync += [
                self.held.eq(waiting),
                pending.eq(read.data.counts),
                word.eq(read.data.word),
                closes.eq(read.data.closes),
                single.eq(read.data.single),
            ]
            with m.If(waiting):
                m.d.sync += read.addr.eq(read.addr + 1)
        return m
