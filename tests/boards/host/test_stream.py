"""The driver's streams against a device that was written from the protocol's text, on perfect lines and on bad ones."""

import contextlib
import time
from dataclasses import replace

import numpy as np
import pytest

from boards.host import __main__ as host
from boards.host.device import Device
from boards.host.recording import read_frames
from qblif.errors import UserError
from qblif.network.checks import NetworkError
from tests.boards.host.fake_device import IDENTITY, FakeDevice, Noise, OnTerminal, cobs_decode, framed

WEIGHTS = np.random.default_rng(5).integers(-8, 8, (10, 36))
COUNTERS = ("inferences", "cycles")
STREAM = replace(IDENTITY, mode="stream", coding="events", window=1, counters=COUNTERS)
WINDOW = replace(STREAM, mode="window", timesteps=5)
TIMEOUT = 0.03


def fake(identity, **options):
    """A device that forgets nothing: every timestep counts, weighted with its place, so order and number matter."""

    def logits_of(bursts):
        return (WEIGHTS @ bursts.T * (np.arange(len(bursts)) % 7 + 1)).sum(axis=1) % 9999 - 5000

    return FakeDevice(identity, logits_of=logits_of, **options), logits_of


def frames(count, seed=0):
    return np.random.default_rng(seed).integers(0, 8, (count, 1, 5, 7))


def bursts_of(samples):
    return np.pad(samples.reshape(len(samples), 35).clip(max=7), ((0, 0), (0, 1)))


def check_stream(line, logits_of, count):
    sent = frames(count)
    with Device(line, timeout=TIMEOUT) as device, device.stream() as stream:
        for number, frame in enumerate(sent):
            found = stream.step(frame)
            assert found is not None
            assert found.tolist() == logits_of(bursts_of(sent[: number + 1])).tolist(), number
        assert len(line.steps) == count
        return device.retries


def test_every_timestep_is_executed_once():
    line, logits_of = fake(STREAM)
    assert check_stream(line, logits_of, 300) == 0


@pytest.mark.parametrize("seed", range(4))
def test_no_timestep_is_executed_twice_on_a_bad_line(seed):
    noise = Noise(flipped=0.001, dropped=0.001, doubled=0.001, seed=seed)
    line, logits_of = fake(STREAM, noise=noise)
    assert check_stream(line, logits_of, 120) > 0


@pytest.mark.parametrize("noisy", [False, True])
def test_a_window_has_one_result(noisy):
    noise = Noise(flipped=0.0005, dropped=0.0005, seed=3) if noisy else Noise()
    line, logits_of = fake(WINDOW, noise=noise)
    samples = frames(4 * 5).reshape(4, 5, 1, 5, 7)
    with Device(line, timeout=TIMEOUT) as device:
        results = device.infer(samples)
    assert results.logits.tolist() == [logits_of(bursts_of(sample)).tolist() for sample in samples]


def test_samples_of_a_stream_each_begin_at_rest():
    line, logits_of = fake(STREAM)
    samples = frames(3 * 4).reshape(3, 4, 1, 5, 7)
    with Device(line, timeout=TIMEOUT) as device:
        results = device.infer(samples)
    assert results.logits.tolist() == [logits_of(bursts_of(sample)).tolist() for sample in samples]
    assert len(line.steps) == 4


def test_a_window_answers_between_its_ends_with_nothing():
    line, logits_of = fake(WINDOW)
    sent = frames(10)
    with Device(line, timeout=TIMEOUT) as device, device.stream() as stream:
        answers = [stream.step(frame) for frame in sent]
    assert [answer is None for answer in answers] == [*[True] * 4, False] * 2
    assert answers[4] is not None
    assert answers[4].tolist() == logits_of(bursts_of(sent[:5])).tolist()


RESTARTED = "was restarted in the middle of its timesteps"
BROKEN_OFF = "a timestep of this stream was broken off; begin a new stream"
RESET = "the device was reset since this stream began; begin a new stream"


def break_off(line, name, error):
    """The pipe's next call of ``name`` works, and then raises an error."""
    method = getattr(line, name)

    def broken(*arguments):
        setattr(line, name, method)
        method(*arguments)
        raise error

    setattr(line, name, broken)


def begun(device, count=3):
    """A stream after some timesteps."""
    stream = device.stream()
    for frame in frames(count):
        stream.step(frame)
    return stream


@pytest.mark.parametrize("identity", [STREAM, WINDOW], ids=["stream", "window"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("a fault of the port")])
@pytest.mark.parametrize("name", ["read", "write"])
def test_a_timestep_that_was_broken_off_ends_its_stream(name, error, identity):
    line, _ = fake(identity)
    with Device(line, timeout=TIMEOUT) as device:
        stream = begun(device)
        break_off(line, name, error)
        with pytest.raises(type(error)):
            stream.step(frames(4)[3])
        if name == "read":
            assert line.steps is not None
            assert len(line.steps) == 4
        asked = len(line.requests)
        for _ in range(2):
            with pytest.raises(UserError, match=BROKEN_OFF):
                stream.step(frames(5)[4])
        with pytest.raises(UserError, match=BROKEN_OFF):
            stream.cycles_per_result()
        assert len(line.requests) == asked
        begun(device)
        assert len(line.steps or []) == 3


def test_an_answer_that_contradicts_itself_ends_its_stream():
    answers: list[bytes] = []

    def edit(answer):
        answers.append(answer)
        content = cobs_decode(answer[:-1])
        assert content is not None
        return framed(content[0], content[1], content[2:-6] + b"\xff\xff") if len(answers) == 4 else answer

    with Device(fake(STREAM, edit=edit)[0], timeout=TIMEOUT) as device:
        stream = begun(device, 1)
        with pytest.raises(UserError, match="contradicts itself"):
            stream.step(frames(2)[1])
        with pytest.raises(UserError, match=BROKEN_OFF):
            stream.step(frames(2)[1])


def test_a_frame_that_does_not_fit_does_not_end_a_stream():
    line, logits_of = fake(STREAM)
    sent = frames(2)
    with Device(line, timeout=TIMEOUT) as device:
        stream = begun(device, 1)
        with pytest.raises(NetworkError):
            stream.step(sent[1][0])
        assert np.array_equal(stream.step(sent[1]), logits_of(bursts_of(sent)))


def interrupted_reset(line, device):
    break_off(line, "write", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        device.reset()


CHANGES = {
    "reset": lambda _, device: device.reset(),
    "infer": lambda _, device: device.infer(frames(4)[np.newaxis]),
    "stream": lambda _, device: begun(device, 256),
    "interrupted reset": interrupted_reset,
}


@pytest.mark.parametrize("count", [3, 256])
@pytest.mark.parametrize("change", CHANGES)
def test_a_reset_ends_every_stream(change, count):
    line, _ = fake(STREAM)
    with Device(line, timeout=TIMEOUT) as device:
        stream = begun(device, count)
        CHANGES[change](line, device)
        with pytest.raises(UserError, match=RESET):
            stream.step(frames(1)[0])
        with pytest.raises(UserError, match=RESET):
            stream.cycles_per_result()


@pytest.mark.parametrize("identity", [STREAM, WINDOW], ids=["stream", "window"])
@pytest.mark.parametrize("count", [0, 1, 3, 253, 256, 512])
def test_a_power_cycle_is_noticed_at_once(count, identity):
    """After 253 timesteps the next id is the one that the device expects first, after 256 the next number is."""
    line, _ = fake(identity)
    with Device(line, timeout=TIMEOUT) as device:
        stream = begun(device, count)
        line.power_cycle()
        asked = len(line.requests)
        with pytest.raises(UserError, match=RESTARTED):
            stream.step(frames(1)[0])
        assert len(line.requests) - asked <= 3
        assert line.steps is None
        with pytest.raises(UserError, match=BROKEN_OFF):
            stream.step(frames(1)[0])
        begun(device)


def test_a_power_cycle_before_an_answer_is_noticed():
    line, _ = fake(STREAM)
    with Device(line, timeout=TIMEOUT) as device:
        stream = begun(device, 255)
        read = line.read

        def without_power():
            line.read = read
            line.read()
            line.power_cycle()
            return b"\x07"

        line.read = without_power
        with pytest.raises(UserError, match=RESTARTED):
            stream.step(frames(1)[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cycle_is_noticed_on_a_bad_line(seed):
    noise = Noise(flipped=0.001, dropped=0.001, doubled=0.001, seed=seed)
    line, _ = fake(STREAM, noise=noise)
    with Device(line, timeout=TIMEOUT) as device:
        stream = begun(device, 20)
        line.power_cycle()
        with pytest.raises(UserError, match=RESTARTED):
            stream.step(frames(1)[0])


def test_a_power_cycle_within_samples_is_noticed():
    line, logits_of = fake(WINDOW)
    samples = frames(4 * 5).reshape(4, 5, 1, 5, 7)

    def cycle_after(bursts):
        if len(line.steps or []) == 10:
            line.power_cycle()
        return logits_of(bursts)

    line.logits_of = cycle_after
    with Device(line, timeout=TIMEOUT) as device, pytest.raises(UserError, match=RESTARTED):
        device.infer(samples)


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("seed", range(6))
def test_no_noise_is_taken_for_a_restart(seed, window):
    """Also where a device offers to hold several timesteps, since it keeps only the last answer."""
    noise = Noise(flipped=3e-3, dropped=2e-3, doubled=2e-3, seed=seed)
    line, logits_of = fake(replace(WINDOW, window=window), noise=noise)
    samples = frames(6 * 5, seed).reshape(6, 5, 1, 5, 7)
    with Device(line, timeout=TIMEOUT) as device:
        results = device.infer(samples)
        assert device.retries > 0
    assert results.logits.tolist() == [logits_of(bursts_of(sample)).tolist() for sample in samples]
    assert line.most_waiting <= 2


@pytest.mark.parametrize("lost", range(1, 8))
def test_a_lost_answer_is_not_taken_for_a_restart(lost):
    answers: list[bytes] = []

    def edit(answer):
        answers.append(answer)
        return None if len(answers) == 1 + lost else answer

    line, logits_of = fake(replace(WINDOW, window=4), edit=edit)
    samples = frames(2 * 5).reshape(2, 5, 1, 5, 7)
    with Device(line, timeout=TIMEOUT) as device:
        results = device.infer(samples)
    assert results.logits.tolist() == [logits_of(bursts_of(sample)).tolist() for sample in samples]


@pytest.mark.parametrize("earlier", [1, 2, 255])
def test_a_refusal_of_another_request_is_not_taken_for_a_restart(earlier):
    """An answer that comes late has another id; it is passed over."""
    line, logits_of = fake(STREAM)

    def edit(answer):
        content = cobs_decode(answer[:-1])
        assert content is not None
        late = framed(0xE7, (content[1] - earlier) % 256, b"\x00")
        return late + answer if content[0] == 0x85 and len(line.steps or []) % 3 == 0 else answer

    line.edit = edit
    assert check_stream(line, logits_of, 10) > 0


def test_a_refused_reset_is_not_taken_for_a_restart():
    line, _ = fake(STREAM)
    line.edit = lambda answer: framed(0xE7, line.requests[-1][1], b"\x00") if line.requests[-1][0] == 4 else answer
    with Device(line, timeout=TIMEOUT) as device, pytest.raises(UserError, match="no proper answer"):
        device.stream()


def clock(line, monkeypatch, seconds):
    """Every result takes some seconds of the driver's time, and the cycles of that time."""
    now, passed = time.monotonic, [0.0]
    line.cycles_each = round(seconds * line.identity.clock_hz)
    result = line.result

    def slow(bursts):
        passed[0] += seconds
        return result(bursts)

    line.result = slow
    monkeypatch.setattr("time.monotonic", lambda: now() + passed[0])


@pytest.mark.parametrize("seconds", [0.001, 10, 40])
def test_cycles_are_right_when_their_counter_begins_again(seconds, monkeypatch):
    line, _ = fake(STREAM)
    clock(line, monkeypatch, seconds)
    with Device(line, timeout=100) as device:
        stream = begun(device, 50)
        assert stream.cycles_per_result() == line.cycles_each
        for frame in frames(7):
            stream.step(frame)
        assert stream.cycles_per_result() == line.cycles_each
    assert (line.cycles >= 2**32) == (seconds > 1)
    assert sum(kind == 3 for kind, _ in line.requests) <= 2 + 57 * seconds / 44


def test_cycles_are_a_mean_over_the_stream():
    line, _ = fake(STREAM)
    with Device(line, timeout=TIMEOUT) as device:
        stream = device.stream()
        assert stream.cycles_per_result() == 0
        for line.cycles_each, mean in ((100, 100), (200, 150), (300, 200)):
            stream.step(frames(1)[0])
            assert stream.cycles_per_result() == mean
        assert begun(device).cycles_per_result() == 300


def test_a_power_cycle_is_noticed_when_cycles_are_asked_for():
    line, _ = fake(STREAM)
    with Device(line, timeout=TIMEOUT) as device:
        stream = begun(device)
        line.power_cycle()
        with pytest.raises(UserError, match=RESTARTED):
            stream.cycles_per_result()


def test_a_device_without_these_counters_has_streams_all_the_same(monkeypatch):
    line, _ = fake(replace(STREAM, counters=("frames", "errors")))
    clock(line, monkeypatch, 40)
    with Device(line, timeout=100) as device:
        stream = begun(device, 5)
        with pytest.raises(UserError, match="does not count its cycles"):
            stream.cycles_per_result()


def test_the_command_plays_a_recording(tmp_path, capsys):
    line, logits_of = fake(STREAM)
    sent = frames(20)
    np.save(tmp_path / "x.npy", sent)
    with OnTerminal(line) as port:
        arguments = ["stream", "--events", str(tmp_path / "x.npy"), "--window-us", "500", "--speed", "max"]
        assert host.main(["--port", port.path, "--timeout", "0.3", *arguments]) == 0
    *shown, summary = capsys.readouterr().out.splitlines()
    winners = [int(logits_of(bursts_of(sent[: number + 1])).argmax()) for number in range(20)]
    changes = [number for number in range(20) if number == 0 or winners[number] != winners[number - 1]]
    assert [line.split(",")[0] for line in shown] == [f"{at * 5e-4:.3f} s: class {winners[at]}" for at in changes]
    assert summary.startswith("20 timesteps in ")
    assert summary.endswith("; 14.6 us in the network for each result; 0 retries")


def test_the_command_says_that_the_device_was_restarted(tmp_path, capsys):
    line, logits_of = fake(STREAM)
    np.save(tmp_path / "x.npy", frames(20))

    def cycle_after(bursts):
        if len(bursts) == 7:
            line.power_cycle()
        return logits_of(bursts)

    line.logits_of = cycle_after
    with OnTerminal(line) as port:
        arguments = ["stream", "--events", str(tmp_path / "x.npy"), "--speed", "max"]
        assert host.main(["--port", port.path, "--timeout", "0.3", *arguments]) == 2
    [line_of_error] = capsys.readouterr().err.splitlines()
    assert line_of_error.startswith("error: ")
    assert RESTARTED in line_of_error


def test_a_device_of_whole_samples_has_no_streams():
    line = FakeDevice(logits_of=lambda bursts: WEIGHTS @ bursts)
    with Device(line, timeout=TIMEOUT) as device, pytest.raises(UserError, match="takes whole samples"):
        device.stream()


def test_recordings_become_frames(tmp_path):
    """Events of N-MNIST: column, row, polarity in the highest bit of the third byte, and microseconds."""
    identity = replace(STREAM, shape=(2, 34, 34), stream=replace(STREAM.stream, height=34, width=34, beats=1, group=2))
    events = [(3, 4, 0, 100), (3, 4, 0, 1000), (5, 6, 1, 2099), (5, 6, 1, 2100), (0, 0, 0, 9000)]
    content = b"".join(bytes([x, y, p << 7, t >> 8, t & 255]) for x, y, p, t in events)
    path = tmp_path / "recording.bin"
    path.write_bytes(content)
    found = read_frames(path, identity, 1000)
    assert found.shape == (9, 2, 34, 34)
    assert {(*tuple(map(int, place)), int(found[tuple(place)])) for place in np.argwhere(found)} == {
        (0, 0, 4, 3, 2), (1, 1, 6, 5, 1), (2, 1, 6, 5, 1), (8, 0, 0, 0, 1)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"", "not a recording"),
        ("a.bin", b"", "holds no events|no events|empty"),
        ("a.npy", b"nothing", "not a whole array"),
        ("b.npy", None, "takes integers"),
        ("missing.npy", None, "cannot be read"),
    ],
)
def test_other_files_are_one_line(name, content, words, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    elif name == "b.npy":
        np.save(path, np.zeros((3, 2, 5, 7)))
    with pytest.raises(UserError, match=words):
        read_frames(path, STREAM, 3000)
    with contextlib.suppress(UserError), pytest.raises(UserError, match="window-us"):
        read_frames(path, STREAM, 0)
