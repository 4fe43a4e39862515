"""Bounds over endless time, in closed form; :mod:`qblif.network.bounds` proves them by induction.

A state that leaks by ``beta = a / 2^p < 1`` and receives at most X per timestep stays below ``X / (1 - beta)``, where
the leaky share and the new current balance. Rounding down does not change that, since currents are whole: the next
whole number beyond the balance is kept. Without a leak nothing but a limit, or a reset, bounds it. Intervals hold
Python integers here.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qblif.network.checks import require
from qblif.network.intervals import Interval

if TYPE_CHECKING:
    from qblif.network.bounds import Neuron
    from qblif.network.nodes import Leak, Limits


def endless_integral(current: Interval, leak: "Leak", limits: "Limits | None", state: str) -> Interval:
    """Bounds of ``S[t] = leak(S[t-1]) + current``, with S limited, from 0 on; raises NetworkError, which names the
    ``state``, if there are none."""
    low, high = lowest(current.low, leak, limits, state), highest(current.high, leak, limits, state)
    return Interval(low=low, high=high).limited(limits)


def endless_membrane(arriving: Interval, neuron: "Neuron") -> Interval:
    """Bounds of V of neurons whose potential receives ``arriving`` at every timestep; raises NetworkError."""
    leak, limits, state = neuron.leak, neuron.membrane_limits, "its membrane"
    unit = 1 << neuron.fraction_bits
    # V without a burst is below the first threshold. A soft reset leaves as little as -r.
    silent = unit - neuron.rounding_constant - 1
    if neuron.reset == "hard":
        high = np.minimum(silent, highest(arriving.high, leak, None, state) if not leak.keeps else silent)
        low = lowest(arriving.low, leak, limits, state)
        return Interval(low=low, high=np.maximum(high, 0)).limited(limits)
    saturated = highest(arriving.high - neuron.burst_ceiling * unit, leak, limits, state)
    low = np.minimum(lowest(arriving.low, leak, limits, state), -neuron.rounding_constant)
    return Interval(low=np.minimum(low, 0), high=np.maximum(saturated, max(silent, 0))).limited(limits)


def lowest(current: NDArray[Any], leak: "Leak", limits: "Limits | None", state: str) -> NDArray[Any]:
    """The lowest value of a state that receives at least ``current``."""
    falling = np.minimum(current, 0)
    if leak.keeps:
        require(limits is not None or not falling.any(), unbounded(state, "falls"))
        return np.where(falling < 0, 0 if limits is None else limits[0], 0).astype(object)
    kept = (1 << leak.shift) - leak.multiplier
    return (falling << leak.shift) // kept


def highest(current: NDArray[Any], leak: "Leak", limits: "Limits | None", state: str) -> NDArray[Any]:
    """The highest value of a state that receives at most ``current``."""
    rising = np.maximum(current, 0)
    if leak.keeps:
        require(limits is not None or not rising.any(), unbounded(state, "rises"))
        return np.where(rising > 0, 0 if limits is None else limits[1], 0).astype(object)
    return -(-(rising << leak.shift) // ((1 << leak.shift) - leak.multiplier))


def unbounded(state: str, moves: str) -> str:
    """The message for a state without bounds."""
    return f"{state} {moves} without end in a network without an end of time; declare limits, or let it leak"
