"""Which axes of a recorded tensor are time, batch and features.

The sample's axes get their meaning from what the model does with them: a convolution says which three are an image, an
index or a neuron that works on a whole sequence says which one is time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from qblif.errors import UserError
from snn.convert.modules.terms import Term

Role = Literal["time", "batch", "feature"]
Reduction = Literal["mean", "sum", "max", "each"]
"""How timesteps became one value; ``each``: a list of all timesteps."""


@dataclass(eq=False)
class Axis:
    """An axis of tensors.

    Attributes:
        role: None as long as the model has not shown it.
        place: where it stands in the sample, or None.
        part: it is a part of an axis of the sample.
    """

    size: int
    role: Role | None = None
    place: tuple[int, ...] | None = None
    part: bool = False

    def take(self, role: Role) -> None:
        """Give the axis a role; raises UserError if it has another one."""
        if self.part and role == "time":
            raise UserError("takes timesteps out of an axis of features; give the sample an axis of timesteps")
        if self.role not in (None, role):
            raise UserError(f"uses an axis both as {self.role} and as {role}; keep the axes apart")
        self.role = role


Group = tuple[Axis, ...]
"""Axes that are one dimension of a tensor."""


def size(group: Group) -> int:
    """The length of the dimension."""
    return math.prod(axis.size for axis in group)


@dataclass(frozen=True, eq=False)
class Traced:
    """A recorded tensor: its dimensions are ``lead`` and then ``shape``.

    Attributes:
        term: what it is.
        lead: time and batch; as long as ``raw`` the sample's other axes as well.
        shape: (features,), (C, L) or (C, H, W).
        raw: nothing has yet told where the sample's features begin.
        reduction: how it was reduced over time; the term then stands for every timestep.
        length: over how many timesteps.
    """

    term: Term
    lead: tuple[Group, ...]
    shape: tuple[int, ...] = ()
    raw: bool = False
    reduction: Reduction | None = None
    length: int = 0

    @property
    def sizes(self) -> list[int]:
        """The tensor's shape."""
        return [*map(size, self.lead), *self.shape]

    @property
    def times(self) -> list[Axis]:
        """The axes of time."""
        return [axis for group in self.lead for axis in group if axis.role == "time"]


@dataclass(frozen=True, eq=False)
class Opaque:
    """A tensor that must not be used; ``reason`` says why."""

    reason: str


@dataclass(frozen=True, eq=False)
class Collected:
    """A tensor of zeros in which timesteps are stored one by one.

    Attributes:
        dimension: which one is time.
        items: the stored value of each timestep.
    """

    length: int
    dimension: int
    items: dict[int, Traced] = field(default_factory=dict)


Value = Traced | Opaque | Collected


def merged(value: Traced) -> Traced:
    """Time and batch as one dimension, as a module in multi-step mode hands them to its layer."""
    time, batch = value.lead[0], value.lead[1]
    mark(time, "time")
    return replace(value, lead=((*time, *batch), *value.lead[2:]))


def mark(group: Group, role: Role) -> None:
    """Give the one axis of a dimension a role."""
    if len(group) != 1:
        raise UserError(f"uses several axes at once as {role}; keep time and batch apart")
    group[0].take(role)


def joined(one: tuple[Group, ...], other: tuple[Group, ...]) -> tuple[Group, ...]:
    """The leading dimensions of two tensors that are added; raises UserError unless they are the same.

    Those of the sample and those that are known remain, for a tensor of zeros has neither.
    """
    known: list[Axis] = []
    first, second = ([axis for group in lead for axis in group] for lead in (one, other))
    if len(one) != len(other) or len(first) != len(second):
        raise UserError("adds tensors whose time or batch axes differ; give both the same axes")
    for left, right in zip(first, second, strict=True):
        known.append(right if left.role is None and left.place is None else left)
        if left is right:
            continue
        for axis, role in ((left, right.role), (right, left.role)):
            if role is not None:
                axis.take(role)
        if left.size != right.size:
            raise UserError("adds tensors whose time or batch axes differ; give both the same axes")
    remaining = iter(known)
    return tuple(tuple(next(remaining) for _ in group) for group in one)


def regrouped(value: Traced, target: list[int]) -> tuple[Traced, bool]:
    """The value as a tensor of another shape, and whether its features became one dimension.

    Raises UserError where the new shape is not made of whole axes in their order.
    """
    atoms = [axis for group in value.lead for axis in group]
    features = [Axis(one, "feature") for one in value.shape]
    queue: list[Axis] = [*atoms, *features]
    groups: list[Group] = []
    for position, wanted in enumerate(target):
        group: list[Axis] = []
        while queue and size(tuple(group)) < wanted:
            if size(tuple(group)) * queue[0].size > wanted:
                if not value.raw or queue[0].size % wanted or group:
                    raise UserError("reshapes across axes; keep time, batch, channels, rows and columns whole")
                queue[:1] = split(queue[0], wanted)
            group.append(queue.pop(0))
        if not group:
            group = [queue.pop(0)] if queue and queue[0].size == 1 else [Axis(1, None, places(groups, len(groups)))]
        following = target[position + 1] if position + 1 < len(target) else None
        while queue and queue[0].size == 1 and following != 1 and (following is None or queue[0] in atoms[1:]):
            if value.raw and following is not None:
                break
            group.append(queue.pop(0))
        groups.append(tuple(group))
    if value.raw:
        return replace(value, lead=tuple(groups)), False
    lead = [group for group in groups if not any(axis in features for axis in group)]
    rest = groups[len(lead) :]
    if any(axis not in features for group in rest for axis in group) or any(group in lead for group in rest):
        raise UserError("reshapes time or batch together with features; keep them apart")
    flat = len(rest) == 1 and len(features) > 1
    if not flat and [size(group) for group in rest] != list(value.shape):
        raise UserError("reshapes features into another shape; only flattening all of them is supported")
    return replace(value, lead=tuple(lead), shape=tuple(map(size, rest))), flat


def split(axis: Axis, first: int) -> list[Axis]:
    """An axis of the sample as two."""
    place = axis.place or ()
    return [Axis(first, None, (*place, 0), part=True), Axis(axis.size // first, None, (*place, 1), part=True)]


def places(lead: Sequence[Group], position: int) -> tuple[int, ...] | None:
    """Where a new axis stands among those of the sample, behind the one that it follows."""
    before = lead[position - 1][-1].place if position else (-1,)
    return None if before is None else (*before, 0)
