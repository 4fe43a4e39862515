"""Straight-through quantizers and the choice of each channel's grid (docs/design.md, integer form)."""

import torch
from torch import Tensor


def floor_through(x: Tensor) -> Tensor:
    """``floor(x)`` with a straight-through gradient."""
    return x + (torch.floor(x) - x).detach()


def round_through(x: Tensor) -> Tensor:
    """``floor(x + 1/2)`` with a straight-through gradient."""
    return x + (torch.floor(x + 0.5) - x).detach()


def quantize_weights(scaled: Tensor, bits: int) -> Tensor:
    """``clip(floor(scaled + 1/2))`` to signed ``bits``; clamped before rounding, so clipped weights get no gradient."""
    limit = 2 ** (bits - 1)
    return round_through(scaled.clamp(-limit, limit - 1))


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """``x`` itself, with its gradient multiplied by ``factor`` (LSQ, arXiv 1902.08153)."""
    return x.detach() + factor * (x - x.detach())


def choose_grid(folded: Tensor, bits: int, fraction_bits: int | None = None) -> tuple[int, Tensor]:
    """Choose fraction bits F, unless given, and per-channel exponents e, so that weights fill their bits.

    Every channel's step ``2^(e-F)`` is the power of two with the least squared rounding and clipping error.
    F follows the finest channels, but no further than two bits past the median, so that one nearly dead
    channel does not widen a whole layer.

    Args:
        folded: weights in burst units, (channels, ...).
        bits: signed weight bits B.
        fraction_bits: F, if it is given.

    Returns:
        F, and int64 exponents e >= 0 of shape (channels,).
    """
    rows = folded.detach().flatten(1).double()
    limit = 2 ** (bits - 1)
    largest = rows.abs().amax(dim=1).clamp_min(1e-12)
    coarsest = torch.floor(torch.log2(limit / largest)).long()
    candidates = torch.stack([coarsest + finer for finer in range(-1, 4)])
    errors = torch.stack(
        [
            (torch.floor(rows * step + 0.5).clamp(-limit, limit - 1) / step - rows).square().sum(dim=1)
            for step in torch.exp2(candidates.double()).unsqueeze(-1)
        ]
    )
    best = candidates.gather(0, errors.argmin(dim=0, keepdim=True)).squeeze(0)
    if fraction_bits is None:
        fraction_bits = int(torch.minimum(best.max(), best.median() + 2).clamp(1, 24))
    return fraction_bits, (fraction_bits - best).clamp(0, 24)
