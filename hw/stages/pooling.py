"""Pooling over windows that tile the source, computed while the stream passes: one row of results is kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from hw.engines.engine import Expectation
from hw.features import Features
from hw.layouts import bursts_layout
from hw.logic import counter
from hw.memory import Inventory, MemoryDeclaration, MemoryShape, MemoryStyle, inventory, under
from hw.rows_ahead import RowsAhead
from hw.schedule import Schedule
from hw.stages.pooled import UNIT, PooledPlan, PooledStage, pooling_ports, shared
from hw.stages.stage import Room, StageCycles, StageTiming, Surroundings
from hw.timing import LONG_AGO, Consumer, PipelineClock
from qblif.network.checks import IntArray
from qblif.network.nodes import Pooling


@dataclass(frozen=True, kw_only=True)
class PoolingPlan(PooledPlan):
    """How a pooling is built; ``memory``: memory style of one row of unfinished windows."""

    type: ClassVar[str] = "pooling"
    held: ClassVar[str] = "windows"


@dataclass(frozen=True, kw_only=True)
class PoolingStage(PooledStage):
    """The configuration of a :class:`PoolingUnit`."""

    type: ClassVar[str] = PoolingPlan.type
    memory: MemoryStyle

    @classmethod
    def builds(cls, node: object, schedule: Schedule) -> bool:
        return isinstance(node, Pooling) and node.tiles

    @classmethod
    def derived(cls, node: Pooling, plan: PoolingPlan, around: Surroundings) -> Self:
        return cls(**shared(node, around), memory=plan.memory)

    @classmethod
    def proposals(cls, node: Pooling, room: Room) -> Iterator[PoolingPlan]:
        yield PoolingPlan(name=node.name, memory="block")

    @property
    def latency(self) -> int:
        return PoolingUnit.latency

    @property
    def pause(self) -> int:
        """Cycles to wait after each position until the partial results that it leaves can be read again; 0 where
        registers keep those of a row of a window, and the row's other windows take long enough."""
        return 0 if self.holds else max(0, PoolingUnit.write_latency - self.stream.beats_per_position)

    @property
    def holds(self) -> bool:
        """Whether registers, one per beat of a position, keep the partial results of a row of a window."""
        words, positions = self.stream.beats_per_position, self.stream.width - self.window.columns.kernel + 1
        return words < PoolingUnit.write_latency <= positions * words

    @property
    def partial_results(self) -> MemoryDeclaration:
        """One row of unfinished windows."""
        return MemoryDeclaration(
            name="partial",
            depth=self.output.width * self.stream.beats_per_position,
            layout=bursts_layout(self.output.group, self.output.burst_bits),
            style=self.memory,
        )

    def memories(self) -> Inventory:
        return under(self.part(UNIT), inventory(self.partial_results))

    def choosable_memories(self) -> dict[str, MemoryShape]:
        return {PoolingPlan.held: self.partial_results.shape}

    def features(self) -> Features:
        return Features(
            stage=1,
            pooling=self.output.group * self.output.burst_bits,
            stream=self.stream.group * self.stream.burst_bits,
        )

    def rows_ahead(self, found: Mapping[str, RowsAhead]) -> RowsAhead | None:
        before = found.get(self.source)
        return None if before is None else pooled_rows(before, self.window.rows.kernel)

    def expected_cycles(self, expectation: Expectation) -> StageCycles:
        return StageCycles(arrival=0, array=0, neurons=self.most_cycles())

    def most_cycles(self) -> int:
        return self.stream.height * self.stream.width * (self.stream.beats_per_position + self.pause)

    def timing(self, reader: Consumer | None, bursts: Mapping[str, IntArray]) -> StageTiming:
        assert reader is not None
        return StageTiming(inlets=(PoolingTiming(self, reader),))

    def unit(self) -> "PoolingUnit":
        return PoolingUnit(self)


def pooled_rows(before: RowsAhead, kernel: int) -> RowsAhead:
    """Rows that must have been sent before a row of pooled windows is complete."""
    return lambda row: before((row + 1) * kernel - 1)


class PoolingUnit(wiring.Component):
    """Pools every channel over windows that tile the source; rows and columns that do not fill a window are dropped.

    ::

        arriving --> address | memory | partial results | combine --> write back, or leave with the window's last beat
        cycle           0        1            2

    One row of unfinished windows is kept. A written word can be read ``write_latency`` = 3 cycles later, so if a
    position has fewer beats than that, registers keep the partial results until the row of the window ends. In a source
    with so few columns that this does not help, the stage pauses for the difference after each position.

    Throughput: one beat per cycle, and ``config.pause`` cycles of pause after each position. Latency: ``latency`` = 3
    cycles from a window's last beat to its result. While a result is not taken, the next one stalls the whole stage.

    Ports:
        arriving: ``bursts_layout(group, burst_bits)`` of ``config.stream``.
        leaving: ``bursts_layout(group, burst_bits)`` of ``config.output``.
    """

    latency = 3
    write_latency = 3

    def __init__(self, config: PoolingStage) -> None:
        self.config = config
        super().__init__(pooling_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        results = bursts_layout(config.output.group, config.output.burst_bits)
        m.submodules[config.partial_results.name] = partial = config.partial_results.memory()
        read, write = partial.read_port(), partial.write_port()

        advance = Signal()
        taken = Signal()
        pausing = Signal()
        m.d.comb += [
            self.arriving.ready.eq(advance & ~pausing),
            taken.eq(self.arriving.valid & self.arriving.ready),
        ]
        place = self._place(m, taken)
        pause = config.pause
        if pause:
            with m.If(taken & place.position_ends):
                m.d.sync += pausing.eq(1)
            with m.If(counter(m, "paused", pause, advance & pausing)[1] & advance & pausing):
                m.d.sync += pausing.eq(0)

        # Data that travels with a beat while its window's partial result is fetched.
        layout = data.StructLayout(
            {
                "valid": 1,
                "first": 1,
                "last": 1,
                **({"begins": 1, "ends": 1} if config.holds else {}),
                "address": read.addr.shape(),
                "bursts": self.arriving.payload.shape(),
            }
        )
        asked = Signal(layout, name="asked")
        fetched = Signal(layout, name="fetched")
        before = Signal(results, reset_less=True)
        combined = Signal(results)
        m.d.comb += [read.en.eq(advance), read.addr.eq(place.address)]
        with m.If(advance):
            m.d.sync += [
                asked.valid.eq(taken & place.kept),
                asked.first.eq(place.first),
                asked.last.eq(place.last),
                asked.address.eq(place.address),
                asked.bursts.eq(self.arriving.payload),
                fetched.eq(asked),
                before.eq(read.data),
            ]
        known, writes = before, fetched.valid & ~fetched.last & advance
        if config.holds:
            names = ["held", *(f"held_{word}" for word in range(1, config.stream.beats_per_position))]
            held = [Signal.like(combined, name=name, reset_less=True) for name in names]
            known = Signal.like(combined, name="known")
            writes = writes & fetched.ends
            m.d.comb += known.eq(Mux(fetched.begins, before, held[-1]))
            with m.If(advance):
                m.d.sync += [asked.begins.eq(place.begins), asked.ends.eq(place.ends)]
                with m.If(fetched.valid):
                    m.d.sync += [kept.eq(value) for kept, value in zip(held, [combined, *held[:-1]], strict=True)]
        for index in range(config.stream.group):
            burst, so_far = fetched.bursts[index], known[index]
            more = so_far + burst if config.kind == "sum" else Mux(so_far > burst, so_far, burst)
            m.d.comb += combined[index].eq(Mux(fetched.first, burst, more))

        leaves = fetched.valid & fetched.last
        m.d.comb += [
            advance.eq(~leaves | ~self.leaving.valid | self.leaving.ready),
            write.en.eq(writes),
            write.addr.eq(fetched.address),
            write.data.eq(combined),
        ]
        with m.If(~self.leaving.valid | self.leaving.ready):
            m.d.sync += [self.leaving.valid.eq(leaves), self.leaving.payload.eq(combined)]
        return m

    def _place(self, m: Module, taken: Signal) -> "Place":
        """The place of the arriving beat."""
        config = self.config
        down, across = config.window.rows.kernel, config.window.columns.kernel
        words = config.stream.beats_per_position
        position_ends = Signal()
        kept = Signal()
        first = Signal()
        last = Signal()
        address = Signal(range(max(2, config.output.width * words)), name="address")
        m.d.comb += position_ends.eq(counter(m, "word", words, taken)[1])
        x, row_ends = counter(m, "x", config.stream.width, taken & position_ends)
        y, _ = counter(m, "y", config.stream.height, taken & position_ends & row_ends)
        column = cyclic(m, "column", across, taken & position_ends, taken & position_ends & row_ends)
        row_taken = taken & position_ends & row_ends
        row = cyclic(m, "row", down, row_taken, row_taken & (y == config.stream.height - 1))
        m.d.comb += [
            kept.eq((x < config.output.width * across) & (y < config.output.height * down)),
            first.eq((row == 0) & (column == 0)),
            last.eq((row == down - 1) & (column == across - 1)),
        ]
        with m.If(taken):
            m.d.sync += address.eq(address + 1)
            with m.If(position_ends & (column != across - 1)):
                m.d.sync += address.eq(address - (words - 1))
            with m.If(row_taken):
                m.d.sync += address.eq(0)
        return Place(
            address=address,
            kept=kept,
            first=first,
            last=last,
            begins=column == 0,
            ends=column == across - 1,
            position_ends=position_ends,
        )


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place of a beat.

    Attributes:
        address: of the partial results.
        kept: it belongs to a window.
        first, last: it is in the first or last position of its window.
        begins, ends: it is in the first or last position of a row of its window.
        position_ends: it is the last beat of its position.
    """

    address: Value
    kept: Value
    first: Value
    last: Value
    begins: Value
    ends: Value
    position_ends: Value


def cyclic(m: Module, name: str, length: int, advance: object, restart: object) -> Signal:
    """A counter from 0 to length-1 that counts when ``advance`` is 1 and returns to 0 when ``restart`` is 1."""
    value = Signal(range(length), name=name)
    with m.If(advance):
        m.d.sync += value.eq(Mux(value == length - 1, 0, value + 1))
    with m.If(restart):
        m.d.sync += value.eq(0)
    return value


class PoolingTiming:
    """Exact timing of a pooling stage."""

    def __init__(self, config: PoolingStage, reader: Consumer) -> None:
        self.config, self.reader = config, reader
        self.words = config.stream.beats_per_position
        self.pause = config.pause
        self.clock = PipelineClock()
        self.accepted = LONG_AGO
        self.taken = LONG_AGO
        self.place = 0

    def offer(self, at: int) -> int:
        config, clock = self.config, self.clock
        position, word = divmod(self.place, self.words)
        y, x = divmod(position, config.stream.width)
        self.place = (self.place + 1) % config.stream.beats_per_inference
        pause = self.pause if word == 0 else 0
        self.accepted = max(clock.local(at), self.accepted + 1 + pause)
        down, across = config.window.rows.kernel, config.window.columns.kernel
        kept = y < config.output.height * down and x < config.output.width * across
        if kept and y % down == down - 1 and x % across == across - 1:
            leaves = self.accepted + PoolingUnit.latency - 1
            clock.wait(leaves, self.taken)
            self.taken = self.reader.offer(clock.wall(leaves) + 1)
        return clock.wall(self.accepted)
