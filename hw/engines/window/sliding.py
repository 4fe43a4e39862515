"""Sliding window: a line buffer and shift registers that hold one whole window of the source at a time."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring

from hw.engines.window.config import ConstantConfig
from hw.engines.window.matrix import slicer_ports
from hw.logic import counter
from hw.windows.walk import constant_table


class SlidingWindow(wiring.Component):
    """Sends the slices of every window of its source: fold -> timestep -> bit-planes, the highest first.

    ::

        arriving --> position --+--> window registers --> slices
                       line buffer
                     (rows above)

    Each step takes one position, or one of the padding behind the source, and shifts its column into the window; the
    line buffer gives the part of the column that lies above it. A step that completes a window is followed by the
    window's slices; the next step is made together with the last of them. What lies in the padding is 0.

    Throughput: one slice per cycle, and one step per cycle between windows. Latency: ``latency`` = 1 cycle from the
    last beat of the position that completes a window to its first slice.

    Ports:
        arriving: ``bursts_layout(group, burst_bits)``, all folds, timesteps and beats of one position after another.
        slices: :func:`hw.engines.window.matrix.slices_layout`.
    """

    latency = 1

    def __init__(self, config: ConstantConfig) -> None:
        self.config = config
        super().__init__(slicer_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, columns = self.config.rows, self.config.columns
        step = Signal()
        full = Signal()
        window_ends = Signal()
        x, row_ends = counter(m, "x", columns.steps, step)
        y, _ = counter(m, "y", rows.steps, step & row_ends)
        inside = (x < columns.extent) & (y < rows.extent)
        free = ~full | (window_ends & self.slices.ready)

        position, whole, last_beat = self._position(m)
        m.d.comb += [
            step.eq(free & (whole | ~inside)),
            self.arriving.ready.eq(~last_beat | (step & inside)),
        ]
        with m.If(free):
            closes = constant_table([int(one) for one in rows.closes], y)
            m.d.sync += full.eq(step & closes & constant_table([int(one) for one in columns.closes], x))

        entering = Mux(inside, position, 0)
        column = self._column(m, step, entering, x, y, row_ends)
        self._slices(m, self._places(m, step, column, x), full, window_ends)
        return m

    def _position(self, m: Module) -> tuple[Value, Value, Value]:
        """All bursts of the arriving position, whether its last beat is offered, and whether that beat is next."""
        beats = self.config.arriving.beats_per_position
        offered = Value.cast(self.arriving.payload)
        if beats == 1:
            return offered, self.arriving.valid, Const(1, 1)
        taken = self.arriving.valid & self.arriving.ready
        beat, last = counter(m, "beat", beats, taken)
        parts = [Signal(len(offered), name=f"part_{index}", reset_less=True) for index in range(beats - 1)]
        for index, part in enumerate(parts):
            with m.If(taken & (beat == index)):
                m.d.sync += part.eq(offered)
        return Cat(*parts, offered), self.arriving.valid & last, last

    def _column(self, m: Module, step: Value, entering: Value, x: Value, y: Value, row_ends: Value) -> list[Value]:
        """The positions that a step shifts into each row of the window, the top row first."""
        config, bits = self.config, self.config.position_bits
        if not config.lines:
            return [entering] * config.window.rows.kernel
        m.submodules[config.line_buffer.name] = buffer = config.line_buffer.memory()
        write, read = buffer.write_port(), buffer.read_port()
        held = Value.cast(read.data)
        following = Mux(row_ends, 0, x + 1)
        stored = x < config.columns.extent
        m.d.comb += [
            read.en.eq(step),
            read.addr.eq(Mux(following < config.columns.extent, following, 0)),
            write.en.eq(step & stored),
            write.addr.eq(x),
            write.data.eq(Cat(entering, held)[: len(held)]),
        ]
        column = []
        for distance in config.rows.distances:
            above = held[(distance - 1) * bits : distance * bits] if distance else entering
            column.append(Mux(stored & (y >= distance), above, 0))
        return column

    def _places(self, m: Module, step: Value, column: list[Value], x: Value) -> list[Value]:
        """The window: the bursts of all places, row by row."""
        distances = self.config.columns.distances
        places = []
        for row, entering in enumerate(column):
            shifted: list[Value] = []
            for distance in range(distances[0] + 1):
                register = Signal(self.config.position_bits, name=f"window_{row}_{distance}", reset_less=True)
                before = Mux(x == 0, 0, shifted[-1]) if shifted else entering
                with m.If(step):
                    m.d.sync += register.eq(before)
                shifted.append(register)
            places += [shifted[distance] for distance in distances]
        return places

    def _slices(self, m: Module, places: list[Value], full: Value, window_ends: Signal) -> None:
        """Send all slices of the window while ``full``; ``window_ends`` marks the last one."""
        config, slices = self.config, self.slices
        taken = slices.valid & slices.ready
        merged, merged_ends = counter(m, "merged_step", config.merged_steps, taken)
        group, groups_end = counter(m, "plane_group", config.plane_groups, taken & merged_ends)
        sum_ends = merged_ends & groups_end
        steps = config.arriving.timesteps
        step, steps_end = counter(m, "timestep", steps // config.merged_steps, taken & sum_ends)
        fold, folds_end = counter(m, "fold", config.folds, taken & sum_ends & steps_end)
        choices = [
            [self._bits(places, timestep, planes) for planes in reversed(range(config.plane_groups))]
            for timestep in range(steps)
        ]
        timestep = step if config.merged_steps == 1 else merged
        chosen = [chosen_from(groups, group) for groups in choices]
        m.d.comb += [
            slices.valid.eq(full),
            slices.payload.bits.eq(chosen_from(chosen, timestep)),
            slices.payload.phase.eq(fold),
            slices.payload.first.eq((merged == 0) & (group == 0)),
            slices.payload.shift.eq(merged == 0),
            slices.payload.last.eq(sum_ends),
            window_ends.eq(sum_ends & steps_end & folds_end),
        ]

    def _bits(self, places: list[Value], timestep: int, group: int) -> Value:
        """The input bits of a slice: place -> channel -> bit-plane."""
        config, source = self.config, self.config.arriving
        found = []
        step, part = divmod(timestep, source.merged)
        channels = source.group // source.merged
        for place in places:
            for fold in range(source.folds):
                for beat in range(source.beats):
                    first = ((fold * source.steps + step) * source.beats + beat) * source.group + part * channels
                    for burst in range(first, first + channels):
                        low = burst * source.burst_bits + group * config.planes
                        found.append(place[low : low + config.planes])
        return Cat(found)


def chosen_from(choices: list[Value], index: Value) -> Value:
    """The choice of a number, without logic if there is only one."""
    return choices[0] if len(choices) == 1 else Array(choices)[index]
