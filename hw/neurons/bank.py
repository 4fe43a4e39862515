"""Neuron bank: M neuron cores, the membranes and constants of P neurons, and the packing of bursts into beats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import bursts_layout, sums_layout
from hw.logic import counter, first_frame
from hw.neurons.config import NeuronConfig
from hw.neurons.constants import constants_memory
from hw.neurons.core import NeuronCore
from hw.neurons.skip_queue import SkipTiming
from hw.timing import LONG_AGO, Consumer, PipelineClock


class MembraneTap(wiring.Signature):
    """Tap of states as they are written back; ``last_step`` marks those after the last timestep, or, time-major, all
    of them. Not a stream."""

    def __init__(self, config: NeuronConfig) -> None:
        states = data.ArrayLayout(config.state_layout, config.cores)
        super().__init__({"written": Out(1), "last_step": Out(1), "membranes": Out(states)})


def bank_ports(config: NeuronConfig) -> dict[str, wiring.Member]:
    """The ports that every bank of neurons has."""
    return {
        "currents": In(stream.Signature(sums_layout(config.cores, config.accumulator_bits))),
        "bursts": Out(stream.Signature(bursts_layout(config.group, config.burst_bits))),
        "tap": Out(MembraneTap(config)),
    }


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The neurons that a bank takes next.

    Attributes:
        first, last: whether this is the first or the last timestep of a sample.
        address: the word of their states.
        row, next_row: the rows of their constants, and of those of the neurons after them.
        ends: these are the last neurons before the states are needed again.
    """

    first: Value
    last: Value
    address: Value
    row: Value
    next_row: Value
    ends: Value


class NeuronBank(wiring.Component):
    """Updates the neurons of one layer, M neighbouring neurons per cycle.

    Position-major, the order is position -> fold -> timestep -> neuron, and only the states of the P neurons of one
    fold are stored. Time-major, it is timestep -> position -> fold -> neuron, and the states of all neurons are. At
    rest a state is not read: a flag marks the first timestep, so no memory has to be cleared.

    A neuron's state is written back ``config.write_latency`` cycles after its sum is taken and read again at the next
    timestep; if it is needed earlier, the bank pauses.

    Throughput: ``max(P / M, write_latency)`` cycles per timestep and fold position-major, ``P / M`` with a single
    timestep; ``P / M`` time-major, or the same maximum for the whole frame. Latency: ``latency``, 5 cycles for the
    plain neuron, from the sums that complete a beat to the beat. While a beat is not taken, bursts of the next one
    stall the whole bank.

    Ports:
        currents: ``sums_layout(cores, accumulator_bits)``, as :class:`hw.engines.event.handover.Handover` sends them.
        bursts: ``bursts_layout(group, burst_bits)``.
        skip_0, ...: ``bursts_layout`` of each identity skip's stream, in the order of the neurons.
        tap: :class:`MembraneTap`.
    """

    def __init__(self, config: NeuronConfig) -> None:
        self.config = config
        super().__init__(
            {
                **bank_ports(config),
                **{
                    skip_port(index): In(stream.Signature(bursts_layout(skip.stream.group, skip.stream.burst_bits)))
                    for index, skip in enumerate(config.skips)
                },
            }
        )

    @property
    def latency(self) -> int:
        return bank_latency(self.config)

    @property
    def skips(self) -> list[Any]:
        """The streams of the identity skips; their beats may differ in width, so they are not an array of ports."""
        return [getattr(self, skip_port(index)) for index in range(len(self.config.skips))]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        # Position of the neurons that are taken next; if states are needed early, a pause follows each timestep.
        advance = Signal()
        taken = Signal()
        pausing = Signal()
        turn = self._time_major(m, taken) if config.schedule == "time_major" else self._position_major(m, taken)
        constants, begun = constants_memory(
            m, config, advance=advance, taken=taken, row=turn.row, next_row=turn.next_row
        )
        complete, skipped = self._skips(m, taken)
        m.d.comb += [
            self.currents.ready.eq(advance & ~pausing & complete & begun),
            taken.eq(self.currents.valid & self.currents.ready),
        ]
        if config.pause:
            with m.If(taken & turn.ends):
                m.d.sync += pausing.eq(1)
            with m.If(counter(m, "paused", config.pause, advance & pausing)[1] & advance & pausing):
                m.d.sync += pausing.eq(0)

        # Data that travels with a neuron through the pipeline, one entry per stage.
        depth = config.membranes.depth
        stages = [Signal(data.StructLayout({"valid": 1, "last_step": 1, "slot": range(depth)}), name="stage_0")]
        m.d.comb += [stages[0].valid.eq(taken), stages[0].last_step.eq(turn.last), stages[0].slot.eq(turn.address)]
        for index in range(1, config.write_latency + 1):
            stages.append(Signal.like(stages[0], name=f"stage_{index}"))
            with m.If(advance):
                m.d.sync += stages[index].eq(stages[index - 1])
        written = stages[config.write_latency]

        m.submodules[config.membranes.name] = membranes = config.membranes.memory()
        read, write = membranes.read_port(), membranes.write_port()
        m.d.comb += [
            read.en.eq(advance),
            read.addr.eq(stages[NeuronCore.state_latency - 1].slot),
            write.en.eq(advance & written.valid),
            write.addr.eq(written.slot),
            self.tap.written.eq(write.en),
            self.tap.last_step.eq(written.last_step),
            self.tap.membranes.eq(write.data),
        ]
        counts = Signal(bursts_layout(config.cores, config.burst_bits))
        for index in range(config.cores):
            m.submodules[f"core_{index}"] = core = NeuronCore(config)
            m.d.comb += [
                core.advance.eq(advance),
                core.sum.eq(self.currents.payload[index]),
                core.first.eq(turn.first),
                *(core.skips[f"skip_{number}"].eq(burst) for number, burst in enumerate(skipped[index])),
                core.constants.eq(constants[index]),
            ]
            before, after = read.data[index], write.data[index]
            if config.current_leak is None:
                m.d.comb += [core.membrane.eq(before), after.eq(core.next_membrane)]
            else:
                m.d.comb += [
                    core.membrane.eq(before.membrane),
                    core.synaptic.eq(before.synaptic),
                    after.membrane.eq(core.next_membrane),
                    after.synaptic.eq(core.next_synaptic),
                ]
            m.d.comb += counts[index].eq(core.burst)
        self._pack(m, counts, stages[config.burst_latency].valid, advance)
        return m

    def _position_major(self, m: Module, taken: Signal) -> Turn:
        """The order fold -> timestep -> neuron, for one position after another."""
        config = self.config
        slot, slots_end = counter(m, "slot", config.slots, taken)
        step, steps_end = counter(m, "step", config.timesteps, taken & slots_end)
        first_row, following_first_row = self._first_rows(m, config.slots, taken & slots_end & steps_end)
        row = first_row + slot
        next_row = Mux(slots_end, Mux(steps_end, following_first_row, first_row), row + 1)
        return Turn(first=step == 0, last=steps_end, address=slot, row=row, next_row=next_row, ends=slots_end)

    def _time_major(self, m: Module, taken: Signal) -> Turn:
        """The order timestep -> position -> fold -> neuron."""
        config = self.config
        address, frame_ends = counter(m, "address", config.membranes.depth, taken)
        slot, slots_end = counter(m, "slot", config.slots, taken)
        first_row, following_first_row = self._first_rows(m, config.slots, taken & slots_end)
        row = first_row + slot
        next_row = Mux(slots_end, following_first_row, row + 1)
        first = first_frame(m, taken & frame_ends, 0 if config.endless else config.timesteps)
        return Turn(first=first, last=Const(1), address=address, row=row, next_row=next_row, ends=frame_ends)

    def _skips(self, m: Module, taken: Signal) -> tuple[Value, list[list[Value]]]:
        """Whether every skip offers the bursts of the neurons that are taken next, and these bursts for each core.

        A skip's beat that is wider than the cores serves several cycles; it is taken in the last of them.
        """
        cores = self.config.cores
        offered: list[Value] = []
        bursts: list[list[Value]] = [[] for _ in range(cores)]
        for index, skip in enumerate(self.config.skips):
            beat = self.skips[index]
            part, parts_end = counter(m, f"skip_part_{index}", skip.stream.group // cores, taken)
            m.d.comb += beat.ready.eq(taken & parts_end)
            offered.append(beat.valid)
            for core in range(cores):
                own = [beat.payload[channel] for channel in range(core, skip.stream.group, cores)]
                bursts[core].append(Array(own)[part] if len(own) > 1 else own[0])
        return (Cat(offered).all() if offered else Const(1, 1)), bursts

    def _first_rows(self, m: Module, slots: int, fold_ends: Value) -> tuple[Value, Value]:
        """First rows of the constants of the current fold and of the next one."""
        if self.config.folds == 1:
            return Const(0), Const(0)
        row = Signal(range(self.config.folds * slots), name="first_row")
        last_fold = counter(m, "fold", self.config.folds, fold_ends)[1]
        following = Mux(last_fold, 0, row + slots)
        with m.If(fold_ends):
            m.d.sync += row.eq(following)
        return row, following

    def _pack(self, m: Module, counts: "data.View[data.ArrayLayout]", valid: Value, advance: Signal) -> None:
        """Gather the bursts of ``group / cores`` cycles into one beat, which is held until it is taken."""
        config, beat = self.config, self.bursts
        parts = config.group // config.cores
        gathering = Signal()
        part, complete = counter(m, "part", parts, gathering)
        m.d.comb += [
            advance.eq(~valid | ~beat.valid | beat.ready),
            gathering.eq(valid & advance),
        ]
        with m.If(beat.ready):
            m.d.sync += beat.valid.eq(0)
        with m.If(gathering):
            m.d.sync += beat.valid.eq(complete)
            for index in range(config.group):
                with m.If(part == index // config.cores):
                    m.d.sync += beat.payload[index].eq(counts[index % config.cores])


def bank_latency(config: NeuronConfig) -> int:
    """Cycles from the sums that complete a beat to the beat."""
    return config.burst_latency + 1


def skip_port(index: int) -> str:
    """Name of the port of an identity skip."""
    return f"skip_{index}"


class NeuronBankTiming:
    """Exact timing of the neurons of one layer, from the turning ring to the beats that leave."""

    def __init__(self, config: NeuronConfig, repeats: int, skips: Sequence[SkipTiming], reader: Consumer) -> None:
        self.config, self.repeats, self.skips, self.reader = config, repeats, skips, reader
        self.clock = PipelineClock()
        self.turned = 0
        self.parts = config.group // config.cores
        self.widths = [skip.stream.group // config.cores for skip in config.skips]
        self.accepted = LONG_AGO
        self.resumes = LONG_AGO
        self.taken = LONG_AGO
        self.slot = 0

    def feed(self, valid: int) -> int:
        """A ring that turns ``repeats`` times from cycle ``valid`` on; returns the cycle in which its last beat is
        taken."""
        for _ in range(self.repeats):
            for first in range(0, self.config.slots, self.parts):
                self._beat(valid, first)
            self.turned = (self.turned + 1) % self.config.turns
            self.resumes = self.accepted + 1 + (0 if self.turned else self.config.pause)
        return self.clock.wall(self.accepted)

    def _beat(self, valid: int, first: int) -> None:
        """The neurons of one beat; it leaves a cycle after the last of them."""
        clock = self.clock
        self._accept(valid, first)
        clock.wait(self.accepted + self.config.burst_latency, self.taken)
        if self.skips:
            for slot in range(first + 1, first + self.parts):
                self._accept(valid, slot)
        else:
            self.accepted += self.parts - 1
        self.taken = self.reader.offer(clock.wall(self.accepted + self.config.burst_latency) + 1)

    def _accept(self, valid: int, slot: int) -> None:
        """The cores take the sums of one slot."""
        for skip in self.skips:
            valid = max(valid, skip.available())
        self.accepted = max(self.clock.local(valid), self.accepted + 1, self.resumes)
        for skip, width in zip(self.skips, self.widths, strict=True):
            if slot % width == width - 1:
                skip.take(self.clock.wall(self.accepted))
