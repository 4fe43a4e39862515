"""Functions of PyTorch that move axes, take or collect timesteps, and reduce over time or images."""

import math
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from snn.convert.graph import Flatten, Pool
from snn.convert.modules.terms import Joined, MismatchError
from snn.convert.modules.trace import Call
from snn.convert.modules.values import Axis, Group, Opaque, Reduction, Traced, joined, mark, places, size


def value_of(call: Call) -> Traced:
    """The tensor on which the function works."""
    return call.traced(call.argument(0, "input"))


def numbers(call: Call, position: int, *names: str) -> list[int]:
    """Numbers given one by one or as one list."""
    rest = call.arguments[position:] or tuple(call.options[name] for name in names if name in call.options)
    if len(rest) == 1 and isinstance(rest[0], list | tuple):
        rest = tuple(rest[0])
    return [int(one) for one in rest]


def reshape(call: Call) -> None:
    """view, reshape, flatten and unflatten: whole axes together, or apart again."""
    call.trace.tag(call.result, call.trace.reshaped(call, value_of(call), list(call.result.shape)))


def squeeze(call: Call) -> None:
    """Without dimensions of length 1."""
    value = value_of(call)
    given = numbers(call, 1, "dim")
    count = len(value.sizes)
    chosen = {one % count for one in given} if given else set(range(count))
    chosen = {one for one in chosen if value.sizes[one] == 1}
    lead = tuple(group for position, group in enumerate(value.lead) if position not in chosen)
    features = [position - len(value.lead) for position in chosen if position >= len(value.lead)]
    value = replace(value, lead=lead)
    if features:
        if len(value.shape) - len(features) != 1:
            raise call.refuse("takes away some dimensions of features; flatten them instead")
        operation = call.operation(Flatten)
        value = replace(value, term=call.trace.applied(call, value, operation), shape=(math.prod(value.shape),))
    call.trace.tag(call.result, value)


def unsqueeze(call: Call) -> None:
    """With a new dimension."""
    value = value_of(call)
    position = numbers(call, 1, "dim")[0] % (len(value.sizes) + 1)
    call.trace.tag(call.result, inserted(call, value, position, 1))


def inserted(call: Call, value: Traced, position: int, length: int) -> Traced:
    """The value with a new dimension of time or batch."""
    if position > len(value.lead):
        raise call.refuse("puts a new dimension among the features; put it in front of them")
    axis = Axis(length, None, places(value.lead, position))
    return replace(value, lead=(*value.lead[:position], (axis,), *value.lead[position:]))


def repeat(call: Call) -> None:
    """The same values at every timestep."""
    value = value_of(call)
    if call.function in ("expand", "repeat", "tile"):
        counts = list(call.result.shape)
    else:
        raise call.refuse("is not supported; use unsqueeze(0).repeat")
    for _ in range(len(counts) - len(value.sizes)):
        value = inserted(call, value, 0, 1)
    lead = list(value.lead)
    for position, (before, after) in enumerate(zip(value.sizes, counts, strict=True)):
        if before == after:
            continue
        group = lead[position] if position < len(lead) else ()
        if before != 1 or len(group) != 1 or group[0] in call.trace.sample or group[0].role is not None:
            raise call.refuse("repeats an axis that is not new; repeat only along a new axis of timesteps")
        lead[position] = (Axis(after, "time", group[0].place),)
    call.trace.tag(call.result, replace(value, lead=tuple(lead)))


def permute(call: Call) -> None:
    """Dimensions in another order."""
    value = value_of(call)
    count = len(value.sizes)
    given = [one % count for one in numbers(call, 1, "dims", "dim0", "dim1", "axis0", "axis1")]
    order = list(range(count))
    if call.function == "permute":
        order = given
    else:
        order[given[0]], order[given[1]] = given[1], given[0]
    ahead = len(value.lead)
    if order[ahead:] != list(range(ahead, count)):
        raise call.refuse("moves axes of features; keep them in their order")
    call.trace.tag(call.result, replace(value, lead=tuple(value.lead[one] for one in order[:ahead])))


def select(call: Call) -> None:
    """One timestep, by dimension and index."""
    dimension, index = numbers(call, 1, "dim", "index")
    value = value_of(call)
    call.trace.tag(call.result, taken(call, value, dimension % len(value.sizes), index))


def unbind(call: Call) -> None:
    """All timesteps, one by one."""
    value = value_of(call)
    dimension = (numbers(call, 1, "dim") or [0])[0] % len(value.sizes)
    for index, tensor in enumerate(call.result):
        call.trace.tag(tensor, taken(call, value, dimension, index))


def item(call: Call) -> None:
    """``x[...]``: whole axes, timesteps and new axes."""
    value = value_of(call)
    given = call.argument(1, "index")
    indices = list(given) if isinstance(given, tuple) else [given]
    if any(isinstance(one, Tensor | list) for one in indices):
        raise call.refuse("takes elements by a tensor or a list; take whole axes, or one timestep")
    used = sum(one is not None and one is not Ellipsis for one in indices)
    if Ellipsis in indices:
        where = indices.index(Ellipsis)
        indices[where : where + 1] = [slice(None)] * (len(value.sizes) - used)
    dimension = 0
    for one in indices:
        if one is None:
            value = inserted(call, value, dimension, 1)
        elif isinstance(one, slice):
            if one.indices(value.sizes[dimension]) != (0, value.sizes[dimension], 1):
                raise call.refuse("takes a part of an axis; take all of it, or one timestep")
        else:
            value = taken(call, value, dimension, int(one))
            continue
        dimension += 1
    call.trace.tag(call.result, value)


def taken(call: Call, value: Traced, dimension: int, index: int) -> Traced:
    """One index of a dimension: a timestep, or an axis of length 1 taken away."""
    if dimension >= len(value.lead) or value.reduction is not None:
        raise call.refuse("takes a part of the features or of the batch; take all of it")
    group = value.lead[dimension]
    value = replace(value, lead=(*value.lead[:dimension], *value.lead[dimension + 1 :]))
    (axis, *others) = group
    if axis.size == 1 and axis.role is None and axis not in call.trace.sample and not others:
        return value
    call.guarded(mark, group, "time")
    try:
        return replace(value, term=call.trace.terms.at(value.term, index % axis.size))
    except MismatchError as error:
        raise call.refuse("takes single values out of a timestep; take whole timesteps") from error


def stack(call: Call) -> None:
    """Timesteps of a loop as a sequence."""
    tensors = call.argument(0, "tensors")
    dimension = numbers(call, 1, "dim")[0] if call.argument(1, "dim") is not None else 0
    call.trace.tag(call.result, call.guarded(call.trace.sequence, [call.traced(one) for one in tensors], dimension))


def concatenate(call: Call) -> None:
    """Timesteps of a loop, each with a new axis, as a sequence; or features behind each other."""
    dimension = numbers(call, 1, "dim")[0] if call.argument(1, "dim") is not None else 0
    tensors = call.argument(0, "tensors")
    values = [value for value in map(call.trace.value, tensors) if isinstance(value, Traced)]
    known = next((value for value in values if not value.raw), values[0])
    dimension %= len(known.sizes)
    if known.raw and dimension == 1:
        known = call.trace.features(call, known, (len(known.lead) - 1,))
    if dimension == len(known.lead):
        join(call, tensors, known)
        return
    values = [call.traced(one) for one in tensors]
    fine = all(dimension < len(value.lead) and value.sizes[dimension] == 1 for value in values)
    if not fine or any(value.lead[dimension][0] in call.trace.sample for value in values):
        raise call.refuse("joins tensors along an axis of images or batch; add them, or stack timesteps")
    steps = [taken(call, value, dimension, 0) for value in values]
    call.trace.tag(call.result, call.guarded(call.trace.sequence, steps, dimension))


def join(call: Call, tensors: list[Tensor], known: Traced) -> None:
    """Features behind each other."""
    trace, count = call.trace, len(known.shape)
    values = []
    for tensor in tensors:
        value = trace.read(call, tensor, count)
        if value is None:
            raise call.refuse("joins constants; leave them out")
        value = trace.features(call, value, (count,))
        call.guarded(joined, known.lead, value.lead)
        if value.reduction != known.reduction:
            raise call.refuse("joins a tensor reduced over time to one that is not; reduce what is joined")
        values.append(value)
    head = Joined(tuple(value.shape[0] for value in values))
    term = trace.terms.make(head, [value.term for value in values])
    shape = tuple(call.result.shape[len(known.lead) :])
    trace.tag(call.result, replace(known, term=term, shape=shape))


def reduced(reduction: Reduction) -> Callable[[Call], None]:
    """mean, sum and max over time, or over whole images."""

    def reduce(call: Call) -> None:
        value, trace = value_of(call), call.trace
        count = len(value.sizes)
        given = call.argument(1, "dim", call.options.get("axis"))
        dimensions = [given] if isinstance(given, int) else list(given or range(count))
        chosen = sorted(one % count for one in dimensions)
        result = call.result[0] if isinstance(call.result, tuple) else call.result
        for other in call.result[1:] if isinstance(call.result, tuple) else ():
            trace.tag(other, Opaque("reads when a maximum was; only the maximum itself is supported"))
        image = list(range(count - 2, count))
        keep = bool(call.argument(2, "keepdim", False))
        if chosen == image and reduction != "max" and len(value.shape or value.lead) >= 3:
            value = trace.features(call, value, (3,))
            kind = {"mean": "average", "sum": "sum"}[reduction]
            operations = [call.operation(Pool, kind=kind, kernel=None, stride=(1, 1), padding=(0, 0))]
            operations += [] if keep else [call.operation(Flatten)]
            shape = tuple(result.shape[len(value.lead) :])
            trace.tag(result, replace(value, term=trace.applied(call, value, *operations), shape=shape))
            return
        if len(chosen) != 1 or chosen[0] >= len(value.lead) or keep or value.reduction is not None:
            raise call.refuse(f"takes a {reduction} over other axes than time or whole images; reduce over time only")
        group: Group = value.lead[chosen[0]]
        call.guarded(mark, group, "time")
        lead = (*value.lead[: chosen[0]], *value.lead[chosen[0] + 1 :])
        trace.tag(result, replace(value, lead=lead, reduction=reduction, length=size(group)))

    return reduce


SHAPES: dict[str, Callable[[Call], None]] = {
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as"), reshape),
    "squeeze": squeeze,
    "unsqueeze": unsqueeze,
    **dict.fromkeys(("repeat", "expand", "expand_as", "tile"), repeat),
    **dict.fromkeys(("permute", "transpose", "swapaxes", "swapdims"), permute),
    "select": select,
    "unbind": unbind,
    "__getitem__": item,
    "stack": stack,
    **dict.fromkeys(("cat", "concat", "concatenate"), concatenate),
    "mean": reduced("mean"),
    "sum": reduced("sum"),
    **dict.fromkeys(("max", "amax"), reduced("max")),
}
