"""The QB-LIF neuron in its training form."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.nodes import Leak
from snn.quantizers import floor_through, scale_gradient
from snn.ranges import check_choice, check_range
from snn.surrogate import Surrogate, burst_count


class QBLIF(nn.Module):
    """Leaky integrate-and-fire neuron whose spikes are bursts: a saturated uniform quantization of the membrane.

    With membrane V, current I, leak ``beta = a / 2^p`` and one learnable scale ``s = softplus(rho)`` per layer::

        H[t] = beta * V[t-1] + I[t]            V[0] = 0
        n[t] = clip(floor(H[t] / s + 1/2), 0, K)
        o[t] = s * n[t]
        V[t] = H[t] - s * n[t]                 soft reset, n detached; hard reset: 0 where n > 0

    The burst, its learnable scale and the fold are from arXiv 2604.25688; rounding, leak and reset are our reading.
    K = 1 is the binary neuron, ``learn_scale=False`` the fixed-burst neuron. With a ``threshold`` theta other than 1/2
    the count is ``clip(floor(H[t] / s + 1 - theta), 0, K)``; the integer form rounds theta to its grid.

    Args:
        burst_bits: b; the ceiling is K = 2^b - 1 unless ``burst_ceiling`` gives K itself.
        leak: beta as the fraction ``Leak(multiplier, shift)``.
        reset: ``"soft"`` or ``"hard"``.
        surrogate: the gradient of the count; ReLSG-ET by default.
        learn_scale: whether s is trained.
        threshold: theta, where the first burst begins, in units of s.

    Raises:
        UserError: a number is outside its range (:mod:`snn.ranges`), or the reset is unknown.
    """

    neurons: Tensor

    def __init__(
        self,
        burst_bits: int = 2,
        *,
        burst_ceiling: int | None = None,
        leak: Leak | None = None,
        reset: Literal["soft", "hard"] = "soft",
        surrogate: Surrogate | None = None,
        learn_scale: bool = True,
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        check_range("burst_bits", burst_bits)
        if burst_ceiling is not None:
            check_range("burst_ceiling", burst_ceiling)
        if not isinstance(leak, Leak | None):
            raise UserError(f"leak {leak!r} is not a Leak; Leak(multiplier=1, shift=1) is 1/2")
        check_choice("reset", reset, ("soft", "hard"))
        check_range("threshold", threshold)
        self.burst_ceiling = 2**burst_bits - 1 if burst_ceiling is None else burst_ceiling
        self.leak = Leak() if leak is None else leak
        self.reset: Literal["soft", "hard"] = reset
        self.surrogate = Surrogate() if surrogate is None else surrogate
        self.threshold = threshold
        self.rho = nn.Parameter(torch.zeros(()), requires_grad=learn_scale)
        self.register_buffer("neurons", torch.tensor(0))

    @property
    def scale(self) -> Tensor:
        """s > 0, a scalar; the gradient of rho is scaled by ``1/sqrt(K * neurons)`` (LSQ)."""
        factor = 1.0 / math.sqrt(self.burst_ceiling * max(1, int(self.neurons)))
        return nn.functional.softplus(scale_gradient(self.rho, factor))

    @torch.no_grad()
    def initialise(self, current: Tensor) -> None:
        """Set s to ``2 * mean|H| / sqrt(K)`` from the first batch's currents, where H = I since V[0] = 0."""
        scale = (2.0 * current.abs().mean() / math.sqrt(self.burst_ceiling)).clamp_min(1e-6)
        self.rho.copy_(torch.log(torch.expm1(scale)))
        self.neurons.fill_(current[0, 0].numel())

    def forward(self, current: Tensor, timesteps: int, fraction_bits: int | None = None) -> Tensor:
        """Burst counts (T, batch, *shape) of currents (T or 1, batch, *shape).

        Without ``fraction_bits`` the currents are in the units of W * o (training form, docs/design.md). With
        ``fraction_bits`` they are in burst units on the grid 2^-fraction_bits, s is folded away and the leak rounds
        down on that grid: this is the integer form, and it is exact as long as the values fit the float type.
        """
        if fraction_bits is None and self.neurons == 0:
            self.initialise(current)
        scale = self.scale if fraction_bits is None else None
        threshold = self.threshold
        if fraction_bits is not None:
            threshold = 1 - self.rounding(fraction_bits) * 2.0**-fraction_bits
        arriving = current.unbind(0)
        potential, counts = arriving[0], list[Tensor]()
        for step in range(timesteps):
            if step:
                membrane = self._after_reset(potential, counts[-1], scale)
                potential = self._leaked(membrane, fraction_bits) + arriving[step if len(arriving) > 1 else 0]
            counts.append(burst_count(self._in_scales(potential, scale, threshold), self.burst_ceiling, self.surrogate))
        return torch.stack(counts)

    def rounding(self, fraction_bits: int) -> int:
        """r of the integer form, (M + r) >> F, for this threshold."""
        unit = 2**fraction_bits
        return min(math.floor((1 - self.threshold) * unit + 0.5), unit - 1)

    # One pass over a layer's values takes as long as the neurons' arithmetic, so passes without effect are skipped.

    def _in_scales(self, potential: Tensor, scale: Tensor | None, threshold: float) -> Tensor:
        """u, shifted so that the first burst begins at 1/2; a ``scale`` of None means 1."""
        u = potential if scale is None else potential / scale
        return u if threshold == 0.5 else u - (threshold - 0.5)

    def _after_reset(self, potential: Tensor, count: Tensor, scale: Tensor | None) -> Tensor:
        """V[t] from H[t] and n[t]."""
        if self.reset == "hard":
            return torch.where(count > 0, torch.zeros_like(potential), potential)
        fired = count.detach()
        return potential - (fired if scale is None else scale * fired)

    def _leaked(self, membrane: Tensor, fraction_bits: int | None) -> Tensor:
        if self.leak.multiplier == 2**self.leak.shift:
            return membrane
        beta = self.leak.multiplier / 2**self.leak.shift
        if fraction_bits is None:
            return membrane * beta
        return floor_through(membrane * (beta * 2.0**fraction_bits)) * 2.0**-fraction_bits
