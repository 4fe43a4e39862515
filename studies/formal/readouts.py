"""Proofs about readouts that add up all timesteps in their engine: logits, and the first maximum."""

import dataclasses
from functools import partial

from amaranth.hdl import Array, Const, Mux, Value, signed

from hw.stages.readout_unit import ReadoutConfig, ReadoutUnit, logits_of
from studies.formal.components import CONFIG
from studies.formal.proof import Proof, Statement

WIDE = signed(12)


def answered(s: Statement, config: ReadoutConfig, *, lanes: int) -> None:
    """The logits of every beat are those of its sums; its winner is the first maximum of the classes so far."""
    unit = ReadoutUnit(config, lanes_total=lanes)
    registers = s.add(unit)
    s.free(unit.currents.valid, unit.currents.payload, unit.results.ready)
    together, taken = config.classes_per_beat, unit.currents.valid & unit.currents.ready
    beat, _ = s.cycle(lanes // together, taken)
    present: Value = taken & (beat < config.beats)
    sums = [s.name(one, signed(config.accumulator_bits)) for one in unit.currents.payload]
    # What is in the pipeline moves one step whenever the pipeline does.
    for _ in range(unit.latency):
        present, beat = s.kept(present, registers["advance"]), s.kept(beat, registers["advance"])
        sums = [s.kept(one, registers["advance"]) for one in sums]
    shown, result = unit.results.valid, unit.results.payload
    s.claim(shown == present)
    s.claim(~shown | (result.last == (beat == config.beats - 1)))

    best, winner = s.name(Const(0), WIDE), s.name(Const(0), 4)
    best_before = s.kept(best, shown)
    winner_before = s.kept(winner, shown)
    largest, place = best_before, winner_before
    for number, (total, logit) in enumerate(zip(sums, logits_of(result), strict=True)):
        label = s.name(beat * together + number, 4)
        bias = Array(Const(one, WIDE) for one in config.bias)[label]
        exponent = Array(Const(one, 2) for one in config.exponent)[label]
        s.claim(~shown | (logit == config.repeats * (total << exponent) + bias))
        leads = (label == 0) | (logit > largest)
        largest, place = s.name(Mux(leads, logit, largest), WIDE), s.name(Mux(leads, label, place), 4)
    s.module.d.comb += [best.eq(largest), winner.eq(place)]
    s.claim(~shown | (result.winner == winner))
    s.witness(shown & result.last & (result.winner == config.classes - 1))


def readout(classes: int, together: int) -> ReadoutConfig:
    """A readout with different biases and exponents."""
    return dataclasses.replace(
        CONFIG.readout,
        classes=classes,
        classes_per_beat=together,
        repeats=1,
        bias=tuple(3 - 2 * label for label in range(classes)),
        exponent=tuple(label % 2 for label in range(classes)),
        bias_bits=4,
        exponent_bits=1,
        accumulator_bits=4,
        logit_bits=7,
    )


PROOFS = [
    Proof(
        name="readout: results",
        claim="logits are those of the sums, class by class; the winner is the first maximum",
        circuits={
            "3 classes one by one, 4 lanes": partial(answered, config=readout(3, 1), lanes=4),
            "4 classes in beats of 2": partial(answered, config=readout(4, 2), lanes=4),
            "3 classes at once": partial(answered, config=readout(3, 3), lanes=3),
        },
        unbounded=False,
        depth=14,
        reach=14,
    )
]
