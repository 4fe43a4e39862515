"""Surrogate gradients of the burst count: ReLSG-ET (our reading of arXiv 2604.25688), and others for comparison."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snn.ranges import check_choice, check_range


def relsg_et(u: Tensor, ceiling: int, alpha: float) -> Tensor:
    """Rectified-linear surrogate gradient with exponential tails, so that it reaches every burst interval::

        psi(u) = exp(-alpha * (0 - u))    u < 0
                 1                        0 <= u <= K
                 exp(-alpha * (u - K))    u > K

    The paper's public text names the surrogate and its tails, but does not give this formula.
    """
    outside = (u - u.clamp(0, ceiling)).abs_()
    return outside.mul_(-alpha).exp_()


def box(u: Tensor, ceiling: int, _alpha: float) -> Tensor:
    """Plain straight-through: 1 on [0, K], else 0; the limit of :func:`relsg_et` for large alpha."""
    return ((u >= 0) & (u <= ceiling)).to(u.dtype)


def triangle(u: Tensor, ceiling: int, _alpha: float) -> Tensor:
    """``max(0, 1 - d)``, where d is the distance to the nearest threshold."""
    return torch.relu(1 - to_threshold(u, ceiling))


def arctan(u: Tensor, ceiling: int, alpha: float) -> Tensor:
    """``1 / (1 + (pi * alpha * d / 2)^2)``, where d is the distance to the nearest threshold (Fang et al., ICCV 2021,
    for one threshold; here scaled to a peak of 1)."""
    return 1 / (1 + (math.pi * alpha / 2 * to_threshold(u, ceiling)) ** 2)


def to_threshold(u: Tensor, ceiling: int) -> Tensor:
    """Distance to the nearest of the thresholds 1/2, 3/2, ... K - 1/2."""
    nearest = (torch.floor(u) + 0.5).clamp(0.5, ceiling - 0.5)
    return (u - nearest).abs()


SURROGATES: dict[str, Callable[[Tensor, int, float], Tensor]] = {
    "relsg_et": relsg_et,
    "box": box,
    "triangle": triangle,
    "arctan": arctan,
}
"""Functions that give ``dn/du``, in the shape of ``u``, for the ceiling K and the steepness alpha."""


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """One of SURROGATES by ``name``, and its steepness; raises UserError for an unknown name or a wrong steepness."""

    name: str = "relsg_et"
    alpha: float = 2.0

    def __post_init__(self) -> None:
        check_choice("surrogate", self.name, SURROGATES)
        check_range("alpha", self.alpha)

    def derivative(self, u: Tensor, ceiling: int) -> Tensor:
        """``dn/du``, in the shape of ``u``."""
        return SURROGATES[self.name](u, ceiling, self.alpha)


class BurstCount(torch.autograd.Function):
    """Burst count of a scaled membrane potential ``u = H / s`` of any shape (dimensionless).

    Forward: ``n = clip(floor(u + 1/2), 0, K)``; rounding is half up, never half to even; ``above`` rounds half down, so
    that a burst begins only above its threshold. Backward: the surrogate's
    ``dn/du = psi(u)``; with ``o = s * n(H / s)`` autograd gives ``do/ds = n - u * psi(u)``.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, ceiling: int, surrogate: Surrogate, above: bool) -> Tensor:
        ctx.save_for_backward(u)
        ctx.ceiling, ctx.surrogate = ceiling, surrogate
        # The difference is exact, even next to the threshold, where the sum would be rounded.
        return (u - 0.5).ceil_().clamp_(0, ceiling) if above else (u + 0.5).floor_().clamp_(0, ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (u,) = ctx.saved_tensors
        return gradients[0] * ctx.surrogate.derivative(u, ctx.ceiling), None, None, None


def burst_count(u: Tensor, ceiling: int, surrogate: Surrogate | None = None, *, above: bool = False) -> Tensor:
    """``clip(floor(u + 1/2), 0, ceiling)`` with the gradient of ``surrogate``; ReLSG-ET if it is None. ``above`` rounds
    half down."""
    result = BurstCount.apply(u, ceiling, Surrogate() if surrogate is None else surrogate, above)
    assert isinstance(result, Tensor)
    return result
