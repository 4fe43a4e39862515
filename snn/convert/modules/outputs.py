"""What a model returns: a term of its run, of one layer at every timestep."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from qblif.errors import UserError
from snn.convert.graph import Affine
from snn.convert.modules.neurons import fires
from snn.convert.modules.terms import ADD, ZERO, MismatchError, Operation, Origin, Term, shown
from snn.convert.modules.trace import Trace
from snn.convert.modules.values import Collected, Opaque, Traced

OverTime = Literal["each", "sum", "mean", "max", "last"]
WAY_OUT = "let the model return the spikes, membranes or currents of one layer, or their sum, mean or maximum over time"


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a model returns.

    Attributes:
        quantity: of its last layer.
        over_time: ``each``: every timestep's, or the one's of a model that is called for each timestep.
    """

    quantity: Literal["spikes", "membrane", "current"]
    over_time: OverTime


def returned(trace: Trace, result: Any, timesteps: int) -> tuple[Term, Output, list[str]]:
    """The term of the network's output, what it is, and what else is returned."""
    values = [described(trace, one, timesteps) for one in listed(trace, result, timesteps)]
    if not values:
        raise UserError(f"the model returns no tensor; {WAY_OUT}")
    ranks = [rank(term) for term, _ in values]
    chosen = values[ranks.index(min(ranks))]
    if min(ranks) == NEVER:
        raise UserError(f"the model returns {shown(chosen[0])}; {WAY_OUT}")
    for term, _ in values:
        if not alike(term, chosen[0]):
            raise UserError(f"the model returns {shown(chosen[0])} and {shown(term)}; {WAY_OUT}")
    notes = []
    if len(values) > 1:
        notes.append(f"the model returns several tensors; {shown(chosen[0])} are taken for its output")
    return chosen[0], chosen[1], notes


NEVER = 3


def rank(term: Term) -> int:
    """Which of several outputs of one layer is the network's: a membrane without spikes, or spikes, or another."""
    head = term.head
    if not isinstance(head, Origin) or head.source in ("input", "zeros") or head.port == "spikes":
        return 1
    if head.port == "membrane":
        return 2 if fires(head.source.module) else 0
    return NEVER


def alike(one: Term, other: Term) -> bool:
    """Whether two outputs are of one neuron."""
    first, second = one.head, other.head
    return one is other or (isinstance(first, Origin) and isinstance(second, Origin) and first.source is second.source)


def listed(trace: Trace, result: Any, timesteps: int) -> list[Traced]:
    """The values of the returned tensors; a list of all timesteps is one sequence."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, Tensor):
        value = trace.value(result)
        if isinstance(value, Collected):
            value = trace.collected(value)
        if isinstance(value, Opaque):
            raise UserError(f"the model returns a tensor that {value.reason}")
        if not isinstance(value, Traced):
            raise UserError(f"the model returns a tensor that no layer computes; {WAY_OUT}")
        return [value]
    if not isinstance(result, list | tuple):
        raise UserError(f"the model returns {type(result).__name__}; {WAY_OUT}")
    values = [listed(trace, one, timesteps) for one in result]
    if len(result) == timesteps > 1 and all(len(one) == 1 and not one[0].times for one in values):
        try:
            term = trace.terms.lifted([one[0].term for one in values])
        except MismatchError:
            return [one[0] for one in values]
        return [replace(values[0][0], term=term, reduction="each")]
    return [one for several in values for one in several]


def described(trace: Trace, value: Traced, timesteps: int) -> tuple[Term, Output]:
    """A returned value as a term of every timestep."""
    terms = trace.terms
    term = value.term
    over_time: OverTime
    lengths = [axis.size for axis in value.times] or ([value.length] if value.length else [])
    if any(length != timesteps for length in lengths):
        raise UserError(
            f"the model returns {lengths[0]} of its {timesteps} timesteps; let it return all of them, or one"
        )
    if value.times:
        over_time = "each"
    elif value.reduction is not None:
        over_time = value.reduction
    else:
        term, over_time = unrolled(terms, term, timesteps)
    head = term.head
    quantity: Literal["spikes", "membrane", "current"] = "current"
    if isinstance(head, Origin) and head.source not in ("input", "zeros"):
        quantity = "membrane" if head.port == "membrane" else "spikes"
        if head.delay:
            raise UserError(f"the model returns {shown(term)}; {WAY_OUT}")
    return term, Output(quantity=quantity, over_time=over_time)


def unrolled(terms: Any, term: Term, timesteps: int) -> tuple[Term, OverTime]:
    """A value of one timestep, or a sum of all of them, as a term of every timestep."""
    factor, inner = 1.0, term
    if isinstance(term.head, Operation) and term.head.kind is Affine and term.arguments[0].head == ADD:
        fields = term.head.fields
        if fields["scale"].numel() == 1 and not bool(fields["shift"].any()):
            factor, inner = float(fields["scale"]), term.arguments[0]
    items: list[Term] = []
    while inner.head == ADD and len(items) < timesteps - 1:
        items.append(inner.arguments[1])
        inner = inner.arguments[0]
    if inner.head == ADD and inner.arguments[0].head == ZERO:
        inner = inner.arguments[1]
    items.append(inner)
    if len(items) == timesteps > 1:
        try:
            lifted = terms.lifted(items[::-1])
        except MismatchError:
            lifted = None
        if lifted is not None:
            if abs(factor * timesteps - 1) < 1e-6:
                return lifted, "mean"
            if factor == 1:
                return lifted, "sum"
    try:
        return terms.relative(term, timesteps - 1), "each" if timesteps == 1 else "last"
    except MismatchError as error:
        raise UserError(f"the model returns what mixes timesteps: it {error}; {WAY_OUT}") from error
