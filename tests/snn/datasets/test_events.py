"""Event data sets from files in their own formats, written here byte by byte, and from real recordings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qblif.errors import UserError
from snn.datasets import data, events
from snn.datasets.recordings import EVENT, FaultError
from tests.snn.datasets import event_files as files
from tests.snn.datasets.event_files import by_hand, some_events, write

CLASSES = events.CIFAR10_CLASSES


def test_nmnist(tmp_path):
    recordings = {(split, digit): some_events(34, digit) for split in ("Train", "Test") for digit in (0, 7)}
    for (split, digit), recording in recordings.items():
        write(tmp_path / "NMNIST" / split / str(digit) / "00001.bin", files.nmnist(recording))
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
            write(tmp_path / name / f"cifar10_{name}_{number}.aedat", files.aedat2(recording))
    train, test = (data.load("cifar10_dvs", split, tmp_path, 2) for split in ("train", "test"))
    assert test.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert len(train.labels) == 100
    # Numbers 0 and 10 of each class, in the order of the numbers and not of the letters.
    assert (test.pixels[3] == by_hand(some_events(128, 110, 50), 128, 2)).all()


CUTS = [(0, 40_000), (40_000, 99_000)]
LABELS = "class,startTime_usec,endTime_usec"


def gesture_set(
    folder, rows=("3,0,40000", "11,40000,99000"), first=LABELS, content=None, trials="user02_led.aedat\n\n"
):
    """DVS128 Gesture of one session per split, the one of the test set with these rows of labels."""
    session = files.aedat31(some_events(128, 5, 300))
    for name, lines in (("user01_led", [LABELS, "1,0,99000", ""]), ("user02_led", [first, *rows])):
        write(folder / f"{name}.aedat", session if content is None else content)
        (folder / f"{name}_labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\n")
    (folder / "trials_to_test.txt").write_text(trials)
    return folder


def test_dvs128_gesture(tmp_path):
    images = data.load("dvs128_gesture", "test", gesture_set(tmp_path), 4)
    recording = some_events(128, 5, 300)
    assert images.labels.tolist() == [2, 10]
    for frames, (begin, end) in zip(images.pixels, CUTS, strict=True):
        inside = recording[(recording[:, 2] >= begin) & (recording[:, 2] < end)]
        assert (frames == by_hand(inside, 128, 4)).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rows": ["0,0,40000"]}, "line 2: no gesture 0 (1 to 11)"),
        ({"rows": ["3,0,40000", "12,40000,99000"]}, "line 3: no gesture 12 (1 to 11)"),
        ({"rows": ["3,40000,40000"]}, "line 2: no gesture 3 (1 to 11) from 40000 to 40000 us"),
        ({"rows": ["3,5"]}, "line 2 is not class,startTime_usec,endTime_usec in whole numbers: '3,5'"),
        ({"rows": ["3,5,6,7"]}, "line 2 is not"),
        ({"rows": ["3,-5,6"]}, "line 2 is not"),
        ({"rows": ["3,5,6e4"]}, "line 2 is not"),
        ({"rows": ["3,0," + "9" * 5000]}, "line 2 is not"),
        ({"first": "3,0,40000"}, "does not begin with the line class,startTime_usec,endTime_usec"),
        ({"first": "", "rows": []}, "does not begin with the line"),
        ({"rows": ["3,200000,300000"]}, "200000 to 300000 us: it holds no events in that time"),
        ({"rows": []}, "there are no recordings"),
        ({"content": b""}, "user02_led.aedat, 0 to 40000 us: it does not begin with the header"),
        ({"trials": "../user02_led.aedat"}, "names '../user02_led.aedat', which is not a file of its folder"),
        ({"trials": "user\0.aedat"}, "which is not a file of its folder"),
        ({"trials": "u" * 5000}, "which is not a file of its folder"),
        ({"trials": "user03_led.aedat"}, "user03_led_labels.csv: it cannot be read: No such file"),
    ],
)
def test_a_false_session_is_named(tmp_path, arguments, words):
    with pytest.raises(UserError, match=re.escape(words)):
        data.load("dvs128_gesture", "test", gesture_set(tmp_path, **arguments), 4)


def test_counts_stay_bytes():
    busy = np.zeros(300, dtype=EVENT)
    assert events.frames(busy, 2, 1).tolist() == [[[[255, 0], [0, 0]], [[0, 0], [0, 0]]]]


def test_frames_do_not_depend_on_blocks(monkeypatch):
    recording = some_events(34, 8)
    rows = np.array([tuple(row) for row in recording.tolist()], dtype=EVENT)
    monkeypatch.setattr(events, "BLOCK", 7)
    assert (events.frames(rows, 34, 3) == by_hand(recording, 34, 3)).all()
    late = recording[recording[:, 2] >= 50_000]
    assert (events.frames(rows, 34, 3, (50_000, 10**9)) == by_hand(late, 34, 3)).all()


def test_times_too_far_apart_for_64_bits_are_a_fault():
    rows = np.zeros(2, dtype=EVENT)
    rows["t"] = 0, 2**62
    with pytest.raises(FaultError, match="span"):
        events.frames(rows, 2, 3)


@pytest.mark.parametrize("name", events.EVENT_LOADERS)
def test_what_is_not_there_is_named(name, tmp_path):
    with pytest.raises(UserError, match="--data-dir"):
        data.load(name, "train")
    with pytest.raises(UserError, match=f"{name}: no .* in {tmp_path}"):
        data.load(name, "train", tmp_path)


def test_damaged_files_are_named(tmp_path):
    for content in (b"", bytes([200, 3, 0, 0, 1]), b"abc"):
        write(tmp_path / "Test" / "1" / "00001.bin", content)
        with pytest.raises(UserError, match=r"00001\.bin: .*; replace it, or take it out of the folder$"):
            data.load("nmnist", "test", tmp_path, 2)
    (tmp_path / "Train").mkdir()
    with pytest.raises(UserError, match="no recordings"):
        data.load("nmnist", "train", tmp_path, 2)


def many_recordings(folder, faulty):
    """100 recordings of the digit 7, of which those numbers hold nothing."""
    for number in range(100):
        content = b"" if number in faulty else files.nmnist(some_events(34, number, 5))
        write(folder / "Test" / "7" / f"{number:05}.bin", content)


def test_a_few_unusable_recordings_are_left_out_and_named(tmp_path, capsys):
    many_recordings(tmp_path, (3, 60))
    images = data.load("nmnist", "test", tmp_path, 2)
    assert images.labels.tolist() == [7] * 98
    assert images.pixels.shape == (98, 2, 2, 34, 34)
    assert (images.pixels[3] == by_hand(some_events(34, 4, 5), 34, 2)).all()
    said = capsys.readouterr().err
    for number in (3, 60):
        assert f"note: left out: {tmp_path / 'Test' / '7' / f'{number:05}.bin'}: it holds no events\n" in said
    assert f"note: {tmp_path / 'Test'} holds no .bin files of 0, 1, 2, 3, 4, 5, 6, 8, 9\n" in said


def test_more_unusable_recordings_are_refused(tmp_path, capsys):
    many_recordings(tmp_path, (3, 60, 61))
    with pytest.raises(UserError, match=r"00061\.bin: it holds no events; .* \(2 recordings before it cannot be used"):
        data.load("nmnist", "test", tmp_path, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["aedat", "aedat4"])
def test_aedat_4_is_seen_and_refused(tmp_path, suffix):
    for name in CLASSES:
        write(tmp_path / name / f"cifar10_{name}_0.{suffix}", b"#!AER-DAT4.0\r\n\x20\0\0\0")
    with pytest.raises(UserError, match=rf"airplane_0\.{suffix}: it is AEDAT 4\.0, .* convert it to AEDAT 2\.0"):
        data.load("cifar10_dvs", "test", tmp_path, 2)


def test_what_is_left_out_is_said(tmp_path, capsys):
    reset = np.concatenate([some_events(128, 1, 20), some_events(128, 2, 20)])
    reset[20:, 2] = 0
    external = b"\0\0\x80\0\0\0\0\1" * 3
    for name in CLASSES:
        write(tmp_path / name / "a_0.aedat", files.aedat2(reset) + external)
        write(tmp_path / name / "a_1.aedat4.part", b"")
        write(tmp_path / name / ".hidden", b"")
    data.load("cifar10_dvs", "test", tmp_path, 2)
    first = tmp_path / "airplane" / "a_0.aedat"
    assert capsys.readouterr().err.splitlines() == [
        f"note: 10 files in {tmp_path} are not .aedat or .aedat4 files; the first is "
        f"{tmp_path / 'airplane' / 'a_1.aedat4.part'}",
        f"note: cifar10_dvs: 30 external events left out, in 10 files; the first is {first}",
        f"note: cifar10_dvs: 10 resets of the clock, in 10 files; the first is {first}",
    ]


def test_too_many_timesteps_are_refused(tmp_path):
    write(tmp_path / "Test" / "1" / "00001.bin", files.nmnist(some_events(34, 1)))
    with pytest.raises(UserError, match=f"no memory for 1 recordings of {10**15} timesteps"):
        data.load("nmnist", "test", tmp_path, 10**15)


def test_event_sets_need_numpy_alone():
    program = "import sys, snn.datasets.data; print(*{'torch', 'tonic', 'amaranth'} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ""


def test_real_recordings_of_nmnist():
    folder = Path(os.environ.get("QBLIF_DATA", "")) / "NMNIST"
    if not folder.is_dir():
        pytest.skip("no NMNIST here; QBLIF_DATA may name a folder that holds it")
    images = data.load("nmnist", "test", folder.parent, 4)
    paths = sorted((folder / "Test").glob("[0-9]/*.bin"))
    assert len(images.labels) == len(paths)
    for path, frames, label in list(zip(paths, images.pixels, images.labels, strict=True))[:50]:
        raw = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, 5).astype(np.int64)
        time = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
        recording = np.stack([raw[:, 0], raw[:, 1], time, raw[:, 2] >> 7], axis=1)
        assert (frames == by_hand(recording, 34, 4)).all()
        assert label == int(path.parent.name)
