"""Interval analysis of the integer form: bounds of sums, potentials and membranes, in exact integers.

All bounds hold for all inputs (every source neuron anywhere from 0 to its ceiling at every timestep) and for every
order in which events can arrive. Nothing is estimated. This module needs only numpy.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qblif.network.graph import Network
    from qblif.network.nodes import Leak, Population, Target

MOST_BITS = 62
"""Largest signed width that anything in a network may need, including the product of leak and membrane
(docs/design.md)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """Closed integer bounds, one pair per channel: ``low`` and ``high`` of shape (channels,).

    The arrays are int64, or hold Python integers (dtype object) if int64 could wrap.
    """

    low: NDArray[Any]
    high: NDArray[Any]

    @property
    def bits(self) -> int:
        """Smallest signed width that holds every value."""
        return max(signed_bits(int(self.low.min())), signed_bits(int(self.high.max())))

    @property
    def reach(self) -> int:
        """The largest distance of any value from 0."""
        return max(abs(int(self.low.min())), abs(int(self.high.max())))

    @property
    def hull(self) -> "Interval":
        """One interval that contains those of all channels, in Python integers."""
        low, high = int(self.low.min()), int(self.high.max())
        return Interval(low=np.array([low], dtype=object), high=np.array([high], dtype=object))

    def union(self, other: "Interval") -> "Interval":
        """Bounds of the values of both intervals."""
        return Interval(low=np.minimum(self.low, other.low), high=np.maximum(self.high, other.high))


def signed_bits(value: int) -> int:
    """Smallest two's complement width of ``value``."""
    return (value if value >= 0 else ~value).bit_length() + 1


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
    """Bounds of M, of V and of the product ``a * V`` at any timestep."""

    potential: Interval
    membrane: Interval
    product: Interval


def neuron_bounds(current: Interval, neuron: Neuron, timesteps: int) -> NeuronBounds:
    """Bounds over ``timesteps`` steps of neurons that receive ``current``."""
    # |V| <= |M|, and |M| grows by at most the current's reach per timestep.
    largest = current.reach * timesteps * max(1, neuron.leak.multiplier)
    if max(largest, neuron.burst_ceiling + 1 << neuron.fraction_bits) >= 2 ** (MOST_BITS - 1):
        current = Interval(low=current.low.astype(object), high=current.high.astype(object))
    zero = np.zeros_like(current.low)
    membrane = membranes = products = Interval(low=zero, high=zero)
    potentials: Interval | None = None
    for _ in range(timesteps):
        product = Interval(
            low=membrane.low * neuron.leak.multiplier,
            high=membrane.high * neuron.leak.multiplier,
        )
        potential = Interval(
            low=(product.low >> neuron.leak.shift) + current.low,
            high=(product.high >> neuron.leak.shift) + current.high,
        )
        before, membrane = membrane, after_reset(potential, neuron)
        products, membranes = products.union(product), membranes.union(membrane)
        potentials = potential if potentials is None else potentials.union(potential)
        if (membrane.low == before.low).all() and (membrane.high == before.high).all():
            break  # all further timesteps repeat this one
    assert potentials is not None
    return NeuronBounds(potential=potentials, membrane=membranes, product=products)


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

    ``partial``: sums of the events of one accumulation, after any of them in any order;
    ``current``: ``(sum << e) + bias`` plus skips (readout: L); ``potential``: M at any timestep; ``membrane``: V.
    The readout has neither potential nor membrane; both fields repeat its current.
    ``bias``: bias of one timestep (readout: of all timesteps); ``largest_exponent``: maximum over all channels.
    """

    partial: Interval
    current: Interval
    potential: Interval
    membrane: Interval
    bias: Interval
    largest_exponent: int


def layer_bounds(network: "Network", target: "Target") -> LayerBounds:
    """All bounds of one layer; computed once per network."""
    known = KNOWN_BOUNDS.setdefault(network, {})
    if target.name not in known:
        known[target.name] = bounds_of(network, target)
    return known[target.name]


def bounds_of(network: "Network", target: "Target") -> LayerBounds:
    """All bounds of one layer."""
    partial, entering, bias = partial_sums(network, target), current(network, target), target.bias
    largest_exponent = int(target.exponent.max())
    if not target.fires:
        # The array adds up all timesteps; a direct input, which is the same at every timestep, is added only once.
        steps = max(network.steps(projection.source) for projection in network.projections_into(target.name))
        partial = Interval(low=partial.low * steps, high=partial.high * steps)
        bias = bias * network.timesteps
        logits = Interval(low=entering.low * network.timesteps, high=entering.high * network.timesteps)
        return LayerBounds(
            partial=partial,
            current=logits,
            potential=logits,
            membrane=logits,
            bias=Interval(low=bias, high=bias),
            largest_exponent=largest_exponent,
        )
    neurons = neuron_bounds(entering, cast("Population", target), network.timesteps)
    return LayerBounds(
        partial=partial,
        current=entering,
        potential=neurons.potential,
        membrane=neurons.membrane,
        bias=Interval(low=bias, high=bias),
        largest_exponent=largest_exponent,
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
