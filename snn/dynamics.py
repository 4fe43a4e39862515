"""How a population of neurons moves from timestep to timestep: what QB-LIF and the LIF family have in common."""

import math
from collections.abc import Callable
from typing import Literal, TypedDict

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.nodes import Leak
from snn.decay import Decay, Limits, check_limits, limiting
from snn.ranges import check_choice, check_range
from snn.state import Memory
from snn.surrogate import Surrogate, burst_count


class NeuronOptions(TypedDict, total=False):
    """The options of every kind of neuron, as in :class:`Neuron`."""

    leak: Leak | None
    learn_leak: bool
    reset: Literal["soft", "hard"]
    surrogate: Surrogate | None
    threshold: float
    fires_at: Literal["threshold", "above"]
    current_leak: Leak | None
    membrane_limits: Limits | None
    current_limits: Limits | None


class Neuron(nn.Module):
    """Leaky integrate-and-fire neurons that send bursts. With arriving current X, synaptic current J, membrane V::

        J[t] = alpha * J[t-1] + X[t]           limited; without a synaptic current J = X
        H[t] = beta * V[t-1] + J[t]
        n[t] = clip(floor(H[t] / s + 1 - theta), 0, K)
        o[t] = g * n[t]
        V[t] = H[t] - s * n[t]                 soft reset, n detached; hard reset: 0 where n > 0; then limited

    V and J begin at 0. A subclass gives the scale s and the amplitude g.

    Args:
        burst_ceiling: K.
        leak: beta as the fraction ``Leak(multiplier, shift)``; 1/2 by default.
        learn_leak: whether beta and alpha are trained (:class:`snn.decay.Decay`).
        reset: ``"soft"`` or ``"hard"``.
        surrogate: the gradient of the count; ReLSG-ET by default.
        threshold: theta, where the first burst begins, in units of s; the integer form rounds it to its grid.
        fires_at: ``"threshold"``: a burst begins at its threshold. ``"above"``: only above it.
        current_leak: alpha; None for neurons without a synaptic current.
        membrane_limits, current_limits: limits of V and of J, in units of s; the integer form rounds them to its grid.

    Raises:
        UserError: a number is outside its range (:mod:`snn.ranges`), or a choice is unknown.
    """

    def __init__(
        self,
        burst_ceiling: int,
        *,
        leak: Leak | None = None,
        learn_leak: bool = False,
        reset: Literal["soft", "hard"] = "soft",
        surrogate: Surrogate | None = None,
        threshold: float = 0.5,
        fires_at: Literal["threshold", "above"] = "threshold",
        current_leak: Leak | None = None,
        membrane_limits: Limits | None = None,
        current_limits: Limits | None = None,
    ) -> None:
        super().__init__()
        check_range("burst_ceiling", burst_ceiling)
        check_choice("reset", reset, ("soft", "hard"))
        check_range("threshold", threshold)
        check_choice("fires_at", fires_at, ("threshold", "above"))
        check_limits("membrane_limits", membrane_limits)
        check_limits("current_limits", current_limits)
        if current_limits is not None and current_leak is None:
            raise UserError("limits of a synaptic current, but no leak of one (current_leak)")
        self.burst_ceiling = burst_ceiling
        self.decay = Decay(Leak() if leak is None else leak, learn=learn_leak)
        self.current_decay = None if current_leak is None else Decay(current_leak, learn=learn_leak)
        self.reset: Literal["soft", "hard"] = reset
        self.surrogate = Surrogate() if surrogate is None else surrogate
        self.threshold, self.fires_at = threshold, fires_at
        self.membrane_limits, self.current_limits = membrane_limits, current_limits

    @property
    def scale(self) -> Tensor:
        """s > 0, a scalar."""
        raise TypeError(f"{type(self).__name__} does not say what its scale is")

    def amplitude(self, scale: Tensor) -> Tensor:
        """g, the value of one burst, a scalar, for this ``scale``."""
        raise TypeError(f"{type(self).__name__} does not say what a burst is worth")

    @property
    def initialised(self) -> bool:
        """Whether s is known."""
        return True

    def initialise(self, current: Tensor) -> None:
        """Choose s from the first batch's currents, if it is not known."""

    @property
    def leak(self) -> Leak:
        """beta of the integer form."""
        return self.decay.leak

    @property
    def current_leak(self) -> Leak | None:
        """alpha of the integer form."""
        return None if self.current_decay is None else self.current_decay.leak

    def rounding(self, fraction_bits: int) -> int:
        """r of the integer form, (M + r) >> F, for this threshold."""
        unit = 2**fraction_bits
        return min(math.floor((1 - self.threshold) * unit + 0.5) - (self.fires_at == "above"), unit - 1)

    def forward(
        self,
        current: Tensor,
        timesteps: int,
        fraction_bits: int | None = None,
        *,
        feedback: Callable[[Tensor], Tensor] | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """Burst counts (T, batch, *shape) of currents (T or 1, batch, *shape).

        Without ``fraction_bits`` the currents are in the units of W * o (training form, docs/design.md). With
        ``fraction_bits`` they are in burst units on the grid 2^-fraction_bits, s is folded away and the leak rounds
        down on that grid: this is the integer form, and it is exact as long as the values fit the float type.

        Args:
            current: X, or the part of it that is known before the neurons fire.
            timesteps: T.
            fraction_bits: F of the integer form.
            feedback: what the counts of one timestep, (batch, *shape), add to the currents of the next.
            memory: the state in which to begin, and where to leave the last one; None begins at rest.
        """
        if fraction_bits is None and not self.initialised:
            self.initialise(current)
        scale = self.scale if fraction_bits is None else None
        leaked, limited = self.decay.at(fraction_bits), limiting(self.membrane_limits, scale, fraction_bits)
        current_leaked = None if self.current_decay is None else self.current_decay.at(fraction_bits)
        current_limited = limiting(self.current_limits, scale, fraction_bits)
        threshold = self.threshold
        if fraction_bits is not None:
            threshold = 1 - self.rounding(fraction_bits) * 2.0**-fraction_bits
        above = fraction_bits is None and self.fires_at == "above"
        before = (memory.before() if memory is not None else None) or {}
        membrane, synaptic, count = (before.get(name) for name in ("V", "J", "n"))
        arriving, counts = current.unbind(0), list[Tensor]()
        # One pass over a layer's values takes as long as the neurons' arithmetic, so passes without effect are skipped.
        for step in range(timesteps):
            potential = arriving[step if len(arriving) > 1 else 0]
            if feedback is not None and count is not None:
                potential = potential + feedback(count)
            if current_leaked is not None:
                potential = potential if synaptic is None else current_leaked(synaptic) + potential
                potential = synaptic = current_limited(potential)
            if membrane is not None:
                potential = leaked(membrane) + potential
            u = potential if scale is None else potential / scale
            u = u if threshold == 0.5 else u - (threshold - 0.5)
            count = burst_count(u, self.burst_ceiling, self.surrogate, above=above)
            counts.append(count)
            if memory is not None or step + 1 < timesteps:
                membrane = limited(self._after_reset(potential, count, scale))
        if memory is not None:
            states = {"V": membrane, "J": synaptic, "n": count}
            memory.after({name: value for name, value in states.items() if value is not None})
        return torch.stack(counts)

    def _after_reset(self, potential: Tensor, count: Tensor, scale: Tensor | None) -> Tensor:
        """V[t] from H[t] and n[t]."""
        if self.reset == "hard":
            return torch.where(count > 0, torch.zeros_like(potential), potential)
        fired = count.detach()
        return potential - (fired if scale is None else scale * fired)
