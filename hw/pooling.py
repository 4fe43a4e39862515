"""Pooling: sums or maxima of windows that do not overlap, in the stream between two layers."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.configuration import PoolingConfig
from hw.logic import counter
from hw.scanner import bursts_layout


class PoolingStage(wiring.Component):
    """``kernel`` x ``kernel`` pooling of every channel; rows and columns that fill no window are dropped.

    ::

        arriving --> address | memory | partial results | combine --> write back, or leave with the window's last beat
        cycle           0        1            2

    One row of unfinished windows is kept. What is written is read again ``write_latency`` = 3 cycles later at the
    earliest, so where a position has fewer beats than that the stage pauses for the difference behind each.

    Throughput: one beat a cycle, or a position in ``write_latency`` cycles. Latency: ``latency`` = 3 cycles from a
    window's last beat to its result. Where a result is not taken everything here stands still.

    Ports:
        arriving: ``bursts_layout(group, burst_bits)`` of ``config.stream``.
        leaving: that of ``config.output``.
    """

    latency = 3
    write_latency = 3

    def __init__(self, config: PoolingConfig) -> None:
        self.config = config
        super().__init__(
            {
                "arriving": In(stream.Signature(bursts_layout(config.stream.group, config.stream.burst_bits))),
                "leaving": Out(stream.Signature(bursts_layout(config.output.group, config.output.burst_bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        words = config.stream.beats_per_position
        results = bursts_layout(config.output.group, config.output.burst_bits)
        m.submodules.partial = partial = Memory(
            shape=results, depth=max(2, config.output.width * words), init=[], attrs={"ram_style": config.memory}
        )
        read, write = partial.read_port(), partial.write_port()

        advance = Signal()
        taken = Signal()
        pausing = Signal()
        m.d.comb += [
            self.arriving.ready.eq(advance & ~pausing),
            taken.eq(self.arriving.valid & self.arriving.ready),
        ]
        address, kept, first, last, position_ends = self._place(m, taken)
        pause = max(0, self.write_latency - words)
        if pause:
            with m.If(taken & position_ends):
                m.d.sync += pausing.eq(1)
            with m.If(counter(m, "paused", pause, advance & pausing)[1] & advance & pausing):
                m.d.sync += pausing.eq(0)

        # What travels with a beat while its window's partial result is fetched.
        layout = data.StructLayout(
            {
                "valid": 1,
                "first": 1,
                "last": 1,
                "address": read.addr.shape(),
                "bursts": self.arriving.payload.shape(),
            }
        )
        asked = Signal(layout, name="asked")
        fetched = Signal(layout, name="fetched")
        before = Signal(results, reset_less=True)
        combined = Signal(results)
        m.d.comb += [read.en.eq(advance), read.addr.eq(address)]
        with m.If(advance):
            m.d.sync += [
                asked.valid.eq(taken & kept),
                asked.first.eq(first),
                asked.last.eq(last),
                asked.address.eq(address),
                asked.bursts.eq(self.arriving.payload),
                fetched.eq(asked),
                before.eq(read.data),
            ]
        for index in range(config.stream.group):
            burst, so_far = fetched.bursts[index], before[index]
            more = so_far + burst if config.kind == "sum" else Mux(so_far > burst, so_far, burst)
            m.d.comb += combined[index].eq(Mux(fetched.first, burst, more))

        leaves = fetched.valid & fetched.last
        m.d.comb += [
            advance.eq(~leaves | ~self.leaving.valid | self.leaving.ready),
            write.en.eq(fetched.valid & ~fetched.last & advance),
            write.addr.eq(fetched.address),
            write.data.eq(combined),
        ]
        with m.If(~self.leaving.valid | self.leaving.ready):
            m.d.sync += [self.leaving.valid.eq(leaves), self.leaving.payload.eq(combined)]
        return m

    def _place(self, m: Module, taken: Signal) -> tuple[Signal, Signal, Signal, Signal, Signal]:
        """Of the arriving beat: its address, whether it belongs to a window, whether it is of the window's first and
        of its last position, and whether it is the last beat of its position."""
        config = self.config
        size, words = config.kernel, config.stream.beats_per_position
        position_ends = Signal()
        kept = Signal()
        first = Signal()
        last = Signal()
        address = Signal(range(max(2, config.output.width * words)), name="address")
        m.d.comb += position_ends.eq(counter(m, "word", words, taken)[1])
        x, row_ends = counter(m, "x", config.stream.width, taken & position_ends)
        y, _ = counter(m, "y", config.stream.height, taken & position_ends & row_ends)
        column = cyclic(m, "column", size, taken & position_ends, taken & position_ends & row_ends)
        row_taken = taken & position_ends & row_ends
        row = cyclic(m, "row", size, row_taken, row_taken & (y == config.stream.height - 1))
        m.d.comb += [
            kept.eq((x < config.output.width * size) & (y < config.output.height * size)),
            first.eq((row == 0) & (column == 0)),
            last.eq((row == size - 1) & (column == size - 1)),
        ]
        with m.If(taken):
            m.d.sync += address.eq(address + 1)
            with m.If(position_ends & (column != size - 1)):
                m.d.sync += address.eq(address - (words - 1))
            with m.If(row_taken):
                m.d.sync += address.eq(0)
        return address, kept, first, last, position_ends


def cyclic(m: Module, name: str, length: int, advance: object, restart: object) -> Signal:
    """A counter of 0 .. length-1 that moves on where ``advance`` is 1, to 0 where ``restart`` is."""
    value = Signal(range(length), name=name)
    with m.If(advance):
        m.d.sync += value.eq(Mux(value == length - 1, 0, value + 1))
    with m.If(restart):
        m.d.sync += value.eq(0)
    return value
