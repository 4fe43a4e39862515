"""Whole random networks in Amaranth's simulator against the scalar statement of the integer form."""

import dataclasses
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw.configuration import TopConfig
from hw.configure import configure
from hw.stages.queues import SLACK_ROWS
from hw.top import NetworkTop
from qblif.errors import UserError
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Skip
from qblif.streams import stream_beats
from studies.plan_edits import altered, engine_plan, plan_for, queued
from studies.random_networks import dense_chain
from tests.hw.streams import get, put, run
from tests.networks import logits_in, population_stage, random_bursts, random_convolutions, random_plan
from tests.reference import scalar_run


def check(network, plan, *, count: int = 4, pauses=(0.3, 0.3), density: float = 0.5, seed: int = 0) -> None:
    """Run ``count`` samples through the top and compare bursts, states, logits and classes; those of a stream follow
    each other without a reset."""
    config = configure(network, plan)
    dut = NetworkTop(config, taps=True)
    bursts = random_bursts(network, count, seed, density)
    if network.mode == "stream":
        bursts = bursts.reshape(1, -1, *bursts.shape[2:])
    frames = config.framed(bursts)
    beats = [beat for frame in stream_beats(frames, config.input).tolist() for beat in frame]
    classes = config.readout.beats
    results: list[int] = []
    tapped: dict[str, list[list[int]]] = {stage.name: [] for stage in config.stages if stage.output is not None}
    membranes: dict[str, list[Any]] = {name: [] for name, _, _ in config.populations}

    async def producer(ctx):
        await put(ctx, dut.bursts, beats, pauses[0])

    async def consumer(ctx):
        results.extend(await get(ctx, dut.results, len(frames) // config.frames * classes, pauses[1]))
        # Rows that pooling drops and rows that no window needs may still be on their way.
        while any(len(found) < len(frames) * config.stream(name).beats_per_inference for name, found in tapped.items()):
            await ctx.tick()

    def watch(tap, found):
        async def watcher(ctx):
            async for _, _, transferred, beat in ctx.tick().sample(tap.transferred, tap.bursts):
                if transferred:
                    found.append(list(beat))

        return watcher

    def watch_membranes(tap, found):
        async def watcher(ctx):
            async for _, _, written, last, values in ctx.tick().sample(tap.written, tap.last_step, tap.membranes):
                if written and last:
                    found.extend(one if isinstance(one, int) else (one.membrane, one.synaptic) for one in values)

        return watcher

    watchers = [watch(getattr(dut, f"tap_{name}"), found) for name, found in tapped.items()]
    watchers += [watch_membranes(getattr(dut, f"membranes_{name}"), found) for name, found in membranes.items()]
    run(dut, producer, consumer, background=watchers)

    wanted = [scalar_run(network, inference) for inference in bursts]
    shape = dut.results.payload.shape()
    got = [shape.from_bits(word) for word in results]
    logits = [result for run in wanted for result in (run.results if network.mode == "stream" else run.results[-1:])]
    assert logits_in(results, config.readout) == [logit for result in logits for logit in result]
    for number, result in enumerate(logits):
        last = got[(number + 1) * classes - 1]
        assert (last.last, last.winner) == (1, result.index(max(result)))
    for name, found in tapped.items():
        sent = config.framed(np.stack([inference.bursts[name] for inference in wanted]))
        expected = stream_beats(sent, config.stream(name))
        assert found == expected.reshape(-1, expected.shape[2]).tolist(), name
    for name, target, stream in config.populations:
        states = np.stack([inference.states[name] for inference in wanted])
        states = states.reshape(-1, *states.shape[2:]) if plan.schedule == "time_major" else states[:, -1]
        shape = (len(frames), stream.height, stream.width, target.folds * target.lanes, states.shape[1])
        ours = np.array(membranes[name]).reshape(shape)
        assert (ours[..., : states.shape[2], :] == states.transpose(0, 3, 4, 2, 1)).all(), name


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.6, 0.0), (0.0, 0.7), (0.3, 0.3)])
def test_planned_network_under_stalls(pauses):
    network = dense_chain(1, sizes=(20, 16, 8, 4))
    check(network, plan_for(network), pauses=pauses)


@pytest.mark.parametrize(
    ("hidden_0", "hidden_1", "readout"),
    [
        ({"lanes": 8, "cores": 8, "group": 8}, {}, {}),
        ({"lanes": 4, "cores": 2, "group": 4}, {}, {}),
        ({"lanes": 3, "cores": 1, "group": 3}, {"lanes": 2, "cores": 1, "group": 1}, {}),
        ({"lanes": 1, "cores": 1, "group": 1}, {"lanes": 6, "cores": 3, "group": 6}, {"lanes": 2}),
        ({"lanes": 5, "cores": 5, "group": 5}, {"lanes": 4, "cores": 4, "group": 4}, {"lanes": 3}),
    ],
)
def test_lanes_folds_cores_and_groups(hidden_0, hidden_1, readout):
    network = dense_chain(2, sizes=(10, 8, 6, 4), timesteps=3)
    check(network, plan_for(network, hidden_0=hidden_0, hidden_1=hidden_1, readout=readout))


def test_direct_input_into_the_readout():
    network = dense_chain(3, sizes=(9, 4), timesteps=3)
    check(network, plan_for(network))


def test_events_input():
    network = dense_chain(4, sizes=(9, 6, 4), timesteps=3, coding="events")
    check(network, plan_for(network, hidden_0={"lanes": 3, "cores": 1, "group": 3}))


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_silent_and_saturated_inputs(density):
    network = dense_chain(5, sizes=(9, 6, 4))
    check(network, plan_for(network), density=density)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    timesteps=st.integers(1, 4),
    burst_ceiling=st.sampled_from([1, 2, 3, 5, 7]),
    weight_bits=st.sampled_from([1, 2, 4, 6]),
    input_bits=st.integers(1, 4),
    leak=st.sampled_from([(1, 1), (0, 1), (1, 0), (3, 2)]),
    reset=st.sampled_from(["soft", "hard"]),
    coding=st.sampled_from(["direct", "events"]),
    lanes=st.integers(1, 9),
)
def test_random_networks(lanes, sizes, **options):
    network = dense_chain(sizes=tuple(sizes), **options)
    changes = {name: {"lanes": lanes, "cores": 1, "group": 1} for name in (p.name for p in network.nodes)}
    check(network, plan_for(network, **changes), count=2, seed=options["seed"])


def check_random(seed: int) -> None:
    """A random network under a random plan, with and without stalls."""
    network = random_convolutions(seed)
    check(network, random_plan(network, seed), count=2, seed=seed, pauses=((0.0, 0.0), (0.3, 0.3))[seed % 2])


SEEDS = st.integers(0, 10**9)
RANDOM: dict[str, Any] = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=8, **RANDOM)
@given(seed=SEEDS)
def test_random_networks_of_every_kind(seed):
    check_random(seed)


@pytest.mark.slow
@settings(max_examples=200, **RANDOM)
@given(seed=SEEDS)
def test_two_hundred_random_networks_of_every_kind(seed):
    check_random(seed)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((7, 7), 2, 3), ((5, 3), 1, 2), ((1, 7), 1, 0), ((6, 6), 3, 1)]
)
def test_large_kernels(kernel, stride, padding):
    numbers = np.random.default_rng(4)
    height, width = ((extent + 2 * padding - k) // stride + 1 for extent, k in zip((8, 9), kernel, strict=True))
    population = Population(
        name="conv",
        shape=(5, height, width),
        fraction_bits=5,
        burst_ceiling=3,
        leak=Leak(multiplier=3, shift=2),
        reset="soft",
        bias=numbers.integers(-20, 30, 5),
        exponent=np.zeros(5, dtype=np.int64),
    )
    network = Network(
        timesteps=2,
        input=InputSpec(shape=(2, 8, 9), coding="events", bits=2),
        nodes=(population,),
        projections=(
            Conv2d(
                source="input",
                target="conv",
                weights=numbers.integers(-8, 8, (5, 2, *kernel)),
                weight_bits=4,
                stride=stride,
                padding=padding,
            ),
            Dense(
                source="conv",
                target="readout",
                weights=numbers.integers(-8, 8, (3, 5 * height * width)),
                weight_bits=4,
            ),
        ),
        readout=Readout(fraction_bits=4, bias=numbers.integers(-8, 8, 3), exponent=np.zeros(3, dtype=np.int64)),
    )
    check(network, random_plan(network, 3), count=2)


CONSTANTS = {"lanes": 6, "cores": 2, "group": 6, "weight_memory": "logic", "lut_inputs": 6}


@pytest.mark.parametrize("queues", [False, True])
def test_weights_that_are_constants_in_luts(queues):
    network = dense_chain(4, sizes=(34, 12, 6))
    plan = plan_for(network, hidden_0=CONSTANTS | {"banks": 2})
    plan = dataclasses.replace(queued(plan) if queues else plan, input_group=2)
    check(network, plan, count=3, pauses=(0.2, 0.3))
    for stage in configure(network, plan).layers:
        weights = network.weighted_projection(stage.name).full_weights
        for engine in stage.engines:
            assert (engine.stored_weights(weights.shape) == weights).all()


def test_more_weights_than_a_lut_has_room_for_are_refused():
    network = dense_chain(4, sizes=(34, 12, 6))
    plan = plan_for(network, hidden_0=CONSTANTS)
    with pytest.raises(UserError, match="rows of weights do not fit a LUT of 6 inputs"):
        configure(network, plan)
    block = plan_for(network, hidden_0=CONSTANTS | {"weight_memory": "block"})
    with pytest.raises(UserError, match="layer hidden_0: weights that are constants in LUTs are not in block memory"):
        configure(network, block)


LONG = 8000
"""Cycles after which a run that takes a quarter of that must have come to a stop."""
AFTER = 400
"""Cycles behind the last result, in which a result too many would come out."""


def residual_network(height: int = 6, width: int = 3) -> Network:
    """A convolution and a residual block of two 3x3 convolutions behind it."""
    numbers = np.random.default_rng(5)
    channels, shape = 3, (3, height, width)

    def weights(*size):
        return numbers.integers(-8, 8, size)

    def population(name):
        return Population(
            name=name,
            shape=shape,
            fraction_bits=4,
            burst_ceiling=3,
            leak=Leak(),
            reset="soft",
            bias=numbers.integers(-20, 30, channels),
            exponent=np.zeros(channels, dtype=np.int64),
        )

    def convolution(source, target, inputs):
        return Conv2d(source=source, target=target, weights=weights(channels, inputs, 3, 3), weight_bits=4, padding=1)

    return Network(
        timesteps=2,
        input=InputSpec(shape=(1, height, width), coding="direct", bits=2),
        nodes=tuple(population(name) for name in ("entry", "inner", "outer")),
        projections=(
            convolution("input", "entry", 1),
            convolution("entry", "inner", channels),
            convolution("inner", "outer", channels),
            Skip(source="entry", target="outer", weight=23),
            Dense(source="outer", target="readout", weights=weights(4, 3 * height * width), weight_bits=4),
        ),
        readout=Readout(fraction_bits=4, bias=weights(4), exponent=np.zeros(4, dtype=np.int64)),
    )


def with_skip_depth(config: TopConfig, depth: int) -> TopConfig:
    """The same hardware with another depth of its one skip."""
    stages = []
    for stage in config.stages:
        if stage.name == "outer":
            outer = population_stage(stage)
            skip = dataclasses.replace(outer.bank.skips[0], depth=depth)
            stage = dataclasses.replace(outer, bank=dataclasses.replace(outer.bank, skips=(skip,)))
        stages.append(stage)
    return dataclasses.replace(config, stages=tuple(stages))


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.9), (0.3, 0.6)])
def test_a_skip_without_slack_never_stands_still_and_with_less_room_does(pauses):
    network = residual_network()
    config = configure(network, plan_for(network))
    skip = next(target.skips[0] for name, target, _ in config.populations if name == "outer")
    row = skip.stream.width * skip.stream.beats_per_position
    least = skip.depth - SLACK_ROWS * row
    # Both convolutions look one row ahead: with the row in work, three rows wait.
    assert least == 3 * row
    bursts = random_bursts(network, 3)
    beats = [beat for inference in stream_beats(bursts, config.input).tolist() for beat in inference]
    expected = [logit for inference in bursts for logit in scalar_run(network, inference).logits]

    def results(depth: int) -> list[int]:
        """The results that have come out some time after the last, or after many more cycles than the run takes."""
        dut = NetworkTop(with_skip_depth(config, depth))
        found: list[int] = []

        async def both_ends(ctx):
            chance = random.Random(1)
            waiting = list(beats)
            left = LONG
            while left:
                left -= 1
                valid = ctx.get(dut.bursts.valid) or (bool(waiting) and chance.random() >= pauses[0])
                ctx.set(dut.bursts.valid, valid)
                ctx.set(dut.bursts.payload, waiting[0] if waiting else [0])
                ready = chance.random() >= pauses[1]
                ctx.set(dut.results.ready, ready)
                ports = (dut.bursts.ready, dut.results.valid, dut.results.payload.logit)
                _, _, taken, offered, logit = await ctx.tick().sample(*ports)
                if valid and taken:
                    waiting.pop(0)
                    ctx.set(dut.bursts.valid, 0)
                if offered and ready:
                    found.append(logit)
                    if len(found) == len(expected):
                        left = min(left, AFTER)

        run(dut, both_ends)
        return found

    assert results(least) == expected
    # The queue's own two registers and the fork hold three beats more than its memory does.
    assert len(results(least - 4)) < len(expected)


def test_a_second_projection_with_weights_is_refused():
    network = dense_chain(7, sizes=(10, 8, 4))
    second = Dense(source="input", target="readout", weights=np.zeros((4, 10), dtype=np.int64), weight_bits=4)
    with pytest.raises(UserError, match="readout: hardware is generated for one dense or convolutional projection"):
        plan_for(dataclasses.replace(network, projections=(*network.projections, second)))


def test_a_skip_between_unlike_lanes_is_refused():
    network = residual_network()
    plan = plan_for(network)
    lanes = 3 if engine_plan(plan.stage("entry")).lanes == 1 else 1
    unlike = {"lanes": lanes, "folds": 3 // lanes, "cores": 1, "group": lanes}
    stages = [altered(stage, banks=1, **(unlike if stage.name == "outer" else {})) for stage in plan.stages]
    with pytest.raises(UserError, match="outer: the skip from entry"):
        configure(network, dataclasses.replace(plan, stages=tuple(stages)))


def test_a_plan_that_does_not_divide_is_refused():
    network = dense_chain(7, sizes=(10, 8, 4))
    plan = plan_for(network)
    broken = dataclasses.replace(plan, stages=(altered(plan.stages[0], group=3), plan.stages[1]))
    with pytest.raises(UserError, match="hidden_0"):
        configure(network, broken)


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_a_pooled_input_into_the_readout(coding):
    network = Network(
        timesteps=3,
        input=InputSpec(shape=(1, 4, 4), coding=coding, bits=2),
        nodes=(Pooling(name="pool", source="input", kind="sum", kernel=2),),
        projections=(Dense(source="pool", target="readout", weights=np.arange(-6, 6).reshape(3, 4), weight_bits=4),),
        readout=Readout(fraction_bits=4, bias=np.array([3, -4, 5]), exponent=np.array([0, 1, 0])),
    )
    check(network, plan_for(network))


def test_bursts_that_nothing_reads_are_refused():
    network = dense_chain(1)
    idle = dataclasses.replace(network.nodes[0], name="idle")
    weights = dataclasses.replace(network.projections[0], target="idle")
    changed = dataclasses.replace(network, nodes=(*network.nodes, idle), projections=(*network.projections, weights))
    with pytest.raises(UserError, match="nothing reads the bursts of idle"):
        plan_for(changed)


def test_one_window_that_leaves_positions_out():
    rng = np.random.default_rng(0)
    network = Network(
        timesteps=2,
        input=InputSpec(shape=(2, 2, 2), coding="events", bits=2),
        nodes=(
            Population(
                name="conv",
                shape=(3, 1, 1),
                fraction_bits=3,
                burst_ceiling=3,
                leak=Leak(multiplier=1, shift=1),
                reset="soft",
                bias=np.array([4, 2, 9]),
                exponent=np.zeros(3, dtype=np.int64),
            ),
        ),
        projections=(
            Conv2d(source="input", target="conv", weights=rng.integers(-8, 8, (3, 2, 1, 1)), weight_bits=4, stride=2),
            Dense(source="conv", target="readout", weights=rng.integers(-8, 8, (2, 3)), weight_bits=4),
        ),
        readout=Readout(fraction_bits=4, bias=np.array([3, -4]), exponent=np.array([0, 1])),
    )
    check(network, plan_for(network))
