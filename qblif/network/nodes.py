"""Nodes of the integer network: input, populations, poolings and the readout. Needs only numpy."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from qblif.network.checks import (
    ADDED,
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


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How data becomes bursts.

    ``direct``: an unsigned byte x becomes ``floor(x * (2^bits - 1) / 255 + 1/2)``, the same at every timestep.
    ``events``: binned event counts per timestep, clipped to ``2^bits - 1``.
    """

    name: ClassVar[str] = "input"
    shape: Shape
    coding: Literal["direct", "events"]
    bits: int

    def __post_init__(self) -> None:
        require(self.coding in ("direct", "events"), f"unknown input coding {shown(self.coding)}")
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Spiking neurons of one layer.

    Attributes:
        rounding: r of ``n = (M + r) >> F``: the first burst begins at ``2^F - r``. None is ``2^(F-1)``, the half of
            QB-LIF; 0 fires at a whole unit, -1 only above it.
        bias, exponent: int64, (channels,).
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

    @property
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
    """Sums its currents over all timesteps and never fires. ``bias`` and ``exponent``: int64, (classes,)."""

    name: ClassVar[str] = "readout"
    fires: ClassVar[bool] = False
    fraction_bits: int
    bias: IntArray
    exponent: IntArray

    def __post_init__(self) -> None:
        freeze_channel_constants(self, len(self.bias))

    @property
    def shape(self) -> Shape:
        return (len(self.bias), 1, 1)


Node = InputSpec | Population | Pooling


Target = Population | Readout


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
