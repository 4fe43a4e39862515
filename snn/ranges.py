"""The allowed numbers in models and trainings: one table for Python, the command line and recipe files."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import cast

from qblif.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from ``least`` to ``most``, both included; whole numbers only, unless ``whole`` is False."""

    least: float
    most: float
    whole: bool = True


RANGES: dict[str, Range] = {
    "timesteps": Range(least=1, most=4096),
    "classes": Range(least=2, most=65536),
    "burst_bits": Range(least=1, most=8),
    "burst_ceiling": Range(least=1, most=255),
    # A weight of one signed bit is -1 or 0: all sums are negative, and nothing ever fires.
    "weight_bits": Range(least=2, most=16),
    "first_weight_bits": Range(least=2, most=16),
    "input_bits": Range(least=1, most=8),
    "guard_bits": Range(least=0, most=16),
    "neurons": Range(least=1, most=2**24),
    "hidden": Range(least=1, most=65536),
    "channels": Range(least=1, most=4096),
    "convolutions": Range(least=1, most=64),
    "kernel": Range(least=1, most=255),
    "stride": Range(least=1, most=255),
    "padding": Range(least=0, most=255),
    "dilation": Range(least=1, most=255),
    "groups": Range(least=1, most=2**24),
    "alpha": Range(least=1e-3, most=1e3, whole=False),
    "threshold": Range(least=0, most=1, whole=False),
    "theta": Range(least=1e-6, most=1e6, whole=False),
    "float_epochs": Range(least=0, most=100_000),
    "qat_epochs": Range(least=0, most=100_000),
    "batch": Range(least=2, most=65536),
    "learning_rate": Range(least=1e-9, most=10, whole=False),
    "qat_learning_rate": Range(least=1e-9, most=10, whole=False),
    "truncate": Range(least=0, most=4096),
    "clip": Range(least=0, most=1e6, whole=False),
    "weight_decay": Range(least=0, most=1, whole=False),
    "label_smoothing": Range(least=0, most=0.99, whole=False),
    "temperature": Range(least=1e-3, most=1e3, whole=False),
    "balance": Range(least=0, most=1, whole=False),
    "shift": Range(least=0, most=16),
    "rotate": Range(least=0, most=180, whole=False),
    "stretch": Range(least=0, most=0.9, whole=False),
    "distillation": Range(least=0, most=1, whole=False),
    "average": Range(least=0, most=0.99999, whole=False),
    "seed": Range(least=0, most=2**63 - 1),
}


def check_range(name: str, value: object, spelled: str | None = None) -> None:
    """Raise UserError unless ``value`` is in the range of ``name``.

    Args:
        name: a key of :data:`RANGES`.
        value: a number, or several numbers that are each checked.
        spelled: its name in the error; ``name`` by default.
    """
    limits, spelled = RANGES[name], name if spelled is None else spelled
    for number in value if isinstance(value, tuple | list) else (value,):
        kind = Integral if limits.whole else Real
        if not isinstance(number, kind) or isinstance(number, bool):
            raise UserError(f"{spelled} {number!r} is not a {'whole ' if limits.whole else ''}number")
        if not limits.least <= cast(float, number) <= limits.most:
            raise UserError(f"{spelled} {number} is outside {limits.least:g} to {limits.most:g}")


def check_fields(owner: object, names: Iterable[str]) -> None:
    """:func:`check` those fields of ``owner`` that have a range; None means a default and passes."""
    for name in names:
        if name in RANGES and getattr(owner, name) is not None:
            check_range(name, getattr(owner, name))


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise UserError unless ``value`` is one of ``choices``."""
    choices = tuple(choices)
    if value not in choices:
        raise UserError(f"unknown {name} {value!r}; there are {', '.join(choices)}")
