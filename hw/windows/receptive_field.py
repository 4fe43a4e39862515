"""Receptive field: a line buffer that keeps source rows and reads them again, window by window."""

from collections.abc import Iterator
from typing import Protocol

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import bursts_layout
from hw.logic import counter
from hw.stream_register import StreamRegister
from hw.timing import LONG_AGO
from hw.windows.config import WindowConfig
from hw.windows.walk import WindowWalk


def leaving_layout(config: WindowConfig) -> data.StructLayout:
    """A leaving beat; ``last``: the last beat of its row of windows."""
    return data.StructLayout({"bursts": bursts_layout(config.source.group, config.source.burst_bits), "last": 1})


class ReceptiveField(wiring.Component):
    """Keeps a ring of source rows and sends every window of them; a dense layer has one window, the whole source.

    ::

        arriving --> ring of rows | address | memory | two-beat register --> leaving
        cycle            0             2        3              5

    The source arrives in the order position -> fold of the source -> timestep -> beat. It leaves in the order of
    :class:`hw.windows.walk.WindowWalk`, which reads every window once for each fold of the layer; beats in
    the padding are 0. A row of windows is read as soon as all source rows that it needs are complete. Rows are released
    when the last beat of the last window that needs them has left; new rows can arrive in the meantime.

    Throughput: one beat per cycle, plus ``row_gap`` = 4 cycles per row of windows. Latency: ``latency`` = 5 cycles from
    the beat that completes the needed rows to the first beat out.

    Ports:
        arriving, leaving: ``bursts_layout(group, burst_bits)``.
    """

    latency = 5
    row_gap = 4

    def __init__(self, config: WindowConfig) -> None:
        self.config = config
        layout = bursts_layout(config.source.group, config.source.burst_bits)
        super().__init__({"arriving": In(stream.Signature(layout)), "leaving": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.walk = walk = WindowWalk(config)
        depth = config.rows_kept * walk.row_words
        m.submodules[config.field_memory.name] = rows = config.field_memory.memory()
        write, read = rows.write_port(), rows.read_port()

        # Whether a row has room is known to a register, since ``ready`` leads on through pooling and neurons.
        kept = Signal(range(config.rows_kept + 1))
        room = Signal(init=1)
        row_done = Signal()
        m.d.comb += [
            self.arriving.ready.eq(room),
            write.en.eq(self.arriving.valid & self.arriving.ready),
            write.data.eq(self.arriving.payload),
            write.addr.eq(counter(m, "write_address", depth, write.en)[0]),
            walk.next_row.eq(row_done),
        ]
        row_whole = write.en & counter(m, "written", walk.row_words, write.en)[1]
        staying, leaving = kept + row_whole, kept + row_whole - walk.released
        m.d.sync += [
            kept.eq(Mux(row_done, leaving, staying)),
            room.eq(Mux(row_done, leaving != config.rows_kept, staying != config.rows_kept)),
        ]

        waiting = Signal(init=1)
        reading = Signal()
        moving = Signal()
        with m.If(waiting & (kept >= walk.needed)):
            m.d.sync += [waiting.eq(0), reading.eq(1)]
        with m.If(reading & moving & walk.last):
            m.d.sync += reading.eq(0)
        with m.If(row_done):
            m.d.sync += waiting.eq(1)

        # From here on every word has flags: it is valid, lies inside the source, is the last of its row of windows.
        addressed = Signal()
        addressed_inside = Signal(reset_less=True)
        addressed_last = Signal(reset_less=True)
        fetched = Signal()
        fetched_inside = Signal(reset_less=True)
        fetched_last = Signal(reset_less=True)
        with m.If(moving):
            m.d.sync += [
                addressed.eq(reading),
                addressed_inside.eq(walk.inside),
                addressed_last.eq(walk.last),
                fetched.eq(addressed),
                fetched_inside.eq(addressed_inside),
                fetched_last.eq(addressed_last),
            ]
        address = Signal.like(walk.address, name="address", reset_less=True)
        with m.If(moving):
            m.d.sync += address.eq(walk.address)
        m.submodules.register = register = StreamRegister(leaving_layout(config))
        m.d.comb += [
            walk.advance.eq(reading & moving),
            moving.eq(register.arriving.ready),
            read.en.eq(moving),
            read.addr.eq(address),
            register.arriving.valid.eq(fetched),
            register.arriving.payload.bursts.eq(Mux(fetched_inside, read.data.as_value(), 0)),
            register.arriving.payload.last.eq(fetched_last),
            self.leaving.valid.eq(register.leaving.valid),
            self.leaving.payload.eq(register.leaving.payload.bursts),
            register.leaving.ready.eq(self.leaving.ready),
            row_done.eq(self.leaving.valid & self.leaving.ready & register.leaving.payload.last),
        ]
        return m


class WindowReader(Protocol):
    """The receiver of the beats of windows."""

    def accumulate(self, offered: int | None, after_first: int, after_busy: int, cost: int) -> int:
        """The beats of one timestep of one window; ``offered``: the cycle from which the first one is available, None
        if it always is. Returns the cycle in which the last one is taken."""


class ReceptiveFieldTiming:
    """Exact timing of a receptive field: each row of windows is read as soon as the rows that it needs are complete.

    Args:
        window: the windows.
        reader: the receiver of their beats.
        costs: for every row of windows, the last three arguments of each call of ``reader.accumulate``.
    """

    def __init__(self, window: WindowConfig, reader: WindowReader, costs: Iterator[list[tuple[int, int, int]]]) -> None:
        self.window, self.reader, self.costs = window, reader, costs
        self.row_words = window.source.width * window.source.beats_per_position
        self.word = 0
        self.whole: list[int] = []
        self.released: list[int] = []
        self.sums = self._sums()

    def offer(self, at: int) -> int:
        """A beat, and all sums that can be computed once it has arrived."""
        taken = self.arrive(at)
        while self.advance():
            pass
        return taken

    def arrive(self, at: int) -> int:
        """A beat enters the line buffer."""
        row = len(self.whole)
        taken = at if row < self.window.rows_kept else max(at, self.released[row - self.window.rows_kept] + 1)
        self.word += 1
        if self.word == self.row_words:
            self.word = 0
            self.whole.append(taken)
        return taken

    def advance(self) -> bool:
        """Compute the next sum; False if rows are missing."""
        return next(self.sums)

    def _sums(self) -> Iterator[bool]:
        """One row of windows after another, forever: yield True with each sum, and False while rows are missing."""
        done = LONG_AGO
        while True:
            for needed, released in zip(self.window.needed, self.window.released, strict=True):
                rows = len(self.released) + needed
                while len(self.whole) < rows:
                    yield False
                begins = max(done, self.whole[rows - 1] if rows else LONG_AGO)
                offered: int | None = begins + ReceptiveField.latency
                sums = next(self.costs)
                for left, (after_first, after_busy, cost) in zip(range(len(sums) - 1, -1, -1), sums, strict=True):
                    done = self.reader.accumulate(offered, after_first, after_busy, cost)
                    offered = None
                    if not left:
                        self.released += [done] * released
                    yield True
