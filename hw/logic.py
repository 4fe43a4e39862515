"""Small pieces of combinational and counting logic that several components share."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike, signed


def index_of(one_hot: Value) -> Value:
    """Index of the set bit of a value in which at most one bit is set (0 when none is)."""
    width = len(one_hot)
    bits = [
        Cat(one_hot[index] for index in range(width) if index >> position & 1).any()
        for position in range((width - 1).bit_length())
    ]
    return Cat(bits) if bits else Const(0, 1)


def lowest(bits: Value) -> Value:
    """The lowest set bit alone (0 when none is), without a carry chain."""
    return Cat(bits[index] & ~bits[:index].any() for index in range(len(bits)))


def select(choices: Sequence[Value], one_hot: Value) -> Value:
    """The choice whose bit is set in ``one_hot`` (0 when none is)."""
    result: Value = Const(0, 0)
    for index, choice in enumerate(choices):
        result = result | Mux(one_hot[index], choice, 0)
    return result


def at_most(bits: Value, most: int) -> Value:
    """Whether no more than ``most`` bits are set; a tree of ``log2(len(bits))`` levels, without adders."""

    def reached(part: Value) -> list[Value]:
        """For each count from 1 to ``most + 1``: whether at least that many bits of ``part`` are set."""
        if len(part) == 1:
            return [part, *[Const(0, 1)] * most]
        low, high = reached(part[: len(part) // 2]), reached(part[len(part) // 2 :])
        both = [[low[one - 1] & high[count - one - 1] for one in range(1, count)] for count in range(1, most + 2)]
        return [Cat(low[index], high[index], *both[index]).any() for index in range(most + 1)]

    return ~reached(bits)[most]


def lookup(truth: int, inputs: Sequence[Value]) -> Value:
    """A function of a few bits, as a constant from which they select a bit: one LUT after synthesis.

    Args:
        truth: bit i is the function of the inputs whose bits, the first one lowest, spell the number i.
        inputs: values of one bit each; those that do not matter are left out.
    """
    kept = list(inputs)
    for place in reversed(range(len(inputs))):
        high = [index for index in range(1 << len(kept)) if index >> place & 1]
        low = [index - (1 << place) for index in high]
        if all(truth >> one & 1 == truth >> zero & 1 for one, zero in zip(high, low, strict=True)):
            truth = sum((truth >> index & 1) << number for number, index in enumerate(low))
            del kept[place]
    if not kept:
        return Const(truth, 1)
    return Const(truth, 1 << len(kept)).bit_select(Cat(kept), 1)


def counter(m: Module, name: str, length: int, advance: ValueLike) -> tuple[Value, Value]:
    """A counter from 0 to length-1 that counts when ``advance`` is 1; returns its value and whether it is at its end.

    A ``length`` of 1 takes no logic.
    """
    if length == 1:
        return Const(0, 1), Const(1, 1)
    value = Signal(range(length), name=name)
    at_end = value == length - 1
    with m.If(advance):
        m.d.sync += value.eq(Mux(at_end, 0, value + 1))
    return value, at_end


def counter_ahead(m: Module, name: str, length: int, advance: ValueLike) -> tuple[Value, Value]:
    """Like :func:`counter`, with a register for whether it is at its end: no comparison is behind that in a cycle."""
    if length == 1:
        return Const(0, 1), Const(1, 1)
    value = Signal(range(length), name=name)
    at_end = Signal(name=f"{name}_ends")
    with m.If(advance):
        m.d.sync += [value.eq(Mux(at_end, 0, value + 1)), at_end.eq(value == length - 2)]
    return value, at_end


def delayed(m: Module, value: Any, cycles: int, name: str, advance: Value) -> Any:
    """``value`` as it was ``cycles`` steps ago of a pipeline that moves when ``advance`` is 1."""
    for cycle in range(cycles):
        after = Signal.like(value, name=f"{name}_{cycle}", reset_less=True)
        with m.If(advance):
            m.d.sync += after.eq(value)
        value = after
    return value


def tree(terms: Sequence[Value]) -> Value:
    """The sum of ``terms`` as a balanced tree of adders."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return tree(terms[:half]) + tree(terms[half:])


def plane_sum(burst: Value, weight: int) -> Value:
    """``weight * burst`` for a burst of few bits: ``weight << k`` for each set bit-plane k."""
    return tree([Mux(burst[plane], Const(weight << plane), 0) for plane in range(len(burst))])


def times_constant(value: Value, constant: int) -> Value:
    """``value * constant`` for a constant >= 0 as a sum of shifted copies: shifts and adders, no multiplier."""
    terms = [value << position for position in range(constant.bit_length()) if constant >> position & 1]
    if not terms:
        return Const(0, signed(1))
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def first_frame(m: Module, frame_ends: Value, frames: int) -> Signal:
    """1 during the first of every ``frames`` frames; if they are 0, only during the first one after a reset."""
    first = Signal(init=1, name="first_frame")
    following = counter(m, "frame", frames, frame_ends)[1] if frames else Const(0, 1)
    with m.If(frame_ends):
        m.d.sync += first.eq(following)
    return first
