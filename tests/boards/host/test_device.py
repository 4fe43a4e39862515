"""The driver against a device that was written from the protocol's text, on a perfect line and on bad ones."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.host.device import Device
from boards.host.framing import DamagedFrameError, Frame
from qblif.errors import UserError
from qblif.network.checks import NetworkError
from tests.boards.host.fake_device import COUNTERS, IDENTITY, FakeDevice, Noise, cobs_decode, cobs_encode, framed

WEIGHTS = np.random.default_rng(5).integers(-8, 8, (10, 36))
TIMEOUT = 0.03


def fake(**arguments):
    return FakeDevice(logits_of=lambda bursts: WEIGHTS @ bursts, **arguments)


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 5, 7), dtype=np.uint8)


def expected(samples):
    """The logits written out: bytes to 3-bit bursts (round half up), one padding channel, and the sums."""
    bursts = np.floor(samples.reshape(len(samples), 35).astype(float) * 7 / 255 + 0.5).astype(int)
    return np.pad(bursts, ((0, 0), (0, 1))) @ WEIGHTS.T


def holds(results, samples):
    logits = expected(samples)
    return np.array_equal(results.logits, logits) and np.array_equal(results.winners, logits.argmax(axis=1))


@given(st.binary(max_size=600), st.integers(0, 255), st.integers(0, 255))
def test_frames_are_those_of_the_protocol(data, kind, number):
    frame = Frame(kind=kind, id=number, data=data)
    assert frame.to_bytes() == framed(kind, number, data)
    assert Frame.from_bytes(framed(kind, number, data)[:-1]) == frame
    assert cobs_decode(cobs_encode(data)) == data


@pytest.mark.parametrize("position", range(12))
def test_a_flipped_bit_is_found(position):
    encoded = bytearray(framed(2, 3, b"abcde")[:-1])
    encoded[position] ^= 0x10
    with pytest.raises(DamagedFrameError):
        Frame.from_bytes(bytes(encoded))


def test_a_perfect_line():
    line = fake()
    samples = images(300)
    with Device(line, timeout=TIMEOUT) as device:
        assert device.identity == IDENTITY
        assert holds(device.infer(samples), samples)
        assert holds(device.infer(samples[:1]), samples[:1])
        assert len(device.infer(samples[:0]).winners) == 0
        assert device.counters() == dict(zip(COUNTERS, (303, 0), strict=True))
        device.reset()
        assert device.retries == 0
    assert [kind for kind, _ in line.requests] == [1, *[2] * 301, 3, 4]
    assert line.most_waiting == IDENTITY.window
    assert line.errors == 0
    assert line.closed


def test_event_counts_travel_timestep_by_timestep():
    stream = replace(IDENTITY.stream, steps=4)
    line = FakeDevice(
        replace(IDENTITY, coding="events", stream=stream),
        logits_of=lambda bursts: WEIGHTS @ (bursts.reshape(4, 36) * [[1], [10], [100], [1000]]).sum(axis=0) // 100,
    )
    counts = np.random.default_rng(2).integers(0, 12, (6, 4, 1, 5, 7))
    clipped = np.pad(counts.clip(max=7).reshape(6, 4, 35), ((0, 0), (0, 0), (0, 1)))
    weighted = sum(clipped[:, step] * 10**step for step in range(4))
    with Device(line, timeout=TIMEOUT) as device:
        assert np.array_equal(device.infer(counts).logits, weighted @ WEIGHTS.T // 100)
        with pytest.raises(NetworkError, match="3 timesteps, but the network takes 4"):
            device.infer(counts[:, :3])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "noise",
    [
        {"flipped": 3e-3},
        {"dropped": 3e-3},
        {"doubled": 3e-3},
        {"flipped": 3e-3, "dropped": 2e-3, "doubled": 2e-3},
    ],
)
def test_a_bad_line(noise, seed):
    line = fake(noise=Noise(**noise, seed=seed))
    samples = images(60, seed)
    with Device(line, timeout=TIMEOUT) as device:
        assert holds(device.infer(samples), samples)
        assert device.retries > 0


@pytest.mark.parametrize("lost", range(1, 8))
def test_a_lost_answer_is_asked_for_again(lost):
    answers = []

    def edit(answer):
        answers.append(answer)
        return None if len(answers) == 1 + lost else answer

    samples = images(7)
    with Device(fake(edit=edit), timeout=TIMEOUT) as device:
        assert holds(device.infer(samples), samples)
        assert device.retries >= 1


def test_what_an_earlier_program_left_does_no_harm():
    line = fake()
    line.write(framed(2, 0, bytes(IDENTITY.request_bytes)) + framed(2, 1, bytes(IDENTITY.request_bytes))[:-9])
    line.output = b"\x05gar\0bage"
    samples = images(5)
    with Device(line, timeout=TIMEOUT) as device:
        assert holds(device.infer(samples), samples)


def test_a_call_that_was_broken_off_does_not_mix_with_the_next():
    line = fake()
    samples = images(10)
    with Device(line, timeout=TIMEOUT) as device:
        read = line.read
        reads: list[None] = []

        def interrupted():
            reads.append(None)
            if len(reads) == 5:
                raise KeyboardInterrupt
            return read()

        line.read = interrupted
        with pytest.raises(KeyboardInterrupt):
            device.infer(samples)
        assert holds(device.infer(samples[::-1]), samples[::-1])


def test_all_rates_are_tried():
    line = fake()
    read, write = line.read, line.write
    line.read = lambda: read() if line.rates[-1] == 115_200 else b"\x13\x37"
    line.write = lambda content: write(content if line.rates[-1] == 115_200 else b"\xf8\x80")
    Device(line, timeout=TIMEOUT)
    assert line.rates == [3_000_000, 2_000_000, 1_500_000, 1_000_000, 921_600, 460_800, 230_400, 115_200]
    line.rates.clear()
    Device(line, baud=115_200, timeout=TIMEOUT)
    assert set(line.rates) == {115_200}


def test_a_silent_port_is_given_up():
    with pytest.raises(UserError, match="no answer from fake at 3000000, 2000000"):
        Device(fake(edit=lambda _: None), timeout=0.005)


FLOODS = [
    b"",
    b"\0",
    b"\x01\x02\0",
    b"x" * 100,
    framed(0xE1, 0),
    bytes(10**6),
    b"x" * 10**6,
    framed(0x82, 99, b"y" * 10**5),
    framed(0x81, 99) * 10**4,
]
FLOOD_NAMES = ["silence", "zero", "damage", "noise", "error", "zeros", "noise without end", "large", "many"]


@pytest.mark.parametrize("flood", FLOODS, ids=FLOOD_NAMES)
def test_what_was_never_a_device_is_given_up(flood):
    line = fake()
    line.read = lambda: flood
    begin = time.monotonic()
    with pytest.raises(UserError, match="no answer from fake"):
        Device(line, timeout=0.005)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("flood", FLOODS, ids=FLOOD_NAMES)
def test_a_device_that_falls_silent_or_mad_is_given_up(flood):
    line = fake()
    with Device(line, timeout=0.005) as device:
        line.read = lambda: flood
        begin = time.monotonic()
        with pytest.raises(UserError, match="no proper answer from fake any more"):
            device.infer(images(3))
        assert time.monotonic() - begin < 5
        assert len(device._connection._received) < 2**22


def test_a_device_that_refuses_is_given_up():
    line = fake()
    with Device(line, timeout=TIMEOUT) as device:
        take = line.take
        line.take = lambda encoded: take(encoded) if len(encoded) < 12 else line.refuse(0xE3)
        with pytest.raises(UserError, match="OVERSIZED"):
            device.infer(images(3))


def test_a_device_that_changes_is_noticed():
    line = fake()
    with Device(line, timeout=TIMEOUT) as device:
        line.identity = replace(IDENTITY, network_sha256=bytes(32))
        line.expected = 77
        with pytest.raises(UserError, match="another one"):
            device.infer(images(3))


def test_an_old_answer_is_not_taken_for_the_new_one():
    answers = []

    def edit(answer):
        answers.append(answer)
        return framed(0x81, 99, IDENTITY.to_bytes()) if len(answers) == 1 else answer

    line = fake(edit=edit)
    Device(line, timeout=TIMEOUT)
    assert [kind for kind, _ in line.requests] == [1, 1]


@pytest.mark.parametrize(("place", "words"), [(0, "not a QB-LIF device"), (4, "version")])
def test_another_protocol_is_refused(place, words):
    line = fake()
    answer = bytearray(IDENTITY.to_bytes())
    answer[place] ^= 0x40

    class Other:
        window = 4
        request_bytes = 1
        mode = "sample"
        to_bytes = staticmethod(lambda: bytes(answer))

    line.identity = Other()
    with pytest.raises(UserError, match=words):
        Device(line, timeout=TIMEOUT)


def test_samples_of_another_shape_are_refused_before_anything_is_sent():
    line = fake()
    with Device(line, timeout=TIMEOUT) as device:
        with pytest.raises(NetworkError):
            device.infer(np.zeros((1, 1, 5, 8), dtype=np.uint8))
        assert len(line.requests) == 1
        assert holds(device.infer(images(2)), images(2))


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 0, -1, 3601])
def test_a_timeout_that_nobody_can_wait_for_is_refused(seconds):
    line = fake()
    with pytest.raises(UserError, match="timeout must be more than 0 and at most 3600 seconds"):
        Device(line, timeout=seconds)
    assert line.requests == []


@pytest.mark.parametrize("winner", [999, 65535, None])
def test_a_device_that_contradicts_itself_is_refused(winner):
    def edit(answer):
        content = cobs_decode(answer[:-1])
        assert content is not None
        if content[0] != 0x82:
            return answer
        data = content[2:-4]
        other = (int.from_bytes(data[-2:], "little") + 1) % 10 if winner is None else winner
        return framed(content[0], content[1], data[:-2] + other.to_bytes(2, "little"))

    with Device(fake(edit=edit), timeout=TIMEOUT) as device, pytest.raises(UserError, match="contradicts itself"):
        device.infer(images(1))


@pytest.mark.parametrize(("kind", "words"), [(0x82, "INFER has 10000"), (0x83, "COUNTERS has"), (0x84, "RESET has")])
def test_an_answer_of_another_length_is_refused_at_once(kind, words):
    def edit(answer):
        content = cobs_decode(answer[:-1])
        assert content is not None
        return framed(kind, content[1], bytes(100_000)) if content[0] == kind else answer

    line = fake(edit=edit)
    with Device(line, timeout=TIMEOUT) as device:
        asked = {0x82: lambda: device.infer(images(300)), 0x83: device.counters, 0x84: device.reset}[kind]
        with pytest.raises(UserError, match=words):
            asked()
    assert len(line.requests) <= 2 + IDENTITY.window


def test_few_large_requests_are_under_way_at_a_time(monkeypatch):
    large = replace(
        IDENTITY,
        shape=(1, 200, 300),
        window=200,
        stream=replace(IDENTITY.stream, height=200, width=300, beats=1, group=1),
    )
    line = FakeDevice(large, logits_of=lambda _: np.zeros(10, dtype=int))
    monkeypatch.setattr(line, "infer", lambda _: bytes(22))
    with Device(line, timeout=TIMEOUT) as device:
        device.infer(np.zeros((4, 1, 200, 300), dtype=np.uint8))
    assert line.most_waiting == 2
