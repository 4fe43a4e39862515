"""What a recorded tensor is: operations on spikes and inputs of known timesteps.

A term that a loop over timesteps computes names its timestep: the spikes of neuron n at step 3. A term of a whole
sequence names none, and stands for every timestep. Equal terms are one object, so that those of two timesteps are
compared by identity.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Literal

from torch import Tensor

from snn.convert.graph import Affine, Convolution, Dense, Flatten, Node

Port = Literal["spikes", "membrane", "current"]


class MismatchError(Exception):
    """Two timesteps compute different things; says how they differ."""


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation without state; compared by identity.

    Attributes:
        name: what its node is called, unless that name is taken.
        kind: the node's class.
        fields: what the node holds.
        parameters: the parameters of the model that are in it.
    """

    name: str
    kind: type[Node]
    fields: dict[str, Any]
    parameters: tuple[Tensor, ...] = ()

    @property
    def affine(self) -> bool:
        """Whether the mean over time may be taken before it as well as after it."""
        return self.kind in (Dense, Convolution, Affine, Flatten) or self.fields["kind"] != "max"

    @property
    def constant(self) -> bool:
        """Whether it gives something else than zeros for zeros."""
        shift = self.fields.get("bias") if self.kind is not Affine else self.fields["shift"]
        return shift is not None and bool(shift.any())


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where values come from.

    Attributes:
        source: the input, zeros, or a neuron's record.
        port: what of a neuron.
        step: the timestep; None where a term stands for every timestep, and for an input that is the same in all.
        delay: how many timesteps earlier than the term's; 0 where ``step`` is given.
    """

    source: Any
    port: Port = "spikes"
    step: int | None = None
    delay: int = 0


@dataclass(frozen=True)
class Joined:
    """Features behind each other: so many channels of each argument."""

    channels: tuple[int, ...]


INPUT = Origin(source="input")
ZERO = Origin(source="zeros")
ADD: Final = "add"
Head = Origin | Operation | Joined | Literal["add"]


@dataclass(frozen=True, eq=False)
class Term:
    """A head applied to terms; an origin has none."""

    head: Head
    arguments: tuple["Term", ...] = ()


@dataclass
class Terms:
    """Makes terms; equal ones are one object.

    Attributes:
        input_indexed: whether the network's input differs from timestep to timestep.
    """

    input_indexed: Callable[[], bool]
    table: dict[tuple[Any, ...], Term] = field(default_factory=dict)

    def make(self, head: Head, arguments: Iterable[Term] = ()) -> Term:
        """The term of this head and these arguments."""
        arguments = tuple(arguments)
        key = (head, *map(id, arguments))
        return self.table.setdefault(key, Term(head, arguments))

    def at(self, term: Term, step: int) -> Term:
        """A term of every timestep, at one."""
        return self._mapped(term, {}, partial(self._origin_at, step=step))

    def relative(self, term: Term, step: int) -> Term:
        """A term of one timestep, as one of every timestep; raises MismatchError if it reads another time."""
        return self._mapped(term, {}, partial(self._origin_relative, step=step))

    def _origin_at(self, origin: Origin, step: int) -> Origin:
        if origin == ZERO or (origin == INPUT and not self.input_indexed()):
            return origin
        if origin.step is not None:
            raise MismatchError("has timesteps within a timestep")
        return ZERO if step < origin.delay else replace(origin, step=step - origin.delay, delay=0)

    def _origin_relative(self, origin: Origin, step: int) -> Origin:
        if origin.step is None:
            if origin in (ZERO, INPUT):
                return origin
            raise MismatchError("mixes single timesteps with whole sequences")
        delay = step - origin.step
        named = "the input" if origin.source == "input" else f"the {origin.port} of {origin.source.name}"
        if delay not in (0, 1) or (delay and origin.source == "input"):
            raise MismatchError(f"reads {named} of timestep {origin.step + 1} at timestep {step + 1}")
        return replace(origin, step=None, delay=delay)

    def _mapped(self, term: Term, known: dict[Term, Term], change: Any) -> Term:
        """The term with its origins changed."""
        if term not in known:
            if isinstance(term.head, Origin):
                known[term] = self.make(change(term.head))
            else:
                known[term] = self.make(term.head, [self._mapped(one, known, change) for one in term.arguments])
        return known[term]

    def unified(self, first: Term, later: Term) -> Term:
        """The later term, if the first timestep's differs from it only by zeros where it reads an earlier timestep."""
        if first is later or self._nothing_at_first(first, later):
            return later
        if first.head != later.head or len(first.arguments) != len(later.arguments) or not later.arguments:
            raise MismatchError(f"computes {shown(first)} in one timestep and {shown(later)} in another")
        return self.make(later.head, map(self.unified, first.arguments, later.arguments))

    def _nothing_at_first(self, first: Term, later: Term) -> bool:
        """Whether ``first`` is zeros, and ``later`` gives zeros in the first timestep too."""
        if first.head != ZERO:
            return False
        if isinstance(later.head, Origin):
            return later.head == ZERO or later.head.delay > 0
        constant = isinstance(later.head, Operation) and later.head.constant
        return not constant and all(self._nothing_at_first(first, one) for one in later.arguments)

    def lifted(self, terms: Iterable[Term]) -> Term:
        """What the terms of all timesteps, in order, have in common as a term of every timestep."""
        relatives = [self.relative(term, step) for step, term in enumerate(terms)]
        *others, common = relatives
        for step, term in enumerate(others):
            if step > 0 and term is not common:
                raise MismatchError(f"computes {shown(term)} in timestep {step + 1} and {shown(common)} in the last")
        return self.unified(relatives[0], common)


def origins(term: Term) -> set[Origin]:
    """All origins that a term reads."""
    if isinstance(term.head, Origin):
        return {term.head}
    return set().union(*(origins(one) for one in set(term.arguments)))


def shown(term: Term) -> str:
    """A term for an error message, in a few words."""
    head = term.head
    if isinstance(head, Operation):
        return f"{head.name} of {shown(term.arguments[0])}"
    if head == ADD or isinstance(head, Joined):
        return "a sum" if head == ADD else "joined features"
    if head in (INPUT, ZERO) or head.source == "input":
        return f"the {head.source}" if head != ZERO else "zeros"
    assert isinstance(head, Origin)
    return f"the{' previous' if head.delay else ''} {head.port} of {head.source.name}"
