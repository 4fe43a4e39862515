"""ReLSG-ET: the rectified-linear surrogate gradient with exponential tails (our reading of arXiv 2604.25688)."""

import math
from typing import Any

import torch
from torch import Tensor


class ReLSGET(torch.autograd.Function):
    """Burst count of a scaled membrane potential, with a gradient that reaches every burst interval.

    Forward, for ``u = H / s`` of any shape (dimensionless)::

        n = clip(floor(u + 1/2), 0, K)

    Backward, ``dn/du = psi(u)``::

        psi(u) = exp(-alpha * (0 - u))    u < 0
                 1                        0 <= u <= K
                 exp(-alpha * (u - K))    u > K

    ``alpha = inf`` is the plain straight-through box. Rounding is half up, never half to even. With
    ``o = s * n(H / s)`` autograd gives ``do/ds = n - u * psi(u)``. The paper's public text names the surrogate
    and its tails, not this formula.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, ceiling: int, alpha: float) -> Tensor:
        ctx.save_for_backward(u)
        ctx.ceiling, ctx.alpha = ceiling, alpha
        return torch.floor(u + 0.5).clamp(0, ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (u,) = ctx.saved_tensors
        return gradients[0] * psi(u, ctx.ceiling, ctx.alpha), None, None


def psi(u: Tensor, ceiling: int, alpha: float) -> Tensor:
    """The surrogate derivative dn/du of :class:`ReLSGET`, same shape as ``u``."""
    outside = torch.relu(-u) + torch.relu(u - ceiling)
    if math.isinf(alpha):
        return (outside == 0).to(u.dtype)
    return torch.exp(-alpha * outside)


def burst_count(u: Tensor, ceiling: int, alpha: float = 2.0) -> Tensor:
    """``clip(floor(u + 1/2), 0, ceiling)`` with the ReLSG-ET gradient."""
    result = ReLSGET.apply(u, ceiling, alpha)
    assert isinstance(result, Tensor)
    return result
