"""Interval analysis of the integer form: bounds of sums, potentials and membranes, in exact integers.

All bounds hold for all inputs (every source neuron anywhere from 0 to its ceiling at every timestep) and for every
order in which events can arrive. Nothing is estimated. Over a window the bounds are computed timestep by timestep; over
endless time they are found in closed form (:mod:`qblif.network.endless`). This module needs only numpy.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from qblif.network.checks import require
from qblif.network.endless import endless_integral, endless_membrane
from qblif.network.intervals import Interval
from qblif.network.nodes import Leak

if TYPE_CHECKING:
    from qblif.network.graph import Network
    from qblif.network.nodes import Limits, Population, Readout, Target

MOST_BITS = 62
"""Largest signed width that anything in a network may need, including the product of leak and membrane
(docs/design.md)."""


class Neuron(Protocol):
    """The properties of a neuron that its bounds depend on, as in :class:`qblif.network.nodes.Population`."""

    @property
    def fraction_bits(self) -> int: ...
    @property
    def burst_ceiling(self) -> int: ...
    @property
    def leak(self) -> "Leak": ...
    @property
    def rounding_constant(self) -> int: ...
    @property
    def reset(self) -> Literal["soft", "hard"]: ...
    @property
    def current_leak(self) -> "Leak | None": ...
    @property
    def membrane_limits(self) -> "Limits | None": ...
    @property
    def current_limits(self) -> "Limits | None": ...


def partial_sums(network: "Network", target: "Target") -> Interval:
    """Bounds of every partial sum of one timestep: the negative weights alone, and the positive ones alone."""
    channels = target.shape[0]
    low, high = np.zeros(channels, dtype=np.int64), np.zeros(channels, dtype=np.int64)
    for projection in network.projections_into(target.name):
        if projection.kind != "skip":
            weights = projection.weights.reshape(channels, -1)
            ceiling = network.burst_ceiling(projection.source)
            low += np.minimum(weights, 0).sum(axis=1) * ceiling
            high += np.maximum(weights, 0).sum(axis=1) * ceiling
    return Interval(low=low, high=high)


def skipped(network: "Network", target: "Target") -> Interval:
    """Bounds of the sum that identity skips add to the membrane in one timestep."""
    low, high = np.zeros_like(target.bias), np.zeros_like(target.bias)
    for projection in network.projections_into(target.name):
        if projection.kind == "skip":
            reach = projection.weight * network.burst_ceiling(projection.source)
            low, high = low + min(reach, 0), high + max(reach, 0)
    return Interval(low=low, high=high)


def current(network: "Network", target: "Target") -> Interval:
    """Bounds of ``(sum << e) + bias`` and identity skips in one timestep."""
    partial, skip = partial_sums(network, target), skipped(network, target)
    scale = 2**target.exponent
    return Interval(
        low=partial.low * scale + target.bias + skip.low, high=partial.high * scale + target.bias + skip.high
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class NeuronBounds:
    """Bounds at any timestep.

    Attributes:
        summed: J before its limits; the arriving current for neurons without a synaptic current.
        synaptic: J.
        potential: M.
        membrane: V.
        product: ``a * V`` and, with a synaptic current, ``a * J``.
    """

    summed: Interval
    synaptic: Interval
    potential: Interval
    membrane: Interval
    product: Interval

    def union(self, other: "NeuronBounds") -> "NeuronBounds":
        """Bounds of the values of both."""
        return NeuronBounds(**{name: getattr(self, name).union(getattr(other, name)) for name in vars(self)})


def neuron_bounds(current: Interval, neuron: Neuron, timesteps: int | None) -> NeuronBounds:
    """Bounds of neurons that receive ``current``, over ``timesteps`` steps from rest; None for endless time.

    Raises:
        NetworkError: there are no bounds over endless time.
    """
    if timesteps is None:
        return endless_bounds(current.exact, neuron)
    leaks = [neuron.leak, *([] if neuron.current_leak is None else [neuron.current_leak])]
    # |V| <= |M|, and |M| grows by at most the reach of what it receives per timestep; |J| likewise.
    largest = current.reach * timesteps ** len(leaks) * max(1, *(leak.multiplier for leak in leaks))
    if max(largest, neuron.burst_ceiling + 1 << neuron.fraction_bits) >= 2 ** (MOST_BITS - 1):
        current = current.exact
    rest = Interval(low=np.zeros_like(current.low), high=np.zeros_like(current.high))
    synaptic = membrane = rest
    found: NeuronBounds | None = None
    for _ in range(timesteps):
        step = neuron_step(current, neuron, synaptic, membrane)
        found = step if found is None else found.union(step)
        if synaptic.equals(step.synaptic) and membrane.equals(step.membrane):
            break  # all further timesteps repeat this one
        synaptic, membrane = step.synaptic, step.membrane
    assert found is not None
    return replace(found, membrane=found.membrane.union(rest))


def endless_bounds(current: Interval, neuron: Neuron) -> NeuronBounds:
    """Bounds over endless time: a closed form, proved by induction; raises NetworkError if there are none."""
    rest = Interval(low=np.zeros_like(current.low), high=np.zeros_like(current.high))
    synaptic = rest
    if neuron.current_leak is not None:
        synaptic = endless_integral(current, neuron.current_leak, neuron.current_limits, "its synaptic current")
    first = neuron_step(current, neuron, synaptic, rest)
    membrane = endless_membrane(first.synaptic, neuron)
    step = neuron_step(current, neuron, synaptic, membrane)
    inductive = membrane.contains(step.membrane) and (neuron.current_leak is None or synaptic.contains(step.synaptic))
    require(inductive, "its bounds over endless time are not inductive; declare limits of its states")
    return replace(step, membrane=membrane)


def neuron_step(current: Interval, neuron: Neuron, synaptic: Interval, membrane: Interval) -> NeuronBounds:
    """Bounds after one timestep that begins with J in ``synaptic`` and V in ``membrane``."""
    product = membrane.times(neuron.leak.multiplier)
    summed = limited = current
    if neuron.current_leak is not None:
        product = product.union(synaptic.times(neuron.current_leak.multiplier))
        summed = synaptic.leaked(neuron.current_leak) + current
        limited = summed.limited(neuron.current_limits)
    potential = membrane.leaked(neuron.leak) + limited
    after = after_reset(potential, neuron).limited(neuron.membrane_limits)
    return NeuronBounds(summed=summed, synaptic=limited, potential=potential, membrane=after, product=product)


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegralBounds:
    """Bounds at any timestep of a readout's L: before its limits, after them, and times the leak's multiplier."""

    summed: Interval
    limited: Interval
    product: Interval


def integral_bounds(current: Interval, readout: "Readout", timesteps: int | None) -> IntegralBounds:
    """Bounds of L of a readout that receives ``current``, as in :func:`neuron_bounds`."""
    leak = Leak(multiplier=1, shift=0) if readout.leak is None else readout.leak
    if readout.plain and timesteps is not None:
        total = current.times(timesteps)
        return IntegralBounds(summed=total, limited=total, product=total)
    current = current.exact
    rest = Interval(low=np.zeros_like(current.low), high=np.zeros_like(current.high))
    if timesteps is None:
        state = endless_integral(current, leak, readout.limits, "its sum")
        summed = state.leaked(leak) + current
        return IntegralBounds(summed=summed, limited=state, product=state.times(leak.multiplier))
    state = sums = states = products = rest
    for _ in range(timesteps):
        before, summed = state, state.leaked(leak) + current
        state = summed.limited(readout.limits)
        sums, states = sums.union(summed), states.union(state)
        products = products.union(before.times(leak.multiplier))
        if state.equals(before):
            break  # all further timesteps repeat this one
    return IntegralBounds(summed=sums, limited=states, product=products)


def after_reset(potential: Interval, neuron: Neuron) -> Interval:
    """Exact bounds of V over all M in an interval: V is a sawtooth of M, with extremes at the ends and thresholds."""
    unit, rounding = 1 << neuron.fraction_bits, neuron.rounding_constant
    low, high = potential.low, potential.high
    ends = membrane_after(low, neuron), membrane_after(high, neuron)
    lowest, highest = np.minimum(*ends), np.maximum(*ends)
    for below in (0, 1):
        # The first threshold in the interval, or the place just below one.
        burst = np.maximum(-(-(low + rounding + below) // unit), 1)
        place = burst * unit - rounding - below
        inside = (burst <= neuron.burst_ceiling) & (place <= high)
        value = membrane_after(place, neuron)
        lowest = np.where(inside, np.minimum(lowest, value), lowest)
        highest = np.where(inside, np.maximum(highest, value), highest)
    return Interval(low=lowest, high=highest)


def membrane_after(potential: NDArray[Any], neuron: Neuron) -> NDArray[Any]:
    """V after one burst of potential M."""
    unit = 1 << neuron.fraction_bits
    rounded = (potential + neuron.rounding_constant) >> neuron.fraction_bits
    count = np.minimum(np.maximum(rounded, 0), neuron.burst_ceiling)
    if neuron.reset == "soft":
        return potential - count * unit
    return np.where(count > 0, 0, potential)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerBounds:
    """Bounds inside one layer, per channel, and the widths of its constants.

    Attributes:
        partial: sums of the events of one accumulation, after any of them in any order.
        current: ``(sum << e) + bias`` plus skips.
        summed, synaptic: J before and after its limits; the current for neurons without a synaptic current.
        potential: M at any timestep (readout: L before its limits).
        membrane: V (readout: L).
        bias: the bias.
        largest_exponent: maximum over all channels.
    """

    partial: Interval
    current: Interval
    summed: Interval
    synaptic: Interval
    potential: Interval
    membrane: Interval
    bias: Interval
    largest_exponent: int


def layer_bounds(network: "Network", target: "Target") -> LayerBounds:
    """All bounds of one layer in which every timestep is accumulated on its own; computed once per network."""
    known = KNOWN_BOUNDS.setdefault(network, {})
    if target.name not in known:
        known[target.name] = bounds_of(network, target)
    return known[target.name]


def bounds_of(network: "Network", target: "Target") -> LayerBounds:
    """As :func:`layer_bounds`; raises NetworkError if a product with a leak's multiplier is too wide, or if there are
    no bounds over endless time."""
    entering, timesteps = current(network, target), None if network.mode == "stream" else network.timesteps
    known = LayerBounds(
        partial=partial_sums(network, target),
        current=entering,
        summed=entering,
        synaptic=entering,
        potential=entering,
        membrane=entering,
        bias=Interval(low=target.bias, high=target.bias),
        largest_exponent=int(target.exponent.max()),
    )
    if not target.fires:
        readout = integral_bounds(entering, cast("Readout", target), timesteps)
        return replace(known, potential=readout.summed, membrane=readout.limited)
    neurons = neuron_bounds(entering, cast("Population", target), timesteps)
    return replace(
        known,
        summed=neurons.summed,
        synaptic=neurons.synaptic,
        potential=neurons.potential,
        membrane=neurons.membrane,
    )


def merged_bounds(network: "Network", readout: "Readout") -> LayerBounds:
    """Bounds of a readout whose engine adds up all timesteps; a direct input, which is the same at every timestep, is
    added only once. ``current`` is L, and the bias that of all timesteps together. Computed once per network."""
    known = KNOWN_MERGED.get(network)
    if known is None:
        known = KNOWN_MERGED[network] = merged_bounds_of(network, readout)
    return known


def merged_bounds_of(network: "Network", readout: "Readout") -> LayerBounds:
    """As :func:`merged_bounds`."""
    bounds = layer_bounds(network, readout)
    steps = max(network.steps(projection.source) for projection in network.projections_into(readout.name))
    bias, logits = readout.bias * network.timesteps, bounds.current.times(network.timesteps)
    return replace(
        bounds,
        partial=bounds.partial.times(steps),
        current=logits,
        potential=logits,
        membrane=logits,
        bias=Interval(low=bias, high=bias),
    )


def bursts_of(potential: Interval, neuron: Neuron) -> Interval:
    """Bounds of the bursts of every channel whose potentials are in ``potential``."""
    rounding, fraction = neuron.rounding_constant, neuron.fraction_bits
    return Interval(
        low=np.clip((potential.low + rounding) >> fraction, 0, neuron.burst_ceiling),
        high=np.clip((potential.high + rounding) >> fraction, 0, neuron.burst_ceiling),
    )


KNOWN_BOUNDS: "WeakKeyDictionary[Network, dict[str, LayerBounds]]" = WeakKeyDictionary()
"""Results of :func:`layer_bounds`, kept as long as the network exists."""
KNOWN_MERGED: "WeakKeyDictionary[Network, LayerBounds]" = WeakKeyDictionary()
"""Results of :func:`merged_bounds`, as long."""
