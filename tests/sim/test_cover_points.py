"""Functional coverage: its counts against plain loops, its proofs against every input there is."""

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest

from hw.configure import configure
from qblif import golden
from qblif.network.nodes import Leak, Pooling, Population
from qblif.streams import from_stream_beats, stream_beats
from sim.cover_points import cover
from sim.coverage import merge
from studies.random_networks import dense_chain
from tests.networks import population_at, random_bursts, random_convolutions, random_plan
from tests.reference import current, scalar_run

SEEDS = range(12)


def potentials(network, population, bursts):
    """Every potential and membrane of one inference, neuron by neuron: (timestep, M, V)."""
    unit = 2**population.fraction_bits
    for c, y, x in np.ndindex(*population.shape):
        membrane = 0
        for t in range(network.timesteps):
            leaked = (population.leak.multiplier * membrane) // 2**population.leak.shift
            potential = leaked + current(network, population, bursts, t, c, y, x)
            burst = min(max((potential + population.rounding_constant) // unit, 0), population.burst_ceiling)
            membrane = potential - burst * unit if population.reset == "soft" or burst == 0 else 0
            yield t, potential, membrane


def counted_neurons(network, population, run, count: Counter) -> None:
    name, unit = population.name, 2**population.fraction_bits
    for t, potential, membrane in potentials(network, population, run.bursts):
        rounding = population.rounding_constant
        count[name, "clamps", "at 0"] += potential < -rounding
        count[name, "clamps", "at K"] += potential >= (population.burst_ceiling + 1) * unit - rounding
        if t < network.timesteps - 1 and population.leak.multiplier:
            count[name, "carried membranes", "negative"] += membrane < 0
            count[name, "carried membranes", "positive"] += membrane > 0
    for membrane in run.membranes[name].reshape(-1):
        count[name, "last membranes", "negative"] += membrane < 0
        count[name, "last membranes", "positive"] += membrane > 0


def counted_windows(layer, run, count: Counter) -> None:
    """Beat after beat of window after window, as the scanner sees them."""
    projection, source = layer.engine, layer.engine.window.source
    window = projection.window
    # A stream of one position carries the whole source as its channels.
    flat = source.height * source.width == 1
    bursts = run.bursts[projection.source]
    bursts = bursts.reshape(len(bursts), -1, 1, 1) if flat else bursts
    steps, channels, height, width = bursts.shape

    def beat(t, y, x, first):
        inside = 0 <= y < height and 0 <= x < width
        wide = range(first, first + source.group)
        return [int(bursts[t, c, y, x]) if inside and c < channels else 0 for c in wide]

    for t, y, x, first in itertools.product(
        range(steps), range(height), range(width), range(0, source.channels, source.group)
    ):
        work = [0] * projection.banks
        for c, burst in enumerate(beat(t, y, x, first)):
            work[c % projection.banks] += burst.bit_count()
            for plane in range(source.burst_bits):
                count[layer.name, "planes", f"bank {c % projection.banks}, plane {plane}"] += burst >> plane & 1
        count[layer.name, "banks", "all work"] += projection.banks > 1 and all(work)
        count[layer.name, "banks", "one waits for another"] += len(set(work)) > 1
    for wy, wx in np.ndindex(window.height, window.width):
        down, across = window.window.rows, window.window.columns
        top, left = wy * down.stride - down.padding, wx * across.stride - across.padding
        any_spike = False
        for begin in range(0, steps, projection.merged_steps):
            seen = [
                any(beat(t, top + ky * down.dilation, left + kx * across.dilation, first))
                for t in range(begin, begin + projection.merged_steps)
                for ky in range(down.kernel)
                for kx in range(across.kernel)
                for first in range(0, source.channels, source.group)
            ]
            *inner, closing = seen
            count[layer.name, "beats", "empty"] += inner.count(False)
            count[layer.name, "beats", "with spikes"] += inner.count(True)
            count[layer.name, "beats", "closing with spikes" if closing else "closing empty"] += 1
            count[layer.name, "beats", "sum of nothing"] += not any(seen)
            any_spike |= any(seen)
        row = {(0, 0): "middle", (1, 0): "top", (0, 1): "bottom", (1, 1): "top and bottom"}
        column = {(0, 0): "centre", (1, 0): "left", (0, 1): "right", (1, 1): "left and right"}
        rows = row[top < 0, top + (down.kernel - 1) * down.dilation >= height]
        columns = column[left < 0, left + (across.kernel - 1) * across.dilation >= width]
        count[layer.name, "windows", f"{rows} {columns}"] += any_spike


def counted_pooling(pooling: Pooling, run, count: Counter) -> None:
    source, size = run.bursts[pooling.source], pooling.kernel
    _, _, rows, columns = run.bursts[pooling.name].shape
    for t, c, y, x in np.ndindex(*run.bursts[pooling.name].shape):
        window = source[t, c, y * size : (y + 1) * size, x * size : (x + 1) * size]
        places = [tuple(place) for place in np.argwhere(window == window.max()).tolist()]
        if pooling.kind == "max" and len(places) == 1:
            count[pooling.name, "maxima", f"row {places[0][0]}, column {places[0][1]} alone"] += 1
        elif pooling.kind == "max" and window.max() > 0:
            count[pooling.name, "maxima", "tied"] += 1
        if pooling.kind == "max" and window.max() == 0:
            count[pooling.name, "maxima", "all 0"] += 1
    for (_, _, y, x), burst in np.ndenumerate(source):
        count[pooling.name, "dropped", "a row"] += burst > 0 and y >= rows * size
        count[pooling.name, "dropped", "a column"] += burst > 0 and x >= columns * size


def counted(network, config, inputs) -> Counter:
    """Everything counted one by one."""
    count: Counter = Counter()
    for run in (scalar_run(network, inference) for inference in inputs):
        for name, bursts in run.bursts.items():
            for t, step in enumerate(bursts):
                for burst in step.reshape(-1).tolist():
                    count[name, "bursts", f"{burst} at t = {t + 1}" if len(bursts) > 1 else str(burst)] += 1
        for node in network.nodes:
            if isinstance(node, Population):
                counted_neurons(network, node, run, count)
            else:
                counted_pooling(node, run, count)
        for name, neurons, _ in config.populations:
            for channel in range(network.shape(name)[0]):
                fired = int((run.bursts[name][:, channel] > 0).sum())
                count[name, "channels", str(channel)] += fired
                count[name, "folds", str(channel // neurons.lanes)] += fired
        count["input", "extremes", "silent"] += not run.bursts["input"].any()
        full = run.bursts["input"] == 2**network.input.bits - 1
        count["input", "extremes", "every burst at its ceiling"] += bool(full.all())
        for layer in config.layers:
            counted_windows(layer, run, count)
        best = max(run.logits)
        count["readout", "class", str(run.logits.index(best))] += 1
        count["readout", "first place", "tied" if run.logits.count(best) > 1 else "alone"] += 1
    return count


def covered(network, seed, inputs):
    config = configure(network, random_plan(network, seed))
    return config, cover(config, network, golden.run(network, inputs))


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_are_those_of_plain_loops(seed):
    network = random_convolutions(seed)
    noise = random_bursts(network, 2, seed, density=0.3)
    inputs = np.concatenate([noise, 0 * noise[:1], np.full_like(noise[:1], network.input.burst_ceiling)])
    config, points = covered(network, seed, inputs)
    wanted = counted(network, config, inputs)
    got = {(point.place, point.kind, name): hits for point in points for name, hits in point.counts.items()}
    assert {key: hits for key, hits in got.items() if hits} == {key: hits for key, hits in wanted.items() if hits}


@pytest.mark.parametrize("seed", SEEDS)
def test_beats_become_bursts_again(seed):
    network = random_convolutions(seed)
    config = configure(network, random_plan(network, seed))
    for name, bursts in golden.run(network, random_bursts(network, 2, seed)).bursts.items():
        beats = stream_beats(bursts.numpy(), config.stream(name))
        assert (from_stream_beats(beats, network.shape(name), config.stream(name)) == bursts.numpy()).all()


@pytest.mark.parametrize("seed", range(20))
def test_what_is_proved_unreachable_is_reached_by_no_input(seed):
    """All 64 inputs of a layer of three neurons; the largest burst of each channel is reached, so bounds are exact."""
    network = dense_chain(seed, sizes=(3, 3, 2), timesteps=1, fraction_bits=6, weight_bits=3, burst_ceiling=5)
    inputs = np.array(list(itertools.product(range(4), repeat=3))).reshape(-1, 1, 3, 1, 1)
    points = covered(network, seed, inputs)[1]
    assert not [point for point in points if point.wrongly_unreachable]
    by_name = {(point.place, point.kind): point for point in points}
    assert not by_name["hidden_0", "channels"].holes
    assert not by_name["hidden_0", "clamps"].holes
    bursts = by_name["hidden_0", "bursts"]
    most = max(int(name) for name, hits in bursts.counts.items() if hits)
    assert all(str(burst) in bursts.unreachable for burst in range(most + 1, 6))


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_called_unreachable_that_comes_at_a_later_timestep(seed):
    network = dense_chain(seed, sizes=(3, 3, 2), timesteps=3, fraction_bits=6, weight_bits=3, leak=(1, 0))
    inputs = np.array(list(itertools.product(range(4), repeat=3))).reshape(-1, 1, 3, 1, 1)
    assert not [point for point in covered(network, seed, inputs)[1] if point.wrongly_unreachable]


def test_something_is_unreachable_and_something_a_hole():
    network = dense_chain(1, sizes=(4, 3, 2), timesteps=2, burst_ceiling=3)
    population = population_at(network, 0)
    deaf = dataclasses.replace(population, bias=np.array([-10_000, 40, 40]))
    network = dataclasses.replace(network, nodes=(deaf,))
    points = covered(network, 1, np.zeros((1, 1, 4, 1, 1), dtype=np.int64))[1]
    by_name = {(point.place, point.kind): point for point in points}
    assert set(by_name["hidden_0", "channels"].unreachable) == {"0"}
    assert by_name["input", "extremes"].holes == ("every burst at its ceiling",)
    assert by_name["input", "bursts"].holes == ("1", "2", "3")


def test_runs_add_up():
    network = dense_chain(3)
    inputs = random_bursts(network, 4)
    config, whole = covered(network, 3, inputs)
    parts = [cover(config, network, golden.run(network, part)) for part in (inputs[:1], inputs[1:])]
    assert [point.counts for point in merge(parts)] == [point.counts for point in whole]


@pytest.mark.parametrize("seed", range(4))
def test_states_at_their_limits(seed):
    membrane_limits, current_limits = (-20, 10), (-400, 60)
    network = dense_chain(
        seed, timesteps=4, coding="events", membrane_limits=membrane_limits, current_leak=Leak(multiplier=3, shift=2),
        current_limits=current_limits,
    )  # fmt: skip
    inputs = random_bursts(network, 3, seed)
    by_name = {(point.place, point.kind): point for point in covered(network, seed, inputs)[1]}
    states = np.stack([scalar_run(network, one).states["hidden_0"] for one in inputs])
    for field, kind, limits in ((0, "membrane limits", membrane_limits), (1, "current limits", current_limits)):
        point = by_name["hidden_0", kind]
        assert list(point.counts.values()) == [int((states[:, :, field] == limit).sum()) for limit in limits]
        assert point.counts["high"] > 0
        assert not point.wrongly_unreachable
    assert by_name["hidden_0", "membrane limits"].counts["low"] > 0
