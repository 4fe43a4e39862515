"""Proofs about states that wait in a memory from one timestep to the next: those of neurons, and those of a readout.

In each of them the solver chooses one word of the memory. Beside the component stands the order of its inputs as
docs/design.md has it, in counters of the proof's own, and a copy of the word, written when that word's neuron or class
has come through the pipeline.
"""

import dataclasses
from functools import partial
from typing import Any

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value, ValueLike, signed, unsigned

from hw.neurons.bank import NeuronBank
from hw.neurons.config import NeuronConfig
from hw.neurons.core import NeuronCore
from hw.stages.frame_readout import WRITE_LATENCY, FrameReadoutConfig, FrameReadoutUnit
from studies.formal.components import frame_readout
from studies.formal.neurons import SETTINGS, fits, limited
from studies.formal.passing import Entry, Passing, constants_match, word_of
from studies.formal.proof import Proof, Statement

PLAIN = SETTINGS["F 5, K 1, leak 1/2, soft, r 0"]
FULL = SETTINGS["F 3, K 2, no leak, soft, J 7/8 -50 to 70, V 0 to 30, r -1"]


def stored(s: Statement, config: NeuronConfig) -> None:
    """A bank reads the state that it wrote one timestep earlier, and none at the first timestep."""
    bank = NeuronBank(config)
    registers = s.add(bank)
    s.free(bank.currents.valid, bank.currents.payload, bank.bursts.ready)
    taken, depth = bank.currents.valid & bank.currents.ready, config.membranes.depth
    slot, slots_end = s.cycle(config.slots, taken)
    turned = taken & slots_end
    if config.schedule == "position_major":
        step, steps_end = s.cycle(config.timesteps, turned)
        fold, _ = s.cycle(config.folds, turned & steps_end)
        address, first = slot, step == 0
        s.agree(registers, {"step": step})
    else:
        fold, folds_end = s.cycle(config.folds, turned)
        position, positions_end = s.cycle(config.positions, turned & folds_end)
        frame_ends = turned & folds_end & positions_end
        step, _ = s.cycle(config.timesteps, frame_ends)
        first = ~s.kept(1, frame_ends) if config.endless else step == 0
        address = (position * config.folds + fold) * config.slots + slot
        s.agree(registers, {"address": address, "first_frame": first, "frame": step})
    s.agree(registers, {"slot": slot, "fold": fold, "first_row": fold * config.slots})
    s.claim((slot < config.slots) & (fold < config.folds) & (step < config.timesteps))
    if config.schedule == "time_major":
        s.claim(position < config.positions)
    own = word_of(s, depth)
    came = Entry(
        valid=taken,
        address=s.name(address, len(own)),
        row=s.name(fold * config.slots + slot, range(max(2, config.folds * config.slots))),
        data=Const(0),
    )
    passing = Passing(s, registers, came, depth=depth, pause=config.pause, length=config.write_latency)
    for number, entry in enumerate(passing.entries[1:], 1):
        stage = registers[f"stage_{number}"]
        s.claim((stage[0] == entry.valid) & (stage[2:] == entry.address[: len(stage) - 2]))
    s.claim(registers["first"] == first)
    constants_match(s, registers, config, passing.entries)

    read, write = NeuronCore.state_latency, config.write_latency
    passing.free_of_hazards(own, read - 1, write)
    written = passing.holds(write, own) & passing.advance
    s.claim(~written | bank.tap.written)
    state = s.kept(Value.cast(bank.tap.membranes), written)
    s.claim(s.word(own, "membranes") == state)
    given = Cat(registers[name] for name in ("membrane", "synaptic") if name in registers)
    s.claim(~passing.holds(read, own) | (given == state))
    s.witness(passing.holds(read, own) & (state != 0) & (own == depth - 1))


def integrated(s: Statement, config: FrameReadoutConfig) -> None:
    """L of one class, frame by frame, and the first maximum; sums and logits keep inside their proved widths."""
    unit, wide = FrameReadoutUnit(config), signed(config.summed_bits + 6)
    registers = s.add(unit)
    s.free(unit.currents.valid, unit.currents.payload, unit.results.ready)
    taken = unit.currents.valid & unit.currents.ready
    lane, lanes_end = s.cycle(config.lanes, taken)
    ends = taken & lanes_end
    number, numbers_end = s.cycle(max(1, config.frames), ends)
    first, last = (number == 0, numbers_end) if config.frames else (~s.kept(1, ends), Const(1, 1))
    s.agree(registers, {"lane": lane, "first_frame": first, "frame": number, "result_frame": number})
    s.claim((lane < config.lanes) & (number < max(1, config.frames)))
    came = Entry(valid=taken, address=lane, row=lane, data=Cat(first, last, number))
    passing = Passing(s, registers, came, depth=config.lanes, pause=config.pause, length=unit.latency)
    entries, step = passing.entries, passing.step
    for stage in range(1, unit.latency):
        one = entries[stage]
        s.claim(registers[f"stage_{stage}"] == Cat(one.valid, one.data[:2], one.address))
        s.claim(one.row == one.address)
    constants_match(s, registers, config, entries)

    own = s.chosen(range(config.lanes), "own")
    s.assume(own < config.classes)
    passing.free_of_hazards(own, 1, WRITE_LATENCY)
    written = passing.holds(WRITE_LATENCY, own) & passing.advance

    # The steps of the integer form, each beside the register that should hold it.
    def own_claim(stage: int, register: ValueLike, value: ValueLike) -> None:
        s.claim(~passing.holds(stage, own) | (Value.cast(register).as_signed() == value))

    total = step(unit.currents.payload[0])
    s.claim(registers["taken_sum"] == total)
    exponent = Array(Const(value, unsigned(4)) for value in config.exponent)[entries[1].row]
    bias = Array(Const(value, wide) for value in config.bias)[entries[1].row]
    current = step(s.name((total << exponent) + bias, wide))
    s.assume(~entries[2].valid | fits(current, config.current_bits))
    own_claim(2, registers["current"], current)
    word = s.word(own, "integrals")
    before = Signal(wide, name="before")
    leaked = before if config.leak is None else (config.leak.multiplier * before) >> config.leak.shift
    summed = step(s.name(current + Mux(entries[2].data[0], 0, leaked), wide))
    s.assume(~passing.holds(3, own) | fits(summed, config.summed_bits))
    own_claim(3, registers["summed"], summed)
    integral = step(s.name(limited(summed, config.limits), wide))
    s.assume(~passing.holds(4, own) | fits(integral, config.logit_bits))
    own_claim(4, registers["integral"], integral)
    bits = config.logit_bits
    s.module.d.comb += before.eq(s.kept(integral, written))
    own_claim(2, s.read_data("integrals")[:bits], before)
    s.claim(word[:bits].as_signed() == before)
    logit: Value = integral
    if config.maximum:
        largest = Signal(wide, name="largest")
        logit = s.name(Mux(entries[4].data[0] | (integral > largest), integral, largest), wide)
        s.module.d.comb += largest.eq(s.kept(logit, written))
        own_claim(2, s.read_data("integrals")[bits:], largest)
        s.claim(word[bits:].as_signed() == largest)
        own_claim(3, registers["largest_0"], largest)
        own_claim(4, registers["largest_1"], largest)
    given = step(logit)
    own_claim(5, registers["given"], given)

    result, valid = unit.results.payload, unit.results.valid
    shown = entries[5].valid & entries[5].data[1] & (entries[5].address < config.classes)
    s.claim(valid == step(shown))
    s.claim(~valid | (result.last == (entries[6].address == config.classes - 1)))
    s.claim(~(valid & passing.holds(6, own)) | (result.logit == step(given)))
    ranked(s, config, registers, passing, own, given, shown & passing.advance, result)
    s.witness(valid & result.last & (result.winner == own) & ~step(entries[5].data[0]))
    s.witness(valid & passing.holds(6, own) & (own == config.classes - 1))


def ranked(
    s: Statement,
    config: FrameReadoutConfig,
    registers: dict[str, Signal],
    passing: Passing,
    own: Value,
    given: Value,
    shows: Value,
    result: Any,
) -> None:
    """The winner is the first class with the largest result: whichever class ``own`` is, none before it is as large."""
    frames, lane_bits, entries = max(1, config.frames), len(own), passing.entries
    begun, lane = s.kept(1, shows), s.kept(entries[5].address, shows)
    logit = s.kept(given, shows & passing.holds(5, own))
    # The next one to be ranked is the oldest in the pipeline, or else what comes next.
    next_lane, next_frame = entries[0].address, entries[0].data[2:]
    expected_lane, expected_frame = next_lane, next_frame
    for entry in entries[1:6]:
        wraps = expected_lane == 0
        previous_frame = s.name(
            Mux(wraps, Mux(expected_frame == 0, frames - 1, expected_frame - 1), expected_frame), len(next_frame)
        )
        s.claim(~entry.valid | (entry.data[2:] == previous_frame))
        s.claim(~entry.valid | (entry.data[1] == (entry.data[2:] == frames - 1)))
        expected_lane = s.name(Mux(entry.valid, entry.address, expected_lane), lane_bits)
        expected_frame = s.name(Mux(entry.valid, previous_frame, expected_frame), len(next_frame))
    inside = (expected_frame == frames - 1) & (expected_lane > 0) & (expected_lane < config.classes)
    s.claim(~begun | (lane == Mux(inside, expected_lane - 1, config.classes - 1)))
    s.claim(begun | ~inside)
    s.claim(begun | (expected_frame != frames - 1) | (expected_lane == 0))

    best, winner, known = registers["best"], result.winner, begun & (lane >= own)
    s.claim(~begun | (winner <= lane))
    s.claim(~known | (best >= logit))
    s.claim(~known | (winner != own) | (best == logit))
    s.claim(~known | (own >= winner) | (logit < best))


def laid_out(config: NeuronConfig, lanes: int, folds: int = 1, **fields: Any) -> NeuronConfig:
    """A bank of one core with other neurons: the constants of the first ones, again and again."""
    neurons = [index % config.lanes for index in range(lanes * folds)]
    bias, exponent = (tuple(values[index] for index in neurons) for values in (config.bias, config.exponent))
    fields = {"positions": 1, **fields, "cores": 1, "group": 1, "bias": bias, "exponent": exponent}
    return dataclasses.replace(config, lanes=lanes, folds=folds, **fields)


def time_major(config: NeuronConfig, **fields: Any) -> NeuronConfig:
    """The same time-major."""
    return laid_out(config, schedule="time_major", **fields)


BANKS = {
    "position-major, 2 words, 4 to write": laid_out(PLAIN, lanes=2, folds=2, positions=2),
    "position-major, 4 words, 4 to write": laid_out(PLAIN, lanes=4, folds=2, positions=2),
    "position-major, 6 words, 4 to write": laid_out(PLAIN, lanes=6, folds=2, positions=2),
    "position-major, 3 words, 7 to write": laid_out(FULL, lanes=3, folds=2, constants_memory="block"),
    "time-major, 1 word, 4 to write": time_major(PLAIN, lanes=1),
    "time-major, 2 words, 4 to write": time_major(PLAIN, lanes=1, folds=2),
    "time-major, 4 words, 4 to write": time_major(PLAIN, lanes=2, folds=1, positions=2),
    "time-major, 8 words, 4 to write": time_major(PLAIN, lanes=2, folds=2, positions=2, constants_memory="block"),
    "time-major, 6 words, 7 to write": time_major(FULL, lanes=2, positions=3),
    "stream, 2 words, 7 to write": time_major(FULL, lanes=2, endless=True),
    "stream, 7 words, 7 to write": time_major(FULL, lanes=1, positions=7, endless=True),
    "stream, 8 words, 7 to write": time_major(FULL, lanes=2, folds=2, positions=2, endless=True),
}
READOUTS = {
    "window, 2 classes, 4 to write": frame_readout(2, 2),
    "window, 4 classes, limits": frame_readout(4, 4, limits=(-30, 40)),
    "window, 3 classes of 6 lanes, maximum": frame_readout(3, 6, maximum=True),
    "stream, 2 classes, limits, maximum": frame_readout(2, 2, 0, limits=(-30, 40), maximum=True),
    "stream, 5 classes": frame_readout(5, 5, 0, memory="block"),
}

PROOFS = [
    Proof(
        name="neuron bank: states",
        claim="a neuron reads the state and the constants that are its own: the state that it wrote one timestep "
        "earlier, none at the first",
        circuits={name: partial(stored, config=config) for name, config in BANKS.items()},
        unbounded=True,
        depth=2,
        reach=40,
    ),
    Proof(
        name="frame readout: results",
        claim="L = leak(L) + (sum << e) + bias of every class, inside its limits, or its maximum, after the last frame "
        "of a window or each of a stream; the winner is the first maximum",
        circuits={name: partial(integrated, config=config) for name, config in READOUTS.items()},
        unbounded=True,
        depth=2,
        reach=40,
    ),
]
