"""What the proofs about states share: the inputs of a component on their way through its pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Cat, Const, Mux, Signal, Value, ValueLike

from studies.formal.proof import Statement


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is in one stage of a pipeline: whether anything is, and the word and the row of constants that belong to
    it; ``data`` travels with it."""

    valid: Value
    address: Value
    row: Value
    data: Value


class Passing:
    """The inputs of a component on their way through its pipeline: ``entries[k]`` is what came k steps ago.

    The claims here tie the pipeline's registers to the order in which words are needed: consecutive words are in
    flight, and behind the last word of a frame ``pause`` places stay empty.
    """

    def __init__(
        self, s: Statement, registers: dict[str, Signal], taken: Entry, *, depth: int, pause: int, length: int
    ) -> None:
        self.s, self.advance, self.entries = s, registers["advance"], [taken]
        for _ in range(length):
            before = self.entries[-1]
            self.entries.append(Entry(**{name: self.step(value) for name, value in vars(before).items()}))
        s.claim(taken.address < depth)
        expected = taken.address
        for number, entry in enumerate(self.entries[1:], 1):
            previous = s.name(Mux(expected == 0, depth - 1, expected - 1), len(taken.address))
            s.claim(~entry.valid | (entry.address == previous))
            expected = s.name(Mux(entry.valid, previous, expected), len(taken.address))
            for empty in self.entries[max(1, number - pause) : number]:
                s.claim(~(entry.valid & (entry.address == depth - 1) & empty.valid))
        ended = [entry.valid & (entry.address == depth - 1) for entry in self.entries[1 : pause + 1]]
        if pause:
            s.claim(registers["pausing"] == Cat(ended).any())
        if pause > 1:
            s.claim(registers["pausing"] | (registers["paused"] == 0))
            for number, waiting in enumerate(ended):
                s.claim(~waiting | (registers["paused"] == number))

    def step(self, value: ValueLike) -> Signal:
        """``value`` one step of the pipeline later."""
        return self.s.kept(value, self.advance)

    def holds(self, stage: int, address: Value) -> Value:
        """Whether the word's neuron or class is in a stage."""
        entry = self.entries[stage]
        return entry.valid & (entry.address == address)

    def free_of_hazards(self, address: Value, read: int, write: int) -> None:
        """The word is not read while a newer state of it is in the pipeline."""
        for stage in range(read + 1, write + 1):
            self.s.claim(~(self.holds(read, address) & self.holds(stage, address)))


def word_of(s: Statement, depth: int) -> Signal:
    """One word of a memory, which the solver chooses."""
    address = s.chosen(range(max(2, depth)), "chosen_word")
    s.assume(address < depth)
    return address


def constants_of(config: Any, row: Value) -> Value:
    """The word of constants at a row."""
    return Array(Const(word, config.constants.width) for word in config.constants.contents())[row]


def constants_match(s: Statement, registers: dict[str, Signal], config: Any, entries: Sequence[Entry]) -> None:
    """Constants are those of the neuron or class that came one step ago, if there are any for its row."""
    read, rows = s.read_data("constants_table"), len(config.bias)
    following, last = entries[0], entries[1]
    if config.constants_memory == "block":
        begun = registers["constants_begun"]
        s.claim(~begun | (following.row >= rows) | (read == constants_of(config, following.row)))
        s.claim(begun | ~last.valid)
        read = registers["current_constants"]
    s.claim(~last.valid | (last.row >= rows) | (read == constants_of(config, last.row)))
