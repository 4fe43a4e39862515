"""The whole device over its serial lines, against the arithmetic written out neuron by neuron."""

import dataclasses
import random
from itertools import pairwise

import numpy as np
import pytest

from boards.catalogue import find_board
from gen.emit.board_top import link_config
from hw.configure import configure
from qblif.network.coding import encode
from qblif.payloads import unpack_counters, unpack_results
from qblif.protocol import ANSWER, Command, Error, Identity
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.hw.link.bench import QUIET, SHA256, Bench
from tests.hw.link.line import frame
from tests.hw.streams import run
from tests.networks import random_convolutions, random_plan
from tests.reference import scalar_run


@pytest.fixture
def bench():
    network = dense_chain(5, sizes=(11, 7, 5), input_bits=3)
    return Bench(network, plan_for(network))


def test_identity(bench):
    [answer] = bench.talk((frame(Command.IDENTIFY, 77), 1))
    assert (answer.kind, answer.identifier) == (Command.IDENTIFY | ANSWER, 77)
    identity = Identity.from_bytes(answer.data)
    assert identity == bench.identity
    assert identity.network_sha256.hex() == SHA256
    assert identity.shape == (11, 1, 1)
    assert identity.classes == 5


CASES = [
    (lambda: dense_chain(5, sizes=(11, 7, 5), input_bits=3), 0),
    (lambda: dense_chain(6, sizes=(9, 6, 3), input_bits=2, coding="events", timesteps=4), 1),
    (lambda: random_convolutions(2), 2),
    (lambda: random_convolutions(3), 3),
]


@pytest.mark.parametrize(("make", "seed"), CASES)
def test_inferences_and_counters(make, seed):
    network = make()
    bench = Bench(network, random_plan(network, seed))
    samples = bench.samples(3, seed=1)
    found = bench.talk(
        (frame(Command.IDENTIFY, 200), 1),
        (bench.requests(samples, 201) + frame(Command.COUNTERS, 204), 4),
        (frame(Command.COUNTERS, 205), 1),
    )
    assert [answer.identifier for answer in found] == [200, 201, 202, 203, 204, 205]
    results = unpack_results([answer.data for answer in found[1:4]], bench.identity)
    expected = bench.expected(samples)
    assert results.logits.tolist() == expected
    assert results.winners.tolist() == [int(np.argmax(logits)) for logits in expected]
    counters = unpack_counters(found[4].data, bench.identity)
    assert unpack_counters(found[5].data, bench.identity) == counters
    assert counters["inferences"] == 3
    assert counters["bursts_input"] == encode(samples, network.input).sum()
    for node in network.nodes:
        runs = [scalar_run(network, bursts) for bursts in encode(samples, network.input)]
        assert counters[f"bursts_{node.name}"] == sum(int(np.sum(one.bursts[node.name])) for one in runs), node.name
    assert all(counters[name] <= counters["cycles"] for name in counters if name.startswith("scanning_"))
    assert all(counters[name] > 0 for name in counters if name.startswith("scanning_"))


def test_counters_are_those_of_what_came_before_them(bench):
    samples = bench.samples(4, seed=3)
    sent = encode(samples, bench.network.input).sum(axis=(1, 2, 3, 4))
    found = bench.talk(
        (frame(Command.IDENTIFY, 0), 1),
        # All in one go: what is behind the counters is there long before they are read.
        (
            bench.requests(samples[:1], 1)
            + frame(Command.COUNTERS, 2)
            + bench.requests(samples[1:], 3)
            + frame(Command.COUNTERS, 6),
            6,
        ),
    )
    results = unpack_results([found[1].data, *(answer.data for answer in found[3:6])], bench.identity)
    assert results.logits.tolist() == bench.expected(samples)
    for answer, count in ((found[2], 1), (found[6], 4)):
        counters = unpack_counters(answer.data, bench.identity)
        assert counters["inferences"] == count
        assert counters["bursts_input"] == sent[:count].sum()


def test_reset_in_the_middle_of_an_inference(bench):
    samples = bench.samples(2, seed=7)
    requests = bench.requests(samples, 1)
    found = bench.talk(
        (frame(Command.IDENTIFY, 0), 1),
        (requests + frame(Command.RESET, 99), QUIET),
        (bench.requests(samples, 100), 2),
        (frame(Command.COUNTERS, 102), 1),
    )
    assert (found[-4].kind, found[-4].identifier) == (Command.RESET | ANSWER, 99)
    results = unpack_results([answer.data for answer in found[-3:-1]], bench.identity)
    assert results.logits.tolist() == bench.expected(samples)
    assert unpack_counters(found[-1].data, bench.identity)["inferences"] == 2


def test_every_frame_is_answered_where_the_ring_is_full(monkeypatch):
    monkeypatch.setattr("hw.link.configuration.SMALLEST_BUFFER", 16)
    monkeypatch.setattr("hw.link.configuration.BUFFERED_FRAMES", 1)
    network = dense_chain(5, sizes=(3, 2), input_bits=1)
    bench = Bench(network, plan_for(network))
    assert bench.link.buffer_bytes == 16
    # Each answer takes many times as long on the line as its request.
    flood = b"".join(frame(Command.COUNTERS, number) for number in range(18))
    found = bench.talk((frame(Command.IDENTIFY, 255), 1), (flood, QUIET), (frame(Command.IDENTIFY, 7), 1))
    assert len(found) == 20
    kinds = [answer.kind for answer in found[1:-1]]
    assert kinds.count(Error.BUSY) > 4, "more than find room"
    assert set(kinds) <= {Command.COUNTERS | ANSWER, Error.BUSY, Error.OUT_OF_ORDER}
    assert found[-1].kind == Command.IDENTIFY | ANSWER


def test_garbage_never_spoils_the_next_answer(bench):
    chance = random.Random(5)
    sample = bench.samples(1, seed=8)
    garbage = b"".join(chance.randbytes(chance.randint(1, 20)) + b"\0" for _ in range(40))
    found = bench.talk((garbage + b"\0", QUIET), (frame(Command.IDENTIFY, 3) + bench.requests(sample, 4), QUIET))
    assert all(answer.kind in set(Error) for answer in found[:-2])
    assert len(found) > 20
    assert found[-2].kind == Command.IDENTIFY | ANSWER
    assert unpack_results([found[-1].data], bench.identity).logits.tolist() == bench.expected(sample)


def test_a_device_without_self_test_answers_its_host():
    network = dense_chain(5, sizes=(11, 7, 5), input_bits=3)
    bench = Bench(network, plan_for(network), self_test=False)
    samples = bench.samples(3, seed=3)
    found = bench.talk((frame(Command.IDENTIFY, 200), 1), (bench.requests(samples, 201), 3))
    assert unpack_results([answer.data for answer in found[1:]], bench.identity).logits.tolist() == bench.expected(
        samples
    )


@pytest.mark.parametrize("wrong", [False, True])
def test_lights_without_a_host(wrong):
    network = dense_chain(5, sizes=(11, 7, 5), input_bits=3)
    bench = Bench(network, plan_for(network), self_test_wrong=wrong)
    seen = []

    async def watch(ctx):
        for _ in range(16_000):
            await ctx.tick()
            seen.append((ctx.get(bench.device.heartbeat), ctx.get(bench.device.passed), ctx.get(bench.device.winner)))

    run(bench.clocked(), watch)
    blinks = sum(after[0] > before[0] for before, after in pairwise(seen))
    assert blinks == (4 if wrong else 2)
    assert seen[-1][1] == (not wrong)
    assert seen[-1][2] == int(np.argmax(bench.expected(bench.samples(1, seed=99))[0]))


def test_too_few_cycles_a_bit_are_refused():
    network = dense_chain(5, sizes=(11, 7, 5))
    link = link_config(find_board("ulx3s_12f"), 12.0, network, configure(network, plan_for(network)), SHA256)
    assert link is not None
    with pytest.raises(ValueError, match="3 cycles"):
        dataclasses.replace(link, divisor=3)
