"""What a network may reach: nothing of 62 bits wraps, and what could is refused."""

import dataclasses
from typing import Any, Literal

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.configure import configure
from hw.neurons.core import NeuronCore
from qblif import golden
from qblif.network.bounds import layer_bounds, merged_bounds, neuron_bounds
from qblif.network.checks import NetworkError
from qblif.network.graph import Network
from qblif.network.intervals import Interval, signed_bits
from qblif.network.nodes import InputSpec, Leak, Population, Readout
from qblif.network.projections import Dense, Skip
from studies.plan_edits import plan_for
from tests.networks import population_at, population_stage, weighted_at
from tests.reference import scalar_run, update

FINEST = Leak(multiplier=65535, shift=16)


def one_neuron(bias: int, timesteps: int, *, leak: Leak = FINEST, reset: Literal["soft", "hard"] = "soft") -> Network:
    """An input, a neuron with a bias and a readout that counts its bursts."""
    return Network(
        timesteps=timesteps,
        input=InputSpec(shape=(1, 1, 1), coding="direct", bits=1),
        nodes=(
            Population(
                name="hidden",
                shape=(1, 1, 1),
                fraction_bits=8,
                burst_ceiling=1,
                leak=leak,
                reset=reset,
                bias=np.array([bias]),
                exponent=np.array([0]),
            ),
        ),
        projections=(
            Dense(source="input", target="hidden", weights=np.array([[1]]), weight_bits=2),
            Dense(source="hidden", target="readout", weights=np.array([[1]]), weight_bits=2),
        ),
        readout=Readout(fraction_bits=1, bias=np.array([0]), exponent=np.array([0])),
    )


def path(neuron: Population, current: int, timesteps: int) -> list[tuple[int, int]]:
    """Burst and membrane of a neuron into which ``current`` flows at every timestep, in Python's integers."""
    steps, membrane = [], 0
    for _ in range(timesteps):
        count, membrane = update(neuron, current, membrane)
        steps.append((count, membrane))
    return steps


def product_bits(neuron: Population, current: int, timesteps: int) -> int:
    """Width of the widest product of leak and membrane on that path; the last membrane is not multiplied."""
    carried = [membrane for _, membrane in path(neuron, current, timesteps)[:-1]]
    return max(signed_bits(neuron.leak.multiplier * membrane) for membrane in carried)


def last_bias_within(bits: int, sign: int, timesteps: int, **options: Any) -> int:
    """The bias furthest from 0 whose product of leak and membrane fits ``bits`` bits for both inputs."""
    neuron = population_at(one_neuron(0, timesteps, **options), 0)
    fits, wraps = 0, 2**40
    while wraps - fits > 1:
        middle = (fits + wraps) // 2
        currents = (sign * middle, sign * middle + 1)
        inside = max(product_bits(neuron, current, timesteps) for current in currents) <= bits
        fits, wraps = (middle, wraps) if inside else (fits, middle)
    return sign * fits


def test_a_product_of_leak_and_membrane_beyond_62_bits_is_refused():
    with pytest.raises(NetworkError, match=r"^hidden: .* 66 bits, and 62 is most"):
        one_neuron(2**39 - 1, 1000)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("timesteps", "leak"), [(1000, FINEST), (40, FINEST), (64, Leak(multiplier=2**16, shift=16))])
def test_the_last_network_within_62_bits_is_exact(sign, timesteps, leak):
    bias = last_bias_within(62, sign, timesteps, leak=leak)
    with pytest.raises(NetworkError, match="63 bits"):
        one_neuron(bias + sign, timesteps, leak=leak)
    network = one_neuron(bias, timesteps, leak=leak)
    neuron = population_at(network, 0)
    for burst in (0, 1):
        bursts, membranes = zip(*path(neuron, bias + burst, timesteps), strict=True)
        result = golden.run(network, np.full((1, 1, 1, 1, 1), burst))
        assert result.bursts["hidden"].flatten().tolist() == list(bursts)
        assert int(result.membranes["hidden"]) == membranes[-1]
        assert int(result.logits) == sum(bursts)
        bounds = layer_bounds(network, neuron)
        assert bounds.membrane.low[0] <= min(membranes) <= max(membranes) <= bounds.membrane.high[0]
    extreme = path(neuron, bias + (sign > 0), timesteps)
    assert layer_bounds(network, neuron).membrane.bits == max(signed_bits(membrane) for _, membrane in extreme)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_hardware_of_the_last_network_within_62_bits_is_exact(sign):
    timesteps = 40
    network = one_neuron(last_bias_within(62, sign, timesteps), timesteps)
    config = population_stage(configure(network, plan_for(network)).stages[0]).bank
    dut, got = NeuronCore(config), []

    async def process(ctx):
        ctx.set(dut.advance, 1)
        ctx.set(dut.constants, {"bias": config.bias[0]})
        ctx.set(dut.sum, 1)
        for step in range(timesteps):
            ctx.set(dut.first, step == 0)
            for _ in range(dut.config.burst_latency):
                await ctx.tick()
            got.append((ctx.get(dut.burst), ctx.get(dut.next_membrane)))
            ctx.set(dut.membrane, got[-1][1])

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run()
    assert got == path(population_at(network, 0), config.bias[0] + 1, timesteps)


def test_what_fits_stays_allowed_however_large_its_crude_bound():
    """A hard reset, or a small leak, keeps the membrane small under a bias near the limit."""
    changes: tuple[dict[str, Any], ...] = ({"reset": "hard"}, {"leak": Leak(multiplier=1, shift=16)})
    for options in changes:
        network = one_neuron(2**39 - 1, 1000, **options)
        (count, membrane), *_ = reversed(path(population_at(network, 0), 2**39, 1000))
        result = golden.run(network, np.ones((1, 1, 1, 1, 1), dtype=np.int64))
        assert (int(result.logits), int(result.membranes["hidden"])) == (1000 * count, membrane)


NEURONS = st.builds(
    lambda fraction, ceiling, shift, part, kind: dataclasses.replace(
        population_at(one_neuron(0, 1), 0),
        fraction_bits=fraction,
        burst_ceiling=ceiling,
        leak=Leak(multiplier=round(part * 2**shift), shift=shift),
        reset=kind,
    ),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(0, 16),
    st.floats(0, 1),
    st.sampled_from(["soft", "hard"]),
)


@settings(max_examples=80, deadline=None)
@given(neuron=NEURONS, low=st.integers(-40, 40), span=st.integers(0, 12), timesteps=st.integers(1, 4))
def test_bounds_of_neurons_are_those_of_all_currents(neuron, low, span, timesteps):
    """Every current at every timestep, by brute force. Bounds are exact until a reset leaves gaps between membranes."""
    bounds = neuron_bounds(Interval(low=np.array([low]), high=np.array([low + span])), neuron, timesteps)
    membranes, potentials, products = {0}, set(), set()
    every_membrane = {0}
    for _ in range(timesteps):
        products |= {neuron.leak.multiplier * membrane for membrane in membranes}
        arriving = {(neuron.leak.multiplier * membrane) >> neuron.leak.shift for membrane in membranes}
        now = {leaked + current for leaked in arriving for current in range(low, low + span + 1)}
        membranes = {update(neuron, potential, 0)[1] for potential in now}
        potentials |= now
        every_membrane |= membranes
    for interval, values in (
        (bounds.potential, potentials),
        (bounds.membrane, every_membrane),
        (bounds.product, products),
    ):
        assert interval.low[0] <= min(values)
        assert max(values) <= interval.high[0]
    if timesteps <= 2:
        assert (bounds.potential.low[0], bounds.potential.high[0]) == (min(potentials), max(potentials))
        assert (bounds.product.low[0], bounds.product.high[0]) == (min(products), max(products))


@settings(max_examples=50, deadline=None)
@given(
    scale=st.integers(2**30, 2**44), low=st.integers(-30, 30), span=st.integers(0, 30), timesteps=st.integers(1, 1024),
    kind=st.sampled_from(["soft", "hard"]),
)  # fmt: skip
def test_int64_and_python_integers_give_the_same_bounds(scale, low, span, timesteps, kind):
    """Where int64 could wrap the bounds hold Python integers, and they are those of the exact path at either end."""
    neuron = dataclasses.replace(population_at(one_neuron(0, 1), 0), reset=kind)
    low, high = low * scale, (low + span) * scale
    bounds = neuron_bounds(Interval(low=np.array([low]), high=np.array([high])), neuron, timesteps)
    lowest = [membrane for _, membrane in path(neuron, low, timesteps)]
    highest = [membrane for _, membrane in path(neuron, high, timesteps)]
    assert int(bounds.membrane.low[0]) <= min(0, *lowest, *highest)
    assert int(bounds.membrane.high[0]) >= max(0, *lowest, *highest)
    if high < 0:
        assert int(bounds.membrane.low[0]) == min(lowest)
    if low > 0 and kind == "soft":
        assert int(bounds.membrane.high[0]) == max(highest)


def test_sums_over_all_timesteps_are_bounded():
    """A readout adds its bias and its currents T times."""
    network = one_neuron(0, 1024)
    for bias, allowed in ((2**39, True), (2**40 - 1, False)):
        readout = dataclasses.replace(network.readout, bias=np.array([bias]))
        if not allowed:
            with pytest.raises(NetworkError, match="2\\^50"):
                dataclasses.replace(network, readout=readout)
            continue
        wide = dataclasses.replace(network, readout=readout)
        assert int(golden.run(wide, np.zeros((1, 1, 1, 1, 1), dtype=np.int64)).logits) == 1024 * bias
        assert merged_bounds(wide, readout).current.high[0] == 1024 * (bias + 1)


@pytest.mark.parametrize("bias", [2**40, -(2**40), 2**63 - 1, -(2**63)])
def test_a_bias_beyond_its_limit_is_refused(bias):
    with pytest.raises(NetworkError, match="bias is beyond"):
        one_neuron(bias, 1)


def test_integers_that_int64_does_not_hold_are_refused():
    with pytest.raises(NetworkError, match="2\\^63"):
        Dense(source="input", target="readout", weights=np.array([[2**64 - 1]], dtype=np.uint64), weight_bits=2)


def test_weights_exponents_and_skips_count_as_sums_do():
    """Each alone takes a network over 2^50: 2^15 * 2^32 * 15, and a skip's 2^47 * 15."""
    network = one_neuron(0, 1)
    hidden, last = weighted_at(network, 0), weighted_at(network, 1)
    wide = dataclasses.replace(hidden, weights=np.array([[2**15 - 1]]), weight_bits=16)
    shifted = dataclasses.replace(population_at(network, 0), exponent=np.array([32]))
    spec = dataclasses.replace(network.input, bits=4)
    with pytest.raises(NetworkError, match="hidden: its sums could reach beyond 2\\^50"):
        dataclasses.replace(network, input=spec, nodes=(shifted,), projections=(wide, last))
    # Only one of two inputs may spike, so weights of opposite signs do not cancel.
    pair = dataclasses.replace(spec, shape=(2, 1, 1))
    opposed = dataclasses.replace(wide, weights=np.array([[2**15 - 1, 1 - 2**15]]))
    with pytest.raises(NetworkError, match="hidden: its sums could reach beyond 2\\^50"):
        dataclasses.replace(network, input=pair, nodes=(shifted,), projections=(opposed, last))
    skip = Skip(source="input", target="hidden", weight=-(2**47))
    with pytest.raises(NetworkError, match="hidden: its sums could reach beyond 2\\^50"):
        dataclasses.replace(network, input=spec, projections=(hidden, skip, last))
    allowed = dataclasses.replace(network, projections=(hidden, skip, last))
    result = golden.run(allowed, np.ones((1, 1, 1, 1, 1), dtype=np.int64))
    assert int(result.membranes["hidden"]) == 1 - 2**47
    inference = scalar_run(allowed, np.ones((1, 1, 1, 1), dtype=np.int64))
    assert result.membranes["hidden"].flatten().tolist() == inference.membranes["hidden"].flatten().tolist()
