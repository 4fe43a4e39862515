"""Interval analysis: how wide every accumulator, current, potential and membrane must be, proved from the integers.

All bounds are exact integers over all inputs (every source neuron anywhere from 0 to its ceiling at every
timestep) and over every order in which events can arrive. Nothing is estimated, and nothing needs to saturate.
"""

from dataclasses import dataclass

import numpy as np

from hw.network import Conv2d, Dense, IntArray, Network, Population, Readout, Skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """Closed integer bounds, one pair a channel: int64 ``low`` and ``high`` of shape (channels,)."""

    low: IntArray
    high: IntArray

    @property
    def bits(self) -> int:
        """Least signed width that holds every value."""
        return max(signed_bits(int(self.low.min())), signed_bits(int(self.high.max())))

    def union(self, other: "Interval") -> "Interval":
        """Bounds of the values of either."""
        return Interval(low=np.minimum(self.low, other.low), high=np.maximum(self.high, other.high))


def signed_bits(value: int) -> int:
    """Least two's complement width of ``value``."""
    return (value if value >= 0 else ~value).bit_length() + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerBounds:
    """Bounds inside one layer, per channel, and the widths of its constants.

    ``partial``: sums of the events of one accumulation, after any of them in any order;
    ``current``: ``(sum << e) + bias`` and skips (the readout: L); ``potential``: M at any timestep; ``membrane``: V.
    The readout has no potential and no membrane of its own; both repeat its current.
    ``bias``: that of a timestep (the readout: of all); ``largest_exponent``: of all channels.
    """

    partial: Interval
    current: Interval
    potential: Interval
    membrane: Interval
    bias: Interval
    largest_exponent: int


def partial_sums(network: Network, target: Population | Readout) -> Interval:
    """Bounds of every partial sum in the synapse array: the negative weights alone, and the positive ones alone."""
    channels = target.shape[0]
    low, high = np.zeros(channels, dtype=np.int64), np.zeros(channels, dtype=np.int64)
    for projection in network.projections_into(target.name):
        if isinstance(projection, Dense | Conv2d):
            weights = projection.weights.reshape(channels, -1) * network.burst_ceiling(projection.source)
            low += np.minimum(weights, 0).sum(axis=1)
            high += np.maximum(weights, 0).sum(axis=1)
    if isinstance(target, Readout):
        source = next(network.projections_into(target.name)).source
        low, high = low * network.steps(source), high * network.steps(source)
    return Interval(low=low, high=high)


def layer_bounds(network: Network, target: Population | Readout) -> LayerBounds:
    """All bounds of one layer."""
    partial = partial_sums(network, target)
    scale = 2**target.exponent
    if isinstance(target, Readout):
        source = next(network.projections_into(target.name)).source
        repeats, bias = network.timesteps // network.steps(source), target.bias * network.timesteps
        logits = Interval(low=partial.low * scale * repeats + bias, high=partial.high * scale * repeats + bias)
        return LayerBounds(
            partial=partial,
            current=logits,
            potential=logits,
            membrane=logits,
            bias=Interval(low=bias, high=bias),
            largest_exponent=int(target.exponent.max()),
        )
    skip = skipped(network, target)
    current = Interval(
        low=partial.low * scale + target.bias + skip.low, high=partial.high * scale + target.bias + skip.high
    )
    zero = np.zeros_like(target.bias)
    membrane = all_membranes = Interval(low=zero, high=zero)
    potential = current
    for _ in range(network.timesteps):
        now = Interval(
            low=leaked(membrane.low, target) + current.low, high=leaked(membrane.high, target) + current.high
        )
        membrane = after_reset(now, target)
        potential, all_membranes = potential.union(now), all_membranes.union(membrane)
    return LayerBounds(
        partial=partial,
        current=current,
        potential=potential,
        membrane=all_membranes,
        bias=Interval(low=target.bias, high=target.bias),
        largest_exponent=int(target.exponent.max()),
    )


def skipped(network: Network, target: Population) -> Interval:
    """Bounds of what identity skips add to the membrane."""
    low, high = np.zeros_like(target.bias), np.zeros_like(target.bias)
    for projection in network.projections_into(target.name):
        if isinstance(projection, Skip):
            reach = projection.weight * network.burst_ceiling(projection.source)
            low, high = low + min(reach, 0), high + max(reach, 0)
    return Interval(low=low, high=high)


def leaked(membrane: IntArray, population: Population) -> IntArray:
    """``(a * V) >> p``, floor."""
    return (population.leak.multiplier * membrane) >> population.leak.shift


def after_reset(potential: Interval, population: Population) -> Interval:
    """Exact bounds of V over all M of an interval: V is a sawtooth of M, extreme at the ends and at the thresholds."""
    unit = 1 << population.fraction_bits
    half, ceiling = unit // 2, population.burst_ceiling
    low, high = potential.low, potential.high
    thresholds = [burst * unit - half for burst in range(1, ceiling + 1)]
    ends = [reset(low, population), reset(high, population)]
    lows, highs = list(ends), list(ends)
    for threshold in thresholds:
        for place in (threshold - 1, threshold):
            inside = (low <= place) & (place <= high)
            value = reset(np.full_like(low, place), population)
            lows.append(np.where(inside, value, lows[0]))
            highs.append(np.where(inside, value, highs[0]))
    return Interval(low=np.minimum.reduce(lows), high=np.maximum.reduce(highs))


def reset(potential: IntArray, population: Population) -> IntArray:
    """V after one burst of potential M."""
    unit = 1 << population.fraction_bits
    burst = np.clip((potential + unit // 2) >> population.fraction_bits, 0, population.burst_ceiling)
    if population.reset == "soft":
        return potential - burst * unit
    return np.where(burst > 0, 0, potential)
