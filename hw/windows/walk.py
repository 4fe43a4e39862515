"""The order in which a receptive field reads its line buffer."""

from collections.abc import Sequence

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.logic import counter, counter_ahead
from hw.windows.config import WindowConfig


class WindowWalk(wiring.Component):
    """Addresses of one row of windows after another: window -> fold -> timestep -> row -> column -> fold of the
    source -> beat.

    The line buffer is a ring of source rows. Every register changes by a constant, so there is no multiplication:
    ``address = start of the ring's row + start of the column + word inside the position``.

    Throughput: one address per cycle. Latency: ``latency`` = 0; the outputs belong to the word that is read when
    ``advance`` is 1.

    Ports:
        advance: move on to the next word.
        next_row: move on to the next row of windows; never together with ``advance``.
        address: word in the line buffer.
        inside: 0 if the word lies in the padding.
        last: the last word of a row of windows.
        needed, released: for the current row of windows, as in :class:`hw.windows.config.WindowConfig`.
    """

    latency = 0

    def __init__(self, config: WindowConfig) -> None:
        self.config = config
        self.row_words = config.source.width * config.source.beats_per_position
        super().__init__(
            {
                "advance": In(1),
                "next_row": In(1),
                "address": Out(range(config.rows_kept * self.row_words)),
                "inside": Out(1),
                "last": Out(1),
                "needed": Out(range(config.rows_kept + 1)),
                "released": Out(range(config.rows_kept + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, source = self.config, self.config.source
        issued = self.advance

        beats_end = counter_ahead(m, "beat", source.beats, issued)[1]
        column_ends = beats_end & counter_ahead(m, "part", source.folds, issued & beats_end)[1]
        row_ends = column_ends & counter_ahead(m, "column", config.columns.kernel, issued & column_ends)[1]
        step_ends = row_ends & counter_ahead(m, "row", config.rows.kernel, issued & row_ends)[1]
        fold_ends = step_ends & counter_ahead(m, "step", source.steps, issued & step_ends)[1]
        window_ends = fold_ends & counter_ahead(m, "fold", config.folds, issued & fold_ends)[1]
        windows_end = counter_ahead(m, "x", config.width, issued & window_ends)[1]
        y, rows_of_windows_end = counter(m, "y", config.height, self.next_row)

        row_start, row_inside = self._rows(m, row_ends, step_ends, y, rows_of_windows_end)
        column_start, column_inside = self._columns(m, column_ends, row_ends, window_ends, windows_end)
        word = self._words(m, beats_end, column_ends, step_ends, fold_ends)
        m.d.comb += [
            self.address.eq(row_start + column_start + word),
            self.inside.eq(row_inside & column_inside),
            self.last.eq(window_ends & windows_end),
            self.needed.eq(constant_table(config.needed, y)),
            self.released.eq(constant_table(config.released, y)),
        ]
        return m

    def _rows(self, m: Module, row_ends: Value, step_ends: Value, y: Value, y_ends: Value) -> tuple[Value, Value]:
        """Start of the current row in the ring, and whether that row of the window lies inside the source."""
        config, rows = self.config, self.config.rows
        size = config.rows_kept * self.row_words
        window_start = Signal(range(size), name="window_start")
        row_start = Signal(range(size), name="row_start", init=config.entries[0] * self.row_words)
        distances = constant_table([rows * self.row_words for rows in config.released], y)
        wrapped = self._further(m, "next_start", "wrapped", window_start, distances)

        inside: Value = Const(1, 1)
        if rows.padding:
            height = config.source.height
            reach = height + rows.padding + rows.stride + rows.span
            top = Signal(signed(bits_for(reach) + 1), init=-rows.padding, name="top")
            source_row = Signal.like(top, name="source_row")
            with m.If(self.next_row):
                following = Mux(y_ends, -rows.padding, top + rows.stride)
                m.d.sync += [top.eq(following), source_row.eq(following)]
            with m.If(self.advance & row_ends):
                m.d.sync += source_row.eq(Mux(step_ends, top, source_row + rows.dilation))
            inside = (source_row >= 0) & (source_row < height)

        first, following_first = window_start, wrapped
        if any(config.entries):
            entries = [entry * self.row_words for entry in config.entries]
            first = self._further(m, "entry", "first", window_start, constant_table(entries, y))
            later = constant_table([*entries[1:], entries[0]], y)
            following_first = self._further(m, "next_entry", "next_first", wrapped, later)
        with m.If(self.advance & row_ends & inside):
            if rows.dilation == 1:
                ring_ends = row_start == size - self.row_words
                m.d.sync += row_start.eq(Mux(ring_ends, 0, row_start + self.row_words))
            else:
                # This may point to any row when the current one is not kept, since such a row is never read.
                distance = Const(rows.dilation * self.row_words % size)
                m.d.sync += row_start.eq(self._further(m, "next_row_start", "wrapped_row_start", row_start, distance))
        with m.If(self.advance & step_ends):
            m.d.sync += row_start.eq(first)
        with m.If(self.next_row):
            m.d.sync += [window_start.eq(wrapped), row_start.eq(following_first)]
        return row_start, inside

    def _further(self, m: Module, name: str, wrapped_name: str, start: Value, distance: Value) -> Value:
        """The place in the ring ``distance`` words after ``start``."""
        size = self.config.rows_kept * self.row_words
        place = Signal(range(2 * size), name=name)
        wrapped = Signal(range(size), name=wrapped_name)
        m.d.comb += [place.eq(start + distance), wrapped.eq(Mux(place >= size, place - size, place))]
        return wrapped

    def _columns(
        self, m: Module, column_ends: Value, row_ends: Value, window_ends: Value, windows_end: Value
    ) -> tuple[Value, Value]:
        """Start of the current column in its row, and whether it lies inside the source."""
        columns, width = self.config.columns, self.config.source.width
        words = self.config.source.beats_per_position

        def walk(name: str, unit: int) -> Signal:
            """``unit`` times the source column of the current word."""
            reach = unit * (width + columns.padding + columns.stride + columns.span)
            left = Signal(signed(bits_for(reach) + 1), init=-columns.padding * unit, name=f"left_{name}")
            current = Signal.like(left, name=f"source_{name}")
            following = Mux(windows_end, -columns.padding * unit, left + columns.stride * unit)
            beside = current + columns.dilation * unit
            with m.If(self.advance & column_ends):
                m.d.sync += current.eq(Mux(row_ends, Mux(window_ends, following, left), beside))
            with m.If(self.advance & window_ends):
                m.d.sync += left.eq(following)
            return current

        start = walk("column_words", words)
        if not columns.padding:
            return start, Const(1, 1)
        column = start if words == 1 else walk("column", 1)
        return start, (column >= 0) & (column < width)

    def _words(self, m: Module, beats_end: Value, column_ends: Value, step_ends: Value, fold_ends: Value) -> Value:
        """The word inside a position, which has the order fold of the source -> timestep -> beat; only the beats of the
        current timestep are visited."""
        source = self.config.source
        if source.beats_per_position == 1:
            return Const(0)
        word = Signal(unsigned(bits_for(source.beats_per_position - 1)), name="word")
        step_start = Signal(range(max(2, source.steps * source.beats)), name="step_start")
        following = Mux(fold_ends, 0, step_start + source.beats)
        with m.If(self.advance):
            m.d.sync += word.eq(Mux(beats_end, word + (source.steps - 1) * source.beats + 1, word + 1))
            with m.If(column_ends):
                m.d.sync += word.eq(step_start)
            with m.If(step_ends):
                m.d.sync += [step_start.eq(following), word.eq(following)]
        return word


def constant_table(values: Sequence[int], index: Value) -> Value:
    """``values[index]``, a constant if all are equal."""
    if len(set(values)) == 1:
        return Const(values[0])
    return Array(Const(value, bits_for(max(values))) for value in values)[index]
