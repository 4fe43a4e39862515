"""The hardware of converted neurons against the spikes of the frameworks' own modules."""

from dataclasses import replace
from importlib.util import find_spec

import pytest

from hw.configure import configure
from hw.top import NetworkTop
from qblif.streams import stream_beats
from studies.frameworks.comparison import framework_case
from studies.frameworks.neurons import DYADIC
from studies.plan_edits import plan_for
from tests.hw.streams import get, put, run
from tests.networks import logits_in, random_plan

NEURONS = {neuron.name: neuron for neuron in DYADIC}


def case_of(name):
    framework = NEURONS[name].framework
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: pip install 'qblif[frameworks]'")
    return framework_case(NEURONS[name])


def check(case, plan, pause=0.0):
    """Every burst of the neurons, and their sums in the readout, are what the framework's module sends."""
    config = configure(case.network, plan)
    dut = NetworkTop(config, taps=True)
    frames = config.framed(case.bursts[None])
    beats = [beat for frame in stream_beats(frames, config.input).tolist() for beat in frame]
    expected = stream_beats(config.framed(case.spikes[None]), config.stream("neurons"))
    counts = case.spikes.sum(0).ravel().tolist()
    results: list[int] = []
    tapped: list[list[int]] = []

    async def producer(ctx):
        await put(ctx, dut.bursts, beats, pause)

    async def consumer(ctx):
        results.extend(await get(ctx, dut.results, config.readout.beats, pause))

    async def watcher(ctx):
        tap = dut.tap_neurons
        async for _, _, transferred, beat in ctx.tick().sample(tap.transferred, tap.bursts):
            if transferred:
                tapped.append(list(beat))

    run(dut, producer, consumer, background=[watcher])
    assert tapped == expected.reshape(-1, expected.shape[2]).tolist()
    assert logits_in(results, config.readout) == counts


@pytest.mark.parametrize("name", NEURONS)
def test_every_spike_is_the_framework_s(name):
    case = case_of(name)
    check(case, plan_for(case.network))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["position_major", "time_major"])
@pytest.mark.parametrize("name", NEURONS)
def test_every_spike_is_the_framework_s_in_any_plan_under_stalls(name, schedule):
    case = case_of(name)
    check(case, random_plan(case.network, len(name), schedule), pause=0.3)


def test_another_rounding_constant_is_seen():
    """Of a neuron that fires only above its threshold, made to fire at it."""
    case = case_of("snntorch Leaky(beta=1.0, threshold=0.75, reset_mechanism=zero)")
    (population,) = case.network.populations
    assert population.rounding == -1
    network = replace(case.network, nodes=(replace(population, rounding=0),))
    with pytest.raises(AssertionError, match="assert "):
        check(replace(case, network=network), plan_for(network))
