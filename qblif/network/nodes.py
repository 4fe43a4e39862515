"""Nodes of the integer network: input, populations, poolings and the readout. Needs only numpy."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, get_args

from qblif.network.checks import (
    ADDED,
    LARGEST,
    LARGEST_BIAS,
    MOST_FRACTION_BITS,
    IntArray,
    Shape,
    frozen_integers,
    is_whole,
    require,
    require_name,
    require_shape,
)
from qblif.network.window import PerAxis, Window, make_window, shortest
from qblif.reading import shown

Coding = Literal["direct", "events", "frames"]
CODINGS: tuple[Coding, ...] = get_args(Coding)

Limits = tuple[int, int]
"""The lowest and the highest value of a state; 0 is between them."""


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How data becomes bursts.

    ``direct``: an unsigned byte x becomes ``floor(x * (2^bits - 1) / 255 + 1/2)``, the same at every timestep.
    ``events``: binned event counts per timestep, clipped to ``2^bits - 1``.
    ``frames``: unsigned bytes that differ at every timestep, coded as ``direct`` codes them.
    """

    name: ClassVar[str] = "input"
    shape: Shape
    coding: Coding
    bits: int

    def __post_init__(self) -> None:
        require(self.coding in CODINGS, f"unknown input coding {shown(self.coding)}")
        require(is_whole(self.bits, 1, 8), f"input bits must be 1 to 8, not {shown(self.bits)}")
        require_shape(self.shape, "input")

    @property
    def burst_ceiling(self) -> int:
        return 2**self.bits - 1


@dataclass(frozen=True, kw_only=True)
class Leak:
    """Membrane decay ``beta = multiplier / 2^shift``, applied as ``(multiplier * V) >> shift`` (floor)."""

    multiplier: int = 1
    shift: int = 1

    def __post_init__(self) -> None:
        require(
            is_whole(self.shift, 0, 16) and is_whole(self.multiplier, 0, 2**self.shift),
            f"leak {shown(self.multiplier)}/2^{shown(self.shift)} is outside 0 to 1 or finer than 2^-16",
        )

    @property
    def keeps(self) -> bool:
        """Whether beta is 1, so that nothing leaks."""
        return self.multiplier == 2**self.shift


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Spiking neurons of one layer.

    Attributes:
        rounding: r of ``n = (M + r) >> F``: the first burst begins at ``2^F - r``. None is ``2^(F-1)``, the half of
            QB-LIF; 0 fires at a whole unit, -1 only above it.
        bias, exponent: int64, (channels,).
        current_leak: leak of the synaptic current J; None for neurons without one, in which J is X.
        membrane_limits, current_limits: limits of V after the reset, and of J before it enters M; None for no limits.
    """

    fires: ClassVar[bool] = True
    name: str
    shape: Shape
    fraction_bits: int
    burst_ceiling: int
    leak: Leak
    reset: Literal["soft", "hard"]
    bias: IntArray
    exponent: IntArray
    rounding: int | None = field(default=None, metadata=ADDED)
    current_leak: Leak | None = field(default=None, metadata=ADDED)
    membrane_limits: Limits | None = field(default=None, metadata=ADDED)
    current_limits: Limits | None = field(default=None, metadata=ADDED)

    def __post_init__(self) -> None:
        require_name(self.name)
        require_shape(self.shape, self.name)
        ceiling = self.burst_ceiling
        require(is_whole(ceiling, 1, 255), f"{self.name}: burst ceiling {shown(ceiling)} is not 1 to 255")
        require(self.reset in ("soft", "hard"), f"{self.name}: unknown reset {shown(self.reset)}")
        freeze_channel_constants(self, self.shape[0])
        if self.rounding is not None:
            most = 2**self.fraction_bits - 1
            fine = is_whole(self.rounding, -1, most)
            require(fine, f"{self.name}: rounding constant {shown(self.rounding)} is not -1 to {most}")
            if self.rounding == 2 ** (self.fraction_bits - 1):
                object.__setattr__(self, "rounding", None)
        check_limits(self.membrane_limits, f"{self.name}: membrane limits")
        check_limits(self.current_limits, f"{self.name}: current limits")
        fine = self.current_limits is None or self.current_leak is not None
        require(fine, f"{self.name}: limits of a synaptic current, but no leak of one")

    @property
    def rounding_constant(self) -> int:
        """r, as an integer."""
        return 2 ** (self.fraction_bits - 1) if self.rounding is None else self.rounding


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """Sum or maximum of every window; ``sum`` leaves the division to the next weights.

    Attributes:
        kernel, stride, padding: one number, or one each for rows and columns; stride None means the kernel size.
            Padding is burst 0, and at most half a kernel.
    """

    name: str
    source: str
    kind: Literal["sum", "max"]
    kernel: PerAxis
    stride: PerAxis | None = field(default=None, metadata=ADDED)
    padding: PerAxis = field(default=0, metadata=ADDED)

    def __post_init__(self) -> None:
        require_name(self.name)
        require(self.kind in ("sum", "max"), f"{self.name}: unknown pooling {shown(self.kind)}")
        for quantity in ("kernel", "stride", "padding"):
            if getattr(self, quantity) is not None:
                object.__setattr__(self, quantity, shortest(getattr(self, quantity)))
        if self.stride == self.kernel:
            object.__setattr__(self, "stride", None)
        rows, columns = self.window.rows, self.window.columns
        fine = max(rows.kernel, columns.kernel, rows.stride, columns.stride) >= 2
        require(fine, f"{self.name}: a pooling with kernel 1 and stride 1 changes nothing")
        fine = all(2 * axis.padding <= axis.kernel for axis in (rows, columns))
        require(fine, f"{self.name}: padding {shown(self.padding)} is more than half of kernel {shown(self.kernel)}")

    @cached_property
    def window(self) -> Window:
        """The window that it slides over its source."""
        stride = self.kernel if self.stride is None else self.stride
        return make_window(self.kernel, stride, self.padding, name=self.name)

    @property
    def tiles(self) -> bool:
        """Whether its windows tile the source: they do not overlap, leave no gaps, and do not reach into padding."""
        return self.stride is None and not self.window.padded


@dataclass(frozen=True, kw_only=True, eq=False)
class Readout:
    """Sums its currents over all timesteps and never fires.

    Attributes:
        bias, exponent: int64, (classes,).
        leak: leak of the sum L, ``L[t] = leak(L[t-1]) + X[t]``; None for a plain sum.
        limits: limits of L; None for no limits.
        maximum: the result is the largest L so far, class by class, instead of the last.
    """

    name: ClassVar[str] = "readout"
    fires: ClassVar[bool] = False
    fraction_bits: int
    bias: IntArray
    exponent: IntArray
    leak: Leak | None = field(default=None, metadata=ADDED)
    limits: Limits | None = field(default=None, metadata=ADDED)
    maximum: bool = field(default=False, metadata=ADDED)

    def __post_init__(self) -> None:
        freeze_channel_constants(self, len(self.bias))
        check_limits(self.limits, f"{self.name}: limits")
        require(type(self.maximum) is bool, f"{self.name}: maximum {shown(self.maximum)} is not true or false")
        if self.leak is not None and self.leak.keeps:
            object.__setattr__(self, "leak", None)

    @property
    def plain(self) -> bool:
        """Whether it only sums, so that the order of the timesteps does not matter."""
        return self.leak is None and self.limits is None and not self.maximum

    @property
    def shape(self) -> Shape:
        return (len(self.bias), 1, 1)


Node = InputSpec | Population | Pooling


Target = Population | Readout


def check_limits(limits: Limits | None, label: str) -> None:
    """Raise NetworkError unless ``limits`` are None, or two integers with 0 between them."""
    if limits is not None:
        fine = isinstance(limits, tuple) and len(limits) == 2
        fine = fine and is_whole(limits[0], -LARGEST, 0) and is_whole(limits[1], 0, LARGEST)
        require(fine, f"{label} {shown(limits)} are not two integers with 0 between them")


def freeze_channel_constants(target: Target, channels: int) -> None:
    """Check bias, exponent and fraction bits of a target and make its arrays read-only."""
    fraction_bits = target.fraction_bits
    fine = is_whole(fraction_bits, 1, MOST_FRACTION_BITS)
    require(fine, f"{target.name}: fraction bits {shown(fraction_bits)} are not 1 to {MOST_FRACTION_BITS}")
    for constant in ("bias", "exponent"):
        values = frozen_integers(getattr(target, constant), f"{target.name}: {constant}")
        require(values.shape == (channels,), f"{target.name}: {constant} has shape {values.shape}, not ({channels},)")
        object.__setattr__(target, constant, values)
    require(bool((target.exponent >= 0).all()), f"{target.name}: an exponent is negative")
    require(bool((target.exponent <= 32).all()), f"{target.name}: an exponent is above 32")
    inside = bool((target.bias < LARGEST_BIAS).all() and (target.bias > -LARGEST_BIAS).all())
    require(inside, f"{target.name}: a bias is beyond 2^40")
