"""The component that adds up the currents of the classes and finds the largest: its configuration and exact timing."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.engines.engine import numbered
from hw.layouts import sums_layout
from hw.logic import counter, delayed, times_constant
from hw.memory import MemoryDeclaration, MemoryStyle
from hw.neurons.constants import constants_declaration, constants_memory


@dataclass(frozen=True, kw_only=True)
class ReadoutConfig:
    """The configuration of a :class:`Readout`; ``bias`` (of all timesteps) and ``exponent``: (classes,).

    ``repeats``: how often the sum counts (direct input into the readout: T); ``classes_per_beat``: C.
    """

    classes: int
    classes_per_beat: int = 1
    repeats: int
    bias: tuple[int, ...]
    exponent: tuple[int, ...]
    constants_memory: MemoryStyle
    bias_bits: int
    exponent_bits: int
    accumulator_bits: int
    logit_bits: int

    @property
    def beats(self) -> int:
        """Beats of a result."""
        return self.classes // self.classes_per_beat

    @property
    def constants(self) -> MemoryDeclaration:
        """Biases and exponents, beat after beat."""
        return constants_declaration(self, per_word=self.classes_per_beat)


def result_layout(config: ReadoutConfig) -> data.StructLayout:
    """Payload of the network's output: the classes in order, C in each beat.

    ``logit``: L of this class, or, if C > 1, ``logits``: those of C classes, the first one lowest; ``winner``: first
    class with the largest logit so far, so on the beat with ``last`` it is the network's answer.
    """
    one, together = signed(config.logit_bits), config.classes_per_beat
    logits = {"logit": one} if together == 1 else {"logits": data.ArrayLayout(one, together)}
    return data.StructLayout({**logits, "winner": unsigned(bits_for(config.classes - 1)), "last": 1})


def logits_of(result: Any) -> list[Value]:
    """The logits in a beat of :func:`result_layout`."""
    return [result.logit] if "logit" in result.shape().members else list(result.logits)


class ReadoutUnit(wiring.Component):
    """``L = repeats * (sum << e) + bias`` and its first maximum (docs/design.md, integer form).

    ::

        sums --> register | logits | rounds of comparisons of two | largest so far --> results
        cycle       1         2          2 + rounds                   3 + rounds

    The bias covers all timesteps together. Throughput: C classes per cycle, without a gap between results. Latency:
    ``latency`` cycles from a sum to its beat. Sums of lanes beyond the last class are dropped.

    Ports:
        currents: ``sums_layout(C, accumulator_bits)``, ``lanes_total / C`` beats per inference.
        results: ``result_layout(config)``.
    """

    def __init__(self, config: ReadoutConfig, *, lanes_total: int) -> None:
        self.config, self.lanes_total = config, lanes_total
        super().__init__(
            {
                "currents": In(stream.Signature(sums_layout(config.classes_per_beat, config.accumulator_bits))),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    @property
    def latency(self) -> int:
        return readout_latency(self.config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, result = self.config, self.results.payload
        together, beats = config.classes_per_beat, config.beats
        advance = Signal()
        taken = Signal()
        index, lanes_end = counter(m, "lane", self.lanes_total // together, taken)
        next_index = Mux(lanes_end, 0, index + 1)
        rows, begun = constants_memory(m, config, advance=advance, taken=taken, row=index, next_row=next_index)
        m.d.comb += [
            advance.eq(~self.results.valid | self.results.ready),
            self.currents.ready.eq(advance & begun),
            taken.eq(self.currents.valid & self.currents.ready),
        ]

        def registers(name: str, bits: int) -> list[Signal]:
            """A signed register for each class of a beat."""
            names = [numbered(name, place) for place in range(together)]
            return [Signal(signed(bits), name=one, reset_less=True) for one in names]

        taken_valid = Signal()
        taken_class = Signal(range(max(2, beats)), reset_less=True)
        taken_sums = registers("taken_sum", config.accumulator_bits)
        logit_valid = Signal()
        logit_class = Signal(range(max(2, beats)), reset_less=True)
        logits = registers("logit", config.logit_bits)
        scaled = [
            taken_sum << constants.exponent if config.exponent_bits else taken_sum
            for taken_sum, constants in zip(taken_sums, rows, strict=True)
        ]
        with m.If(advance):
            m.d.sync += [
                taken_valid.eq(taken & (index < beats)),
                taken_class.eq(index),
                *(taken_sum.eq(self.currents.payload[place]) for place, taken_sum in enumerate(taken_sums)),
                logit_valid.eq(taken_valid),
                logit_class.eq(taken_class),
                *(
                    logit.eq(times_constant(current, config.repeats) + constants.bias)
                    for logit, current, constants in zip(logits, scaled, rows, strict=True)
                ),
            ]

        # The classes of a beat meet in pairs, round after round; of equal ones the lower one stays.
        best = Signal(signed(config.logit_bits), reset_less=True)
        leads = Signal()
        rounds = tournament_rounds(config)
        left: list[tuple[Value, Value]] = [(Const(place), logit) for place, logit in enumerate(logits)]
        valid = logit_valid
        for number in range(rounds):
            left = [
                self._meet(m, left[first : first + 2], advance, f"{number}_{first // 2}")
                for first in range(0, len(left), 2)
            ]
            valid, before = Signal(name=f"met_valid_{number}"), valid
            with m.If(advance):
                m.d.sync += valid.eq(before)
        [(place, largest)] = left
        beat = delayed(m, logit_class, rounds, "met_class", advance)
        shown = [delayed(m, logit, rounds, f"met_logit_{place}", advance) for place, logit in enumerate(logits)]
        winner = beat if together == 1 else times_constant(beat, together) + place
        m.d.comb += leads.eq((beat == 0) | (largest > best))
        with m.If(advance):
            m.d.sync += [
                self.results.valid.eq(valid),
                *(given.eq(logit) for given, logit in zip(logits_of(result), shown, strict=True)),
                result.last.eq(beat == beats - 1),
            ]
            with m.If(valid & leads):
                m.d.sync += [best.eq(largest), result.winner.eq(winner)]
        return m

    def _meet(self, m: Module, pair: list[tuple[Value, Value]], advance: Value, name: str) -> tuple[Value, Value]:
        """Place and logit of the better one of two classes, or of a class that is alone, one cycle later."""
        place = Signal(range(self.config.classes_per_beat), name=f"place_{name}", reset_less=True)
        largest = Signal(signed(self.config.logit_bits), name=f"largest_{name}", reset_less=True)
        (low, low_logit), (high, high_logit) = pair[0], pair[-1]
        wins = high_logit > low_logit
        with m.If(advance):
            m.d.sync += [place.eq(Mux(wins, high, low)), largest.eq(Mux(wins, high_logit, low_logit))]
        return place, largest


def tournament_rounds(config: ReadoutConfig) -> int:
    """Rounds in which the largest logit of a beat is found."""
    return (config.classes_per_beat - 1).bit_length()


def readout_latency(config: ReadoutConfig) -> int:
    """Cycles from a sum to its beat in a :class:`ReadoutUnit`."""
    return 3 + tournament_rounds(config)


class ReadoutTiming:
    """Exact timing of a :class:`ReadoutUnit`; ``finished`` lists the cycle in which each inference's class leaves."""

    def __init__(self, config: ReadoutConfig, lanes: int, folds: int) -> None:
        self.config, self.turn = config, lanes // config.classes_per_beat
        self.beats = self.turn * folds
        self.taken = 0
        self.finished: list[int] = []

    def feed(self, valid: int) -> int:
        """A turn of the ring from cycle ``valid`` on; returns the cycle in which its last beat is taken."""
        last_class = self.config.beats - 1 - self.taken
        if 0 <= last_class < self.turn:
            self.finished.append(valid + last_class + readout_latency(self.config))
        self.taken = (self.taken + self.turn) % self.beats
        return valid + self.turn - 1
