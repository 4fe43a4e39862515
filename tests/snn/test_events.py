"""Event data sets from files in their own formats, written here byte by byte, and from real recordings."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from hw.errors import UserError
from snn import data, events

CLASSES = events.CIFAR10_CLASSES


def some_events(size: int, seed: int, count: int = 200) -> np.ndarray:
    """Events (x, y, t, p) in order of time."""
    random = np.random.default_rng(seed)
    time = np.sort(random.integers(0, 100_000, count))
    return np.stack([*random.integers(0, size, (2, count)), time, random.integers(0, 2, count)], axis=1)


def by_hand(recording: np.ndarray, size: int, timesteps: int) -> np.ndarray:
    counts = np.zeros((timesteps, 2, size, size), dtype=np.int64)
    first, last = recording[0, 2], recording[-1, 2]
    for x, y, t, p in recording.tolist():
        counts[(t - first) * timesteps // (last - first + 1), p, y, x] += 1
    return counts


def nmnist_file(path: Path, recording: np.ndarray) -> None:
    """Five bytes an event: x, y, then polarity (1 bit) and microseconds (23 bits), big-endian."""
    words = [bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in recording.tolist()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(words))


def aedat2_file(path: Path, recording: np.ndarray) -> None:
    """AEDAT 2.0 of a DVS128: a header of lines with #, then address and microseconds, big-endian."""
    words = [struct.pack(">II", x << 8 | y << 1 | p, t) for x, y, t, p in recording.tolist()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"#!AER-DAT2.0\r\n# a comment\r\n" + b"".join(words))


def aedat31_file(path: Path, recording: np.ndarray) -> None:
    """AEDAT 3.1: packets of a 28-byte header and polarity events, little-endian."""
    packets = []
    for start in range(0, len(recording), 64):
        part = recording[start : start + 64]
        header = struct.pack("<HHIIIIII", 1, 0, 8, 4, 0, len(part), len(part), len(part))
        packets.append(header + b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for x, y, t, p in part))
    path.write_bytes(b"#!AER-DAT3.1\r\n#End Of ASCII Header\r\n" + b"".join(packets))


def test_nmnist(tmp_path):
    recordings = {(split, digit): some_events(34, digit) for split in ("Train", "Test") for digit in (0, 7)}
    for (split, digit), recording in recordings.items():
        nmnist_file(tmp_path / "NMNIST" / split / str(digit) / "00001.bin", recording)
    images = data.load("nmnist", "test", tmp_path, 3)
    assert images.labels.tolist() == [0, 7]
    assert images.shape == (2, 34, 34)
    assert images.pixels.dtype == np.uint8
    for frames, digit in zip(images.pixels, (0, 7), strict=True):
        assert (frames == by_hand(recordings["Test", digit], 34, 3)).all()


def test_cifar10_dvs(tmp_path):
    for label, name in enumerate(CLASSES):
        for number in range(12):
            recording = some_events(128, label * 100 + number, 50)
            aedat2_file(tmp_path / name / f"cifar10_{name}_{number}.aedat", recording)
    train, test = (data.load("cifar10_dvs", split, tmp_path, 2) for split in ("train", "test"))
    assert test.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert len(train.labels) == 100
    # Numbers 0 and 10 of each class, in the order of the numbers and not of the letters.
    assert (test.pixels[3] == by_hand(some_events(128, 110, 50), 128, 2)).all()


def test_dvs128_gesture(tmp_path):
    recording = some_events(128, 5, 300)
    cuts = [(0, 40_000), (40_000, 99_000)]
    for name in ("user01_led", "user02_led"):
        aedat31_file(tmp_path / f"{name}.aedat", recording)
        rows = [f"{gesture},{begin},{end}" for gesture, (begin, end) in zip((3, 11), cuts, strict=True)]
        (tmp_path / f"{name}_labels.csv").write_text("\n".join(["class,startTime_usec,endTime_usec", *rows]) + "\n")
    (tmp_path / "trials_to_train.txt").write_text("user01_led.aedat\n")
    (tmp_path / "trials_to_test.txt").write_text("user02_led.aedat\n\n")
    images = data.load("dvs128_gesture", "test", tmp_path, 4)
    assert images.labels.tolist() == [2, 10]
    for frames, (begin, end) in zip(images.pixels, cuts, strict=True):
        inside = recording[(recording[:, 2] >= begin) & (recording[:, 2] < end)]
        assert (frames == by_hand(inside, 128, 4)).all()


def test_counts_stay_bytes():
    busy = np.zeros(300, dtype=[("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])
    assert events.frames(busy, 2, 1).tolist() == [[[[255, 0], [0, 0]], [[0, 0], [0, 0]]]]
    assert not events.frames(busy[:0], 2, 3).any()


@pytest.mark.parametrize("name", events.EVENT_LOADERS)
def test_what_is_not_there_is_named(name, tmp_path):
    with pytest.raises(UserError, match="--data-dir"):
        data.load(name, "train")
    with pytest.raises(UserError, match=f"{name}: no .* in {tmp_path}"):
        data.load(name, "train", tmp_path)


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "Test" / "1").mkdir(parents=True)
    for content in (b"", bytes([200, 3, 0, 0, 1]), b"abc"):
        (tmp_path / "Test" / "1" / "00001.bin").write_bytes(content)
        with pytest.raises(UserError, match=r"00001\.bin"):
            data.load("nmnist", "test", tmp_path, 2)
    (tmp_path / "Train").mkdir()
    with pytest.raises(UserError, match="no recordings"):
        data.load("nmnist", "train", tmp_path, 2)


def test_real_recordings_of_nmnist():
    folder = Path(os.environ.get("QBLIF_DATA", "")) / "NMNIST"
    if not folder.is_dir():
        pytest.skip("no NMNIST here; QBLIF_DATA may name a folder that holds it")
    images = data.load("nmnist", "test", folder.parent, 4)
    path = min((folder / "Test").glob("0/*.bin"))
    raw = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, 5).astype(np.int64)
    time = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    recording = np.stack([raw[:, 0], raw[:, 1], time, raw[:, 2] >> 7], axis=1)
    assert (images.pixels[0] == by_hand(recording, 34, 4)).all()
    assert images.labels[0] == 0
