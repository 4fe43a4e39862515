"""The readout of a time-major network: it integrates the currents of every frame, and its result is a state."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.engines.registry import engine_of
from hw.features import Features
from hw.layouts import sums_layout
from hw.logic import counter, first_frame
from hw.memory import Inventory, MemoryDeclaration, MemoryShape, MemoryStyle, inventory, under
from hw.neurons.constants import constants_memory
from hw.neurons.core import leaked_value, limited_value
from hw.schedule import Schedule
from hw.stages.readout import ReadoutPlan, ReadoutStage
from hw.stages.readout_unit import ReadoutConfig, result_layout
from hw.stages.stage import Room, StageTiming, Surroundings
from hw.timing import LONG_AGO, Consumer
from hw.widths import proved_widths
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.nodes import Leak, Limits, Readout

WRITE_LATENCY = 4
"""Cycles from a sum to the state that it leaves."""


@dataclass(frozen=True, kw_only=True)
class FrameReadoutPlan(ReadoutPlan):
    """How the readout is built.

    Attributes:
        name, engine, constants_memory, widths: as in :class:`hw.stages.readout.ReadoutPlan`.
        state_memory: memory style of the integrals.
    """

    type: ClassVar[str] = "frame_readout"
    state_memory: MemoryStyle

    def memories(self) -> dict[str, MemoryStyle]:
        return {**super().memories(), "integrals": self.state_memory}

    def with_memories(self, styles: Mapping[str, MemoryStyle]) -> Self:
        changed = super().with_memories(styles)
        return dataclasses.replace(changed, state_memory=styles.get("integrals", self.state_memory))


@dataclass(frozen=True, kw_only=True)
class FrameReadoutConfig(ReadoutConfig):
    """The configuration of a :class:`FrameReadoutUnit`; ``bias`` is that of one timestep, and ``repeats`` is 1.

    Attributes:
        lanes: sums per frame, including those of lanes beyond the last class.
        frames: frames per result; 0 in a network whose timesteps come without end, with a result for every frame.
        leak, limits, maximum: as in :class:`qblif.network.nodes.Readout`.
        current_bits: width of the current of one timestep; ``summed_bits`` that of L before its limits.
    """

    lanes: int
    frames: int
    leak: Leak | None
    limits: Limits | None
    maximum: bool
    state_memory: MemoryStyle
    current_bits: int
    summed_bits: int

    @property
    def integrals(self) -> MemoryDeclaration:
        """L of every class and, where the result is a maximum, the largest L so far."""
        fields = {"sum": signed(self.logit_bits)}
        if self.maximum:
            fields["largest"] = signed(self.logit_bits)
        layout = data.StructLayout(fields)
        return MemoryDeclaration(name="integrals", depth=self.lanes, layout=layout, style=self.state_memory)

    @property
    def pause(self) -> int:
        """Cycles to wait after the last sum of a frame until the first class's state is written."""
        return max(0, WRITE_LATENCY - self.lanes)


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameReadoutStage(ReadoutStage):
    """The readout of a time-major network."""

    type: ClassVar[str] = FrameReadoutPlan.type
    readout: FrameReadoutConfig

    @classmethod
    def builds(cls, node: object, schedule: Schedule) -> bool:
        return isinstance(node, Readout) and schedule == "time_major"

    @classmethod
    def derived(cls, node: Readout, plan: FrameReadoutPlan, around: Surroundings) -> Self:  # type: ignore[override]
        network = around.network
        projection = network.weighted_projection(node.name)
        widths = proved_widths(network, node, around.schedule) if plan.widths is None else plan.widths
        if plan.classes_per_beat != 1:
            raise UserError(f"layer {node.name}: a time-major readout sends one class per beat; make a new plan")
        engine = engine_of(
            projection,
            plan.engine,
            around.streams[projection.source],
            layer=node.name,
            cores=1,
            merged_steps=1,
            repeats=1,
            accumulator_bits=widths.accumulator,
        )
        readout = FrameReadoutConfig(
            classes=len(node.bias),
            repeats=1,
            lanes=plan.engine.lanes * plan.engine.folds,
            frames=0 if network.mode == "stream" else network.timesteps,
            leak=node.leak,
            limits=node.limits,
            maximum=node.maximum,
            bias=tuple(node.bias.tolist()),
            exponent=tuple(node.exponent.tolist()),
            constants_memory=plan.constants_memory,
            state_memory=plan.state_memory,
            bias_bits=widths.bias,
            exponent_bits=widths.exponent,
            accumulator_bits=widths.accumulator,
            current_bits=widths.current,
            summed_bits=widths.potential,
            logit_bits=widths.membrane,
        )
        return cls(name=node.name, engines=(engine,), readout=readout)

    @classmethod
    def proposals(cls, node: Readout, room: Room) -> Iterator[FrameReadoutPlan]:
        for plan in ReadoutStage.proposals(node, dataclasses.replace(room, most_classes=1)):
            yield FrameReadoutPlan(**vars(plan), state_memory="block")

    @property
    def latency(self) -> int:
        return self.engine.latency + FrameReadoutUnit.latency

    def memories(self) -> Inventory:
        yield from super().memories()
        yield from under(self.name, inventory(self.readout.integrals))

    def choosable_memories(self) -> dict[str, MemoryShape]:
        return {**super().choosable_memories(), "integrals": self.readout.integrals.shape}

    def features(self) -> Features:
        leak = 0 if self.readout.leak is None else self.readout.leak.multiplier.bit_count()
        registers = FrameReadoutUnit.latency * (3 + (self.readout.lanes - 1).bit_length()) + self.readout.logit_bits
        return super().features() + Features(core=self.readout.summed_bits * (1 + leak), rom_register=registers)

    def timing(self, reader: Consumer | None, bursts: Mapping[str, IntArray]) -> StageTiming:
        readout = FrameReadoutTiming(self.readout, self.engine.lanes)
        arrival, work = self.engine.timing(readout, bursts[self.engine.source])
        return StageTiming(inlets=(arrival,), work=(work,), finished=readout.finished)

    def unit(self) -> Any:
        return FrameReadoutUnit(self.readout)


class FrameReadoutUnit(wiring.Component):
    """``L[t] = limited(leak(L[t-1]) + (sum << e) + bias)`` of every class, and the first maximum (docs/design.md).

    The result of a class is L or, with ``maximum``, the largest L so far. Results leave after the last frame of a
    sample, or after every frame of a stream. Throughput: one sum per cycle, but at least ``WRITE_LATENCY`` cycles per
    frame. Latency: ``latency`` = 6 cycles from a sum to its beat. Sums of lanes beyond the last class are dropped.

    Ports:
        currents: ``sums_layout(1, accumulator_bits)``, ``lanes`` beats per frame.
        results: ``result_layout(config)``.
    """

    latency = 6

    def __init__(self, config: FrameReadoutConfig) -> None:
        self.config = config
        super().__init__(
            {
                "currents": In(stream.Signature(sums_layout(1, config.accumulator_bits))),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, result = self.config, self.results.payload
        advance = Signal()
        taken = Signal()
        pausing = Signal()
        index, frame_ends = counter(m, "lane", config.lanes, taken)
        first = first_frame(m, taken & frame_ends, config.frames)
        last = counter(m, "result_frame", config.frames, taken & frame_ends)[1] if config.frames else Const(1, 1)
        next_index = Mux(frame_ends, 0, index + 1)
        rows, begun = constants_memory(m, config, advance=advance, taken=taken, row=index, next_row=next_index)
        m.d.comb += [
            advance.eq(~self.results.valid | self.results.ready),
            self.currents.ready.eq(advance & begun & ~pausing),
            taken.eq(self.currents.valid & self.currents.ready),
        ]
        if config.pause:
            with m.If(taken & frame_ends):
                m.d.sync += pausing.eq(1)
            with m.If(counter(m, "paused", config.pause, advance & pausing)[1] & advance & pausing):
                m.d.sync += pausing.eq(0)

        # What travels with a class through the pipeline, one entry per cycle.
        layout = data.StructLayout({"valid": 1, "first": 1, "last": 1, "lane": range(config.lanes)})
        stages = [Signal(layout, name="stage_0")]
        m.d.comb += [
            stages[0].valid.eq(taken),
            stages[0].first.eq(first),
            stages[0].last.eq(last),
            stages[0].lane.eq(index),
        ]
        for number in range(1, self.latency):
            stages.append(Signal.like(stages[0], name=f"stage_{number}"))
            with m.If(advance):
                m.d.sync += stages[number].eq(stages[number - 1])

        m.submodules[config.integrals.name] = integrals = config.integrals.memory()
        read, write = integrals.read_port(), integrals.write_port()
        m.d.comb += [read.en.eq(advance), read.addr.eq(stages[1].lane)]
        taken_sum = Signal(signed(config.accumulator_bits), reset_less=True)
        current = Signal(signed(config.current_bits), reset_less=True)
        summed = Signal(signed(config.summed_bits), reset_less=True)
        integral = Signal(signed(config.logit_bits), reset_less=True)
        scaled = taken_sum << rows[0].exponent if config.exponent_bits else taken_sum
        before = read.data["sum"]
        leaked = before if config.leak is None else leaked_value(before, config.leak)
        logit = integral
        with m.If(advance):
            m.d.sync += [
                taken_sum.eq(self.currents.payload[0]),
                current.eq(scaled + rows[0].bias),
                summed.eq(current + Mux(stages[2].first, 0, leaked)),
                integral.eq(summed if config.limits is None else limited_value(summed, config.limits)),
            ]
        m.d.comb += [
            write.en.eq(advance & stages[WRITE_LATENCY].valid),
            write.addr.eq(stages[WRITE_LATENCY].lane),
            write.data["sum"].eq(integral),
        ]
        if config.maximum:
            logit = self._maximum(m, advance, read.data, stages, integral)
            m.d.comb += write.data["largest"].eq(logit)
        self._rank(m, advance, stages, logit)
        with m.If(advance):
            m.d.sync += result.last.eq(stages[5].lane == config.classes - 1)
        return m

    def _maximum(self, m: Module, advance: Value, before: Any, stages: Sequence[Any], integral: Value) -> Value:
        """The largest L so far; the state before it was read together with the sum."""
        largest = Signal.like(integral, name="largest_0", reset_less=True)
        held = Signal.like(integral, name="largest_1", reset_less=True)
        with m.If(advance):
            m.d.sync += [largest.eq(before["largest"]), held.eq(largest)]
        return Mux(stages[WRITE_LATENCY].first | (integral > held), integral, held)

    def _rank(self, m: Module, advance: Value, stages: Sequence[Any], logit: Value) -> None:
        """Give the results of the last frame, each with the first class that has the largest so far."""
        config, result = self.config, self.results.payload
        given = Signal(signed(config.logit_bits), reset_less=True)
        best = Signal(signed(config.logit_bits), reset_less=True)
        shown = stages[5].valid & stages[5].last & (stages[5].lane < config.classes)
        with m.If(advance):
            m.d.sync += [given.eq(logit), self.results.valid.eq(shown), result.logit.eq(given)]
            with m.If(shown & ((stages[5].lane == 0) | (given > best))):
                m.d.sync += [best.eq(given), result.winner.eq(stages[5].lane)]


class FrameReadoutTiming:
    """Exact timing of a :class:`FrameReadoutUnit`; ``finished`` lists the cycle in which each result's class leaves."""

    def __init__(self, config: FrameReadoutConfig, lanes: int) -> None:
        self.config, self.lanes = config, lanes
        self.taken = self.frame = 0
        self.resumes = LONG_AGO
        self.finished: list[int] = []

    def feed(self, valid: int) -> int:
        """A turn of the ring from cycle ``valid`` on; returns the cycle in which its last beat is taken."""
        config = self.config
        begins = max(valid, self.resumes)
        last_class = config.classes - 1 - self.taken
        if 0 <= last_class < self.lanes and (not config.frames or self.frame == config.frames - 1):
            self.finished.append(begins + last_class + FrameReadoutUnit.latency)
        self.taken = (self.taken + self.lanes) % config.lanes
        last = begins + self.lanes - 1
        if not self.taken:
            self.frame = (self.frame + 1) % max(1, config.frames)
            self.resumes = last + 1 + config.pause
        return last
