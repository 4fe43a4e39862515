"""What happens to a state between two timesteps: its leak, fixed or learned, and its limits."""

import math
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.nodes import Leak
from qblif.network.nodes import Limits as GridLimits
from snn.quantizers import floor_through

Change = Callable[[Tensor], Tensor]
"""A function of a state, (batch, *shape)."""

Limits = tuple[float, float]
"""The lowest and the highest value of a state, in units of s; 0 is between them."""

FINEST = 8
"""The integer form of a learned leak is a multiple of ``2^-FINEST``."""


class Decay(nn.Module):
    """The leak ``beta`` of a state.

    A learned leak is trained as ``beta = sigmoid(raw)`` in the float form. The integer form rounds it to ``a / 2^8``
    and leaves it there: at slow leaks a step of 2^-8 changes too much for a gradient to say. a is 1 to 255, so that a
    learned state always leaks.

    Args:
        leak: beta, or where it begins to be learned.
        learn: whether it is learned.

    Raises:
        UserError: ``leak`` is not a Leak.
    """

    def __init__(self, leak: Leak, *, learn: bool = False) -> None:
        super().__init__()
        if not isinstance(leak, Leak):
            raise UserError(f"leak {leak!r} is not a Leak; Leak(multiplier=1, shift=1) is 1/2")
        self.fixed = leak
        self.raw: nn.Parameter | None = None
        if learn:
            share = min(max(leak.multiplier / 2**leak.shift, 2.0**-FINEST), 1 - 2.0**-FINEST)
            self.raw = nn.Parameter(torch.tensor(math.log(share / (1 - share))))

    @property
    def leak(self) -> Leak:
        """The leak of the integer form; a learned one in lowest terms."""
        if self.raw is None:
            return self.fixed
        unit = 2**FINEST
        nearest = math.floor(float(torch.sigmoid(self.raw.detach())) * unit + 0.5)
        share = Fraction(min(max(nearest, 1), unit - 1), unit)
        return Leak(multiplier=share.numerator, shift=share.denominator.bit_length() - 1)

    def at(self, fraction_bits: int | None) -> Change:
        """The leak as a function: ``beta * V``; with ``fraction_bits`` it rounds down on the grid 2^-fraction_bits."""
        if fraction_bits is None and self.raw is not None:
            learned = torch.sigmoid(self.raw)
            return lambda state: state * learned
        leak = self.leak
        beta = leak.multiplier / 2**leak.shift
        if leak.keeps:
            return unchanged
        if fraction_bits is None:
            return lambda state: state * beta
        factor, unit = beta * 2.0**fraction_bits, 2.0**-fraction_bits
        if leak.multiplier == 1:
            return lambda state: floor_through(state * factor) * unit
        # The product with the multiplier has more bits than the state.
        return lambda state: (floor_through(state.double() * factor) * unit).to(state.dtype)


def unchanged(state: Tensor) -> Tensor:
    """What happens to a state that neither leaks nor has limits."""
    return state


def check_limits(name: str, limits: Limits | None) -> None:
    """Raise UserError unless ``limits`` are None, or two finite numbers with 0 between them."""
    if limits is None:
        return
    try:
        low, high = map(float, limits)
    except (TypeError, ValueError):
        raise UserError(f"{name} {limits!r} are not two numbers") from None
    if not -math.inf < low <= 0 <= high < math.inf:
        raise UserError(f"{name} {low:g} and {high:g} are not finite with 0 between them")


def on_grid(limits: Limits | None, fraction_bits: int) -> GridLimits | None:
    """Limits of the integer form, in units of 2^-fraction_bits."""
    if limits is None:
        return None
    low, high = (math.floor(limit * 2.0**fraction_bits + 0.5) for limit in limits)
    return low, high


def limiting(limits: Limits | None, scale: Tensor | None, fraction_bits: int | None) -> Change:
    """The clamp to ``limits`` as a function; a ``scale`` of None means 1. The limits pass no gradient to the scale."""
    if limits is None:
        return unchanged
    low, high = limits
    if fraction_bits is not None:
        low, high = (limit * 2.0**-fraction_bits for limit in on_grid(limits, fraction_bits) or ())
    elif scale is not None:
        low, high = (limit * float(scale.detach()) for limit in limits)
    return lambda state: state.clamp(low, high)
