"""Devices that take timesteps, over their serial lines, against the arithmetic written out neuron by neuron."""

from itertools import pairwise

import numpy as np
import pytest

from hw.configure import configure
from hw.link.steps import ResultStore, StepCounter
from qblif.network.coding import encode
from qblif.payloads import pack_samples, pack_step, unpack_counters, unpack_results
from qblif.protocol import ANSWER, Command, Error
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.hw.link.bench import QUIET, Bench
from tests.hw.link.line import frame
from tests.hw.streams import get, put, run
from tests.networks import random_plan, random_temporal

STREAM, WINDOW, LATER = 8, 12, 7
"""Seeds of small networks: a stream, a window of 5 timesteps, and a stream with recurrent bursts."""
RESET = frame(Command.RESET, 0)


def bench_of(seed, **options):
    network = random_temporal(seed)
    return Bench(network, plan_for(network), **options)


def step(bench, sample, number, identifier):
    """The request that carries timestep ``number`` of a sample."""
    data = bytes([number % 256]) + pack_step(sample[number], bench.identity)
    return frame(Command.STEP, identifier % 256, data)


def steps(bench, sample, numbers, first_id=1):
    """Requests for timesteps, one after the other, as parts of a talk."""
    return [(step(bench, sample, number, first_id + place), 1) for place, number in enumerate(numbers)]


def logits(bench, answers):
    return unpack_results([answer.data for answer in answers], bench.identity).logits.tolist()


def test_seeds_give_the_networks_that_they_are_here_for():
    modes = [random_temporal(seed).mode for seed in (STREAM, WINDOW, LATER)]
    assert modes == ["stream", "window", "stream"]
    assert any(projection.recurrent for projection in random_temporal(LATER).projections)


@pytest.mark.parametrize("seed", [STREAM, LATER, 2, 5])
def test_a_stream_keeps_its_state_until_a_reset(seed):
    network = random_temporal(seed)
    bench = Bench(network, random_plan(network, seed))
    [first, second] = bench.samples(2, seed=1, steps=7)
    found = bench.talk(
        (RESET, 1),
        *steps(bench, first, range(7)),
        (frame(Command.RESET, 90), 1),
        *steps(bench, second, range(3), first_id=91),
        cycles=100_000,
    )
    assert {answer.kind for answer in found} == {Command.RESET | ANSWER, Command.STEP | ANSWER}
    expected = bench.results([first, second])
    assert logits(bench, found[1:8]) == expected[0]
    assert logits(bench, found[9:]) == expected[1][:3]
    assert len(set(map(tuple, expected[0]))) > 2


@pytest.mark.parametrize("seed", [WINDOW, 1, 6, 11])
def test_a_window_answers_with_nothing_until_it_is_whole(seed):
    network = random_temporal(seed)
    bench = Bench(network, random_plan(network, seed))
    samples = bench.samples(3, seed=2)
    packed = pack_samples(samples, bench.identity)
    assert len(packed) == 3 * network.timesteps
    requests = [frame(Command.STEP, 1 + number, bytes([number]) + one) for number, one in enumerate(packed)]
    found = bench.talk((RESET, 1), *((request, 1) for request in requests), cycles=100_000)[1:]
    assert {answer.kind for answer in found} == {Command.STEP | ANSWER}
    ends = range(network.timesteps - 1, len(found), network.timesteps)
    assert [answer.data for place, answer in enumerate(found) if place not in ends] == [b""] * (len(found) - len(ends))
    assert logits(bench, [found[place] for place in ends]) == bench.expected(samples)


@pytest.mark.parametrize("seed", [STREAM, WINDOW])
def test_a_number_that_is_repeated_executes_nothing_and_repeats_the_answer(seed):
    bench = bench_of(seed)
    steps_per_result = bench.identity.requests_per_result
    [sample] = bench.samples(1, seed=3, steps=5)
    # The repetition carries other bursts, which nobody looks at.
    other = sample[::-1]
    twice = [number for number in range(5) for _ in range(2)]
    requests = [step(bench, other if place % 2 else sample, number, 1 + place) for place, number in enumerate(twice)]
    found = bench.talk(
        (RESET, 1), *((request, 1) for request in requests), (frame(Command.COUNTERS, 11), 1), cycles=100_000
    )
    first, again, counters = found[1:11:2], found[2:11:2], unpack_counters(found[11].data, bench.identity)
    assert [answer.data for answer in first] == [answer.data for answer in again]
    assert [answer.identifier for answer in found[1:11]] == list(range(1, 11))
    whole = first if steps_per_result == 1 else first[4:]
    assert logits(bench, whole) == bench.results([sample])[0][-len(whole) :]
    assert counters["inferences"] == len(whole)
    assert counters["bursts_input"] == encode(sample[None], bench.network.input).sum()


def test_a_number_out_of_sequence_is_refused_with_the_next_one():
    bench = bench_of(STREAM)
    [sample] = bench.samples(1, seed=4, steps=4)
    wrong = [(1, 0), (255, 0), (2, 1), (255, 1), (0, 2), (3, 2)]
    parts = [(RESET, 1)]
    executed, identifier = 0, 1
    for number, next_number in wrong:
        while executed < next_number:
            parts.append((step(bench, sample, executed, identifier), 1))
            executed, identifier = executed + 1, identifier + 1
        refused = bytes([number]) + pack_step(sample[0], bench.identity)
        parts.append((frame(Command.STEP, identifier, refused), 1))
        identifier += 1
    found = bench.talk(*parts, *steps(bench, sample, [2, 3], first_id=identifier), cycles=100_000)
    errors = [answer for answer in found if answer.kind == Error.OUT_OF_SEQUENCE]
    assert [answer.data for answer in errors] == [bytes([next_number]) for _, next_number in wrong]
    assert [answer.identifier for answer in found[1:]] == list(range(1, len(found)))
    assert (
        logits(bench, [answer for answer in found if answer.kind == Command.STEP | ANSWER])
        == (bench.results([sample])[0])
    )


@pytest.mark.parametrize("number", [0, 1, 255])
def test_before_the_first_reset_every_number_is_refused(number):
    bench = bench_of(STREAM)
    [sample] = bench.samples(1, seed=5, steps=1)
    data = bytes([number]) + pack_step(sample[0], bench.identity)
    found = bench.talk(
        (frame(Command.IDENTIFY, 0) + frame(Command.STEP, 1, data), 2),
        (frame(Command.RESET, 2), 1),
        *steps(bench, sample, [0], first_id=3),
    )
    assert [answer.kind for answer in found[1:3]] == [Error.OUT_OF_SEQUENCE, Command.RESET | ANSWER]
    assert found[1].data == b"\0"
    assert logits(bench, found[3:]) == bench.results([sample])[0]


@pytest.mark.slow
def test_numbers_start_again_after_255():
    bench = bench_of(5)
    [sample] = bench.samples(1, seed=6, steps=258)
    asked = [*range(258), 257, 256]
    found = bench.talk((RESET, 1), *steps(bench, sample, asked), cycles=400_000)[1:]
    expected = bench.results([sample])[0]
    assert logits(bench, found[:259]) == [*expected, expected[-1]]
    assert (found[259].kind, found[259].data) == (Error.OUT_OF_SEQUENCE, b"\2")


def test_a_corrupted_request_is_not_executed():
    bench = bench_of(STREAM)
    [sample] = bench.samples(1, seed=7, steps=3)
    request = bytearray(step(bench, sample, 1, 2))
    request[4] ^= 0x40
    found = bench.talk(
        (RESET, 1), *steps(bench, sample, [0]), (bytes(request), 1), *steps(bench, sample, [1, 2], first_id=2)
    )
    assert [answer.kind for answer in found].count(Error.CORRUPT) == 1
    assert found[2].kind == Error.CORRUPT
    assert logits(bench, [found[1], *found[3:]]) == bench.results([sample])[0]


def test_a_reset_in_the_middle_of_a_window_begins_the_next():
    bench = bench_of(WINDOW)
    [first, second] = bench.samples(2, seed=8)
    found = bench.talk(
        (RESET, 1),
        *steps(bench, first, range(3)),
        (step(bench, first, 3, 4) + frame(Command.RESET, 90), QUIET),
        *steps(bench, second, range(5), first_id=91),
    )
    assert [answer.data for answer in found[-5:-1]] == [b""] * 4
    assert logits(bench, found[-1:]) == bench.expected([second])


def test_two_timesteps_at_once_are_answered_in_order():
    bench = bench_of(STREAM)
    [sample] = bench.samples(1, seed=9, steps=3)
    requests = b"".join(request for request, _ in steps(bench, sample, [0, 1, 1, 2]))
    found = bench.talk((RESET, 1), (requests, 4))[1:]
    results = bench.results([sample])[0]
    assert logits(bench, found) == [results[0], results[1], results[1], results[2]]


def test_the_other_command_is_unknown():
    window = bench_of(WINDOW)
    data = bytes(window.identity.burst_bytes)
    found = window.talk((frame(Command.IDENTIFY, 0) + frame(Command.INFER, 1, data), 2))
    assert found[1].kind == Error.UNKNOWN
    network = dense_chain(5, sizes=(11, 7, 5), input_bits=3)
    whole = Bench(network, plan_for(network))
    found = whole.talk((frame(Command.IDENTIFY, 0) + frame(Command.STEP, 1, b"\0"), 2))
    assert found[1].kind == Error.UNKNOWN


@pytest.mark.parametrize("seed", [STREAM, LATER])
def test_the_cycles_counted_over_a_timestep_are_its_latency(seed):
    """From its first beat, which is taken at the end of a cycle, to its last logit."""
    bench = bench_of(seed)
    [sample] = bench.samples(1, seed=10, steps=4)
    times = []

    async def watch(ctx):
        bursts, results = bench.taps
        cycle, beat = 0, 0
        async for _, _, entering, leaving in ctx.tick().sample(bursts, results):
            cycle += 1
            if entering:
                if beat == 0:
                    times.append([cycle])
                beat = (beat + 1) % bench.config.beats_per_result
            if leaving:
                times[-1].append(cycle)

    parts = [(RESET, 1)]
    for number in range(4):
        parts += [(step(bench, sample, number, 2 * number + 1), 1), (frame(Command.COUNTERS, 2 * number + 2), 1)]
    found = bench.talk(*parts, background=[watch])
    counted = [unpack_counters(answer.data, bench.identity)["cycles"] for answer in found[2::2]]
    latencies = [after - before for before, after in pairwise([0, *counted])]
    assert latencies == [end - begin for begin, end in times[-4:]]
    assert min(latencies) > bench.config.readout.classes


@pytest.mark.parametrize("wrong", [False, True])
def test_the_self_test_of_a_stream_runs_once_and_its_light_stays(wrong):
    bench = bench_of(STREAM, self_test_wrong=wrong)
    [sample] = bench.samples(1, seed=11, steps=2)
    entered, lights = [], []

    async def watch(ctx):
        bursts, _ = bench.taps
        async for _, _, entering, passed in ctx.tick().sample(bursts, bench.device.passed):
            entered.append(entering)
            lights.append(passed)

    # A quarter second has 2,000 cycles here: two silences see the ticks at which other self-tests go on.
    silence = [(frame(Command.IDENTIFY, 9), QUIET)] * 3
    found = bench.talk(*silence, (RESET, 1), *silence, *steps(bench, sample, [0, 1], first_id=10), background=[watch])
    assert logits(bench, found[-2:]) == bench.results([sample])[0]
    beats = bench.config.beats_per_result
    assert sum(entered) == beats * (bench.network.timesteps + 2)
    assert sum(entered[: len(entered) // 3]) == beats * bench.network.timesteps
    assert lights[len(lights) // 4 :] == [not wrong] * (len(lights) - len(lights) // 4)


def test_the_self_test_of_a_window_goes_on_after_a_reset():
    bench = bench_of(WINDOW)
    entered = []

    async def watch(ctx):
        bursts, _ = bench.taps
        async for _, _, entering in ctx.tick().sample(bursts):
            entered.append(entering)

    bench.talk((RESET, 1), *[(frame(Command.IDENTIFY, 9), QUIET)] * 5, background=[watch])
    assert sum(entered[len(entered) // 2 :]) >= bench.config.beats_per_result


def test_numbers_and_results_of_a_window_of_three():
    dut = StepCounter(3)

    async def process(ctx):
        ctx.set(dut.numbered, 1)
        for executed in range(300):
            for number in (executed, executed - 1, executed + 1, executed + 7):
                ctx.set(dut.number, number % 256)
                await ctx.delay(1e-9)
                assert ctx.get(dut.is_next) == (number == executed)
                assert ctx.get(dut.is_last) == (number == executed - 1 and executed > 0)
            assert ctx.get(dut.next) == executed % 256
            assert ctx.get(dut.completes) == (executed > 0 and executed % 3 == 0)
            ctx.set(dut.execute, 1)
            await ctx.tick()
            ctx.set(dut.execute, 0)
        ctx.set(dut.numbered, 0)
        ctx.set(dut.number, 300 % 256)
        await ctx.delay(1e-9)
        assert not ctx.get(dut.is_next)

    run(dut, process)


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_a_stored_result_is_offered_until_it_is_forgotten(classes, pause):
    network = dense_chain(5, sizes=(3, classes))
    dut = ResultStore(configure(network, plan_for(network)).readout)

    async def process(ctx):
        chance = np.random.default_rng(classes)
        for _ in range(4):
            values = chance.integers(-9, 9, classes)
            sent = [
                {"logit": int(value), "winner": int(np.argmax(values[: place + 1])), "last": place == classes - 1}
                for place, value in enumerate(values)
            ]
            await put(ctx, dut.results, sent, pause)
            taken = [await get(ctx, dut.stored, classes, pause) for _ in range(3)]
            words = [dut.stored.payload.shape().const(beat).as_bits() for beat in sent]
            assert taken == [words] * 3
            ctx.set(dut.forget, 1)
            await ctx.tick()
            ctx.set(dut.forget, 0)
            for _ in range(3):
                assert not ctx.get(dut.stored.valid)
                await ctx.tick()

    run(dut, process)
