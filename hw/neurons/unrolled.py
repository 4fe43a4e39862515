"""Unrolled bank: neuron cores for every timestep, so that a neuron passes through all its timesteps in one pipeline."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring

from hw.features import Features
from hw.logic import counter, delayed
from hw.neurons.bank import bank_ports
from hw.neurons.config import NeuronConfig
from hw.neurons.constants import constants_memory
from hw.neurons.core import NeuronCore
from hw.timing import LONG_AGO, Consumer, PipelineClock


class UnrolledBank(wiring.Component):
    """Updates M neurons of one layer for all timesteps at the same time, with M cores per timestep.

    The state that the cores of a timestep leave goes straight into those of the next one, so there is no memory. The
    sums of later timesteps are delayed until it arrives::

        sums --+--> cores of timestep 0 --state--> cores of timestep 1 --state--> ... --> beats
               +--------- delay ---------------------^

    Throughput: M neurons per cycle if one sum serves all timesteps, otherwise M neurons every T cycles; and one beat
    per cycle. Latency: ``latency`` cycles from the last sums of M neurons to their first beat.

    Ports:
        currents: ``sums_layout(cores, accumulator_bits)``: one beat for all timesteps, or one for each.
        bursts: ``bursts_layout(group, burst_bits)``, timestep after timestep.
        tap: :class:`hw.neurons.bank.MembraneTap`; the states after the last timestep.
    """

    def __init__(self, config: NeuronConfig) -> None:
        self.config = config
        super().__init__(bank_ports(config))

    @property
    def latency(self) -> int:
        return unrolled_latency(self.config)

    @property
    def skips(self) -> list[Any]:
        """No identity skips."""
        return []

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        advance = Signal()
        taken = Signal()
        launch = Signal()
        m.d.comb += taken.eq(self.currents.valid & self.currents.ready)
        sums = self._sums(m, taken, launch)
        rows = config.folds * config.slots
        row, rows_end = counter(m, "row", rows, launch)
        constants, begun = constants_memory(
            m, config, advance=advance, taken=launch, row=row, next_row=Mux(rows_end, 0, row + 1)
        )
        m.d.comb += self.currents.ready.eq(advance & begun)

        depth = self._depth
        launched = [launch]
        for stage in range(1, depth + config.write_latency - config.burst_latency + 1):
            launched.append(Signal(name=f"launched_{stage}"))
            with m.If(advance):
                m.d.sync += launched[stage].eq(launched[stage - 1])

        bursts: list[list[Value]] = []
        states: list[Any] = [None] * config.cores
        for step in range(config.timesteps):
            wait = step * state_spacing(config)
            rest = (config.timesteps - 1 - step) * state_spacing(config)
            fired = []
            for index in range(config.cores):
                m.submodules[f"core_{step}_{index}"] = core = NeuronCore(config)
                name = f"{step}_{index}"
                m.d.comb += [
                    core.advance.eq(advance),
                    core.sum.eq(delayed(m, sums[step][index], wait, f"sum_{name}", advance)),
                    core.first.eq(step == 0),
                    core.constants.eq(
                        delayed(m, constants[index], wait if rows > 1 else 0, f"constants_{name}", advance)
                    ),
                ]
                if step:
                    m.d.comb += core.membrane.eq(states[index].next_membrane)
                    if config.current_leak is not None:
                        m.d.comb += core.synaptic.eq(states[index].next_synaptic)
                states[index] = core
                fired.append(delayed(m, core.burst, rest, f"burst_{name}", advance))
            bursts.append(fired)
        self._tap(m, states, launched[-1] & advance)
        self._send(m, Cat(bursts), launched[depth], advance)
        return m

    @property
    def _depth(self) -> int:
        """Cycles from the last sums to the bursts of all timesteps."""
        return unrolled_latency(self.config) - 1

    def _sums(self, m: Module, taken: Value, launch: Signal) -> list[list[Value]]:
        """The sums of each timestep, and in ``launch`` whether they are complete."""
        config = self.config
        offered = [self.currents.payload[index] for index in range(config.cores)]
        if config.shared_sums or config.timesteps == 1:
            m.d.comb += launch.eq(taken)
            return [offered] * config.timesteps
        step, last = counter(m, "step", config.timesteps, taken)
        m.d.comb += launch.eq(taken & last)
        gathered = []
        for earlier in range(config.timesteps - 1):
            held = [
                Signal(signed(config.accumulator_bits), name=f"gathered_{earlier}_{index}", reset_less=True)
                for index in range(config.cores)
            ]
            with m.If(taken & (step == earlier)):
                m.d.sync += [register.eq(value) for register, value in zip(held, offered, strict=True)]
            gathered.append([*held])
        return [*gathered, offered]

    def _tap(self, m: Module, states: list[Any], written: Value) -> None:
        """Show the states that the cores of the last timestep leave."""
        m.d.comb += [self.tap.written.eq(written), self.tap.last_step.eq(1)]
        for index, core in enumerate(states):
            shown = self.tap.membranes[index]
            if self.config.current_leak is None:
                m.d.comb += shown.eq(core.next_membrane)
            else:
                m.d.comb += [shown.membrane.eq(core.next_membrane), shown.synaptic.eq(core.next_synaptic)]

    def _send(self, m: Module, bursts: Value, valid: Value, advance: Signal) -> None:
        """Hold the bursts of all timesteps, and send them beat by beat."""
        config, beat = self.config, self.bursts
        bits = config.group * config.burst_bits
        held = Signal(len(bursts), reset_less=True)
        sent = beat.valid & beat.ready
        ends = counter(m, "part", config.parts, sent)[1]
        m.d.comb += [
            beat.payload.eq(held[:bits]),
            advance.eq(~valid | ~beat.valid | (beat.ready & ends)),
        ]
        with m.If(sent):
            m.d.sync += [beat.valid.eq(~ends), held.eq(held >> bits)]
        with m.If(valid & advance):
            m.d.sync += [beat.valid.eq(1), held.eq(bursts)]


def state_spacing(config: NeuronConfig) -> int:
    """Cycles from a timestep's sum to that of the next one: the state must have arrived."""
    return config.write_latency - NeuronCore.state_latency


def unrolled_latency(config: NeuronConfig) -> int:
    """Cycles from the last sums of neurons to their first beat."""
    return (config.timesteps - 1) * state_spacing(config) + config.burst_latency + 1


class UnrolledTiming:
    """Exact timing of an :class:`UnrolledBank`."""

    def __init__(self, config: NeuronConfig, reader: Consumer) -> None:
        self.config, self.reader = config, reader
        self.depth = unrolled_latency(config) - 1
        self.each = 1 if config.shared_sums else config.timesteps
        self.clock = PipelineClock()
        self.sums = 0
        self.accepted = LONG_AGO
        self.taken = LONG_AGO

    def feed(self, valid: int) -> int:
        """The beats of all slots from cycle ``valid`` on; returns the cycle in which the last one is taken."""
        for _ in range(self.config.slots):
            self.accepted = max(self.clock.local(valid), self.accepted + 1)
            self.sums = (self.sums + 1) % self.each
            if not self.sums:
                self._send()
        return self.clock.wall(self.accepted)

    def _send(self) -> None:
        """The beats of the neurons whose sums are complete."""
        self.clock.wait(self.accepted + self.depth, self.taken)
        at = self.clock.wall(self.accepted + self.depth)
        for _ in range(self.config.parts):
            at = self.reader.offer(at + 1)
        self.taken = at


def unrolled_features(config: NeuronConfig) -> Features:
    """The registers that delay sums and bursts, and those that hold bursts until they are sent."""
    steps, spacing = config.timesteps, state_spacing(config)
    waits = config.cores * spacing * steps * (steps - 1) // 2
    gathered = 0 if config.shared_sums else config.cores * (steps - 1) * config.accumulator_bits
    held = config.cores * steps * config.burst_bits
    return Features(delay=waits * (config.accumulator_bits + config.burst_bits), tree_register=gathered + held)
