"""The driver's streams against a device that was written from the protocol's text, on perfect lines and on bad ones."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from boards.host.device import Device
from boards.host.recording import read_frames
from qblif.errors import UserError
from tests.boards.host.fake_device import IDENTITY, FakeDevice, Noise

WEIGHTS = np.random.default_rng(5).integers(-8, 8, (10, 36))
STREAM = replace(IDENTITY, mode="stream", coding="events", window=1)
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
