"""Functional coverage of a population's neurons."""

import numpy as np

from hw.coverage import ComputedRun, CoverPoint, total
from hw.neurons.config import NeuronConfig
from qblif.network.bounds import LayerBounds, bursts_of, layer_bounds
from qblif.network.checks import IntArray
from qblif.network.intervals import Interval
from qblif.network.nodes import Limits, Population


def neuron_points(name: str, neurons: NeuronConfig, run: ComputedRun) -> list[CoverPoint]:
    """Cover points of the population ``name``: clamps, membranes, limits, and which channels and folds fired."""
    population = run.network.node(name)
    assert isinstance(population, Population)
    bounds, potentials, membranes = layer_bounds(run.network, population), run.potentials[name], run.membranes[name]
    rounding, unit = population.rounding_constant, 1 << population.fraction_bits
    saturated = (population.burst_ceiling + 1) * unit - rounding
    clamped = np.stack([total(potentials < -rounding), total(potentials >= saturated)], axis=1)
    fired = (run.bursts[name] > 0).sum(axis=(1, 3, 4))
    dead = bursts_of(bounds.potential, population).high == 0
    channels = tuple(str(channel) for channel in range(population.shape[0]))
    silent = dict.fromkeys(np.array(channels)[dead], "its bursts are 0 for every input, by interval analysis")
    folds = np.arange(len(channels)) // neurons.lanes
    points = [
        CoverPoint(
            place=name,
            kind="clamps",
            bins=("at 0", "at K"),
            hits=clamped,
            unreachable=unclamped(bounds, -rounding, saturated),
        ),
        CoverPoint(place=name, kind="channels", bins=channels, hits=fired, unreachable=silent),
        CoverPoint(
            place=name,
            kind="folds",
            bins=tuple(str(fold) for fold in range(neurons.folds)),
            hits=np.stack([fired[:, folds == fold].sum(axis=1) for fold in range(neurons.folds)], axis=1),
            unreachable={
                str(fold): "none of its channels can fire" for fold in range(neurons.folds) if dead[folds == fold].all()
            },
        ),
        membrane_signs(name, "last membranes", membranes[:, -1], bounds),
    ]
    if membranes.shape[1] > 1 and population.leak.multiplier:
        points.append(membrane_signs(name, "carried membranes", membranes[:, :-1], bounds))
    if population.membrane_limits is not None:
        points.append(at_limits(name, "membrane limits", membranes, population.membrane_limits, bounds.membrane))
    if population.current_limits is not None:
        synaptics = run.synaptics[name]
        points.append(at_limits(name, "current limits", synaptics, population.current_limits, bounds.synaptic))
    return points


def at_limits(name: str, kind: str, states: IntArray, limits: Limits, bounds: Interval) -> CoverPoint:
    """States at either of their limits."""
    low, high = int(bounds.low.min()), int(bounds.high.max())
    reason = f"states are {low} to {high} for every input, by interval analysis"
    return CoverPoint(
        place=name,
        kind=kind,
        bins=("low", "high"),
        hits=np.stack([total(states == limit) for limit in limits], axis=1),
        unreachable={end: reason for end, missed in (("low", low > limits[0]), ("high", high < limits[1])) if missed},
    )


def unclamped(bounds: LayerBounds, lowest: int, saturated: int) -> dict[str, str]:
    """The clamps that no potential can reach."""
    low, high = int(bounds.potential.low.min()), int(bounds.potential.high.max())
    reason = f"potentials are {low} to {high} for every input, by interval analysis"
    return {name: reason for name, needed in (("at 0", low < lowest), ("at K", high >= saturated)) if not needed}


def membrane_signs(name: str, kind: str, membranes: IntArray, bounds: LayerBounds) -> CoverPoint:
    """Negative and positive membranes: those carried into the next timestep, or left when an inference is over."""
    low, high = int(bounds.membrane.low.min()), int(bounds.membrane.high.max())
    reason = f"membranes are {low} to {high} for every input, by interval analysis"
    return CoverPoint(
        place=name,
        kind=kind,
        bins=("negative", "positive"),
        hits=np.stack([total(membranes < 0), total(membranes > 0)], axis=1),
        unreachable={sign: reason for sign, there in (("negative", low < 0), ("positive", high > 0)) if not there},
    )
