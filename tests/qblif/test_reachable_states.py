"""Every state that a neuron or a readout can reach, by brute force, against the bounds that its registers have."""

from collections.abc import Iterable

import numpy as np
import pytest

from qblif.network.bounds import integral_bounds, neuron_bounds
from qblif.network.intervals import Interval
from qblif.network.nodes import Leak, Limits, Population, Readout
from tests.reference import advance, leaked, limited

LEAKS = {"keeps": Leak(multiplier=1, shift=0), "forgets": Leak(multiplier=0, shift=1), "1/2": Leak(),
         "3/4": Leak(multiplier=3, shift=2), "7/8": Leak(multiplier=7, shift=3)}  # fmt: skip
CURRENTS = [(-9, 14), (-20, -3), (5, 30), (-13, 0)]
STEPS = 3


def neuron_of(**options: object) -> Population:
    """One neuron with thresholds 4 apart."""
    zeros = np.zeros(1, dtype=np.int64)
    fields: dict = {"name": "one", "shape": (1, 1, 1), "fraction_bits": 2, "burst_ceiling": 2, "leak": LEAKS["3/4"],
                    "reset": "soft", "rounding": 0, "bias": zeros, "exponent": zeros}  # fmt: skip
    return Population(**fields | options)


def readout_of(leak: str | None, limits: Limits | None) -> Readout:
    """A readout of one class."""
    zeros = np.zeros(1, dtype=np.int64)
    return Readout(fraction_bits=2, bias=zeros, exponent=zeros, leak=None if leak is None else LEAKS[leak],
                   limits=limits)  # fmt: skip


def interval(values: Iterable[int]) -> Interval:
    """The smallest interval that holds all values."""
    found = set(values)
    return Interval(low=np.array([min(found)]), high=np.array([max(found)]))


def ends(bounds: Interval) -> tuple[int, int]:
    """Both ends of the interval of one channel."""
    return int(bounds.low[0]), int(bounds.high[0])


def reachable(neuron: Population, current: range, steps: int | None) -> dict[str, Interval]:
    """What each register of the neuron can hold after any ``current`` at each of the timesteps; None for endless time,
    until no state is new."""
    seen: dict[str, set[int]] = {"summed": set(), "synaptic": set(), "potential": set(), "membrane": {0}}
    known, latest, step = {(0, 0)}, {(0, 0)}, 0
    while latest and step != steps:
        before, latest, step = latest, set(), step + 1
        for membrane, synaptic in before:
            for value in current:
                _, state = advance(neuron, value, (membrane, synaptic))
                latest.add(state)
                leak = neuron.current_leak
                seen["summed"].add(value if leak is None else leaked(synaptic, leak) + value)
                entering = value if leak is None else state[1]
                seen["synaptic"].add(entering)
                seen["potential"].add(leaked(membrane, neuron.leak) + entering)
                seen["membrane"].add(state[0])
        if steps is None:
            latest -= known
            known |= latest
    return {name: interval(values) for name, values in seen.items()}


@pytest.mark.parametrize("current", CURRENTS)
@pytest.mark.parametrize("limits", [None, (-6, 3), (0, 5), (-40, 0)])
@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("leak", ["keeps", "3/4"])
def test_a_window_reaches_the_bounds_of_its_membrane(leak, reset, limits, current):
    neuron = neuron_of(leak=LEAKS[leak], reset=reset, membrane_limits=limits)
    bounds = neuron_bounds(Interval(low=np.array(current[:1]), high=np.array(current[1:])), neuron, STEPS)
    found = reachable(neuron, range(current[0], current[1] + 1), STEPS)
    assert {name: ends(getattr(bounds, name)) for name in found} == {name: ends(one) for name, one in found.items()}


@pytest.mark.parametrize("current", CURRENTS)
@pytest.mark.parametrize("limits", [None, (-12, 7), (-50, 0)])
@pytest.mark.parametrize("leak", ["keeps", "3/4", "7/8"])
def test_a_window_reaches_the_bounds_of_its_synaptic_current(leak, limits, current):
    """The potential depends on V and J, which know of each other, so its bounds need not be reached."""
    neuron = neuron_of(current_leak=LEAKS[leak], current_limits=limits, membrane_limits=(-30, 30))
    bounds = neuron_bounds(Interval(low=np.array(current[:1]), high=np.array(current[1:])), neuron, STEPS)
    found = reachable(neuron, range(current[0], current[1] + 1), STEPS)
    for name in ("summed", "synaptic"):
        assert ends(getattr(bounds, name)) == ends(found[name])
    for name in ("potential", "membrane"):
        assert getattr(bounds, name).contains(found[name])


SUMS = [(leak, steps) for leak in ("forgets", "1/2", "3/4", "7/8", None) for steps in (STEPS, None)]


@pytest.mark.parametrize("current", CURRENTS)
@pytest.mark.parametrize("limits", [None, (-30, 25)])
@pytest.mark.parametrize(("leak", "steps"), [(leak, steps) for leak, steps in SUMS if leak or steps])
def test_sums_of_a_readout(leak, steps, limits, current):
    """Over a window both bounds are reached; over endless time the lower one is, and the upper one is near."""
    readout = readout_of(leak, limits)
    bounds = integral_bounds(Interval(low=np.array(current[:1]), high=np.array(current[1:])), readout, steps)
    summed, after = {0}, {0}
    for value in current:
        total = 0
        for _ in range(STEPS if steps else 200):
            summed.add((leaked(total, LEAKS[leak]) if leak else total) + value)
            total = limited((leaked(total, LEAKS[leak]) if leak else total) + value, limits)
            after.add(total)
    room = 0 if steps else 2 ** LEAKS[leak].shift
    for bound, seen in ((bounds.summed, summed), (bounds.limited, after)):
        low, high = ends(bound)
        assert min(low, 0) == min(seen)
        assert max(seen) <= max(high, 0) <= max(seen) + room


def test_limits_alone_bound_an_endless_sum():
    bounds = integral_bounds(Interval(low=np.array([-9]), high=np.array([14])), readout_of(None, (-30, 25)), None)
    assert ends(bounds.limited) == (-30, 25)
    assert ends(bounds.summed) == (-39, 39)


@pytest.mark.parametrize("current", CURRENTS)
@pytest.mark.parametrize("limits", [None, (-6, 3), (-40, 0)])
@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("leak", ["forgets", "1/2", "3/4", "7/8"])
def test_endless_bounds_of_a_membrane(leak, reset, limits, current):
    """Nothing leaves them, and the lower end is reached."""
    neuron = neuron_of(leak=LEAKS[leak], reset=reset, membrane_limits=limits)
    bounds = neuron_bounds(Interval(low=np.array(current[:1]), high=np.array(current[1:])), neuron, None)
    found = reachable(neuron, range(current[0], current[1] + 1), None)
    for name, one in found.items():
        assert getattr(bounds, name).contains(one)
    assert ends(bounds.membrane)[0] == ends(found["membrane"])[0]


@pytest.mark.parametrize("current", CURRENTS)
@pytest.mark.parametrize("limits", [None, (-12, 7)])
@pytest.mark.parametrize(("current_leak", "leak"), [("1/2", "3/4"), ("3/4", "1/2")])
def test_endless_bounds_are_inductive(current_leak, leak, limits, current):
    """From whatever state inside them, any current leads to a state inside them."""
    neuron = neuron_of(leak=LEAKS[leak], current_leak=LEAKS[current_leak], current_limits=limits, burst_ceiling=5)
    bounds = neuron_bounds(Interval(low=np.array(current[:1]), high=np.array(current[1:])), neuron, None)
    membranes = range(ends(bounds.membrane)[0], ends(bounds.membrane)[1] + 1)
    synaptics = range(min(0, ends(bounds.synaptic)[0]), max(0, ends(bounds.synaptic)[1]) + 1)
    assert 0 in membranes
    states = {
        advance(neuron, value, (membrane, synaptic))[1]
        for membrane in membranes
        for synaptic in synaptics
        for value in {current[0], current[1], *range(-1, 2)} & set(range(current[0], current[1] + 1))
    }
    assert {membrane for membrane, _ in states} <= set(membranes)
    assert {synaptic for _, synaptic in states} <= set(synaptics)
