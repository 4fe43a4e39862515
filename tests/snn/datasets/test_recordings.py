"""Readers of recordings against files written byte by byte: every word is an event, counted as left out, or a fault."""

import struct
import subprocess
import sys

import numpy as np
import pytest

from snn.datasets.aedat import MOST_PACKETS, read_dvs128
from snn.datasets.recordings import Clock, FaultError, read_nmnist
from tests.snn.datasets import event_files as files
from tests.snn.datasets.event_files import (
    HEADER_2,
    HEADER_3,
    aedat2,
    aedat31,
    nmnist,
    packet,
    packets,
    polarity,
    some_events,
    words_2,
    write,
)

RECORDING = some_events(128, 1)
RESETS = "resets of the clock"


def later(recording, microseconds):
    return recording + np.array([0, 0, microseconds, 0])


def as_rows(decoded):
    events = decoded.events
    return np.stack([events[name].astype(np.int64) for name in ("x", "y", "t", "p")], axis=1)


def since_first(rows):
    return later(rows, -rows[0, 2])


def read(path, content, reader=read_dvs128):
    decoded = reader(write(path, content))
    return as_rows(decoded), {remark: count for remark, count in decoded.remarks.items() if count}


@pytest.mark.parametrize(
    ("content", "reader", "size"),
    [(nmnist, read_nmnist, 34), (aedat2, read_dvs128, 128), (aedat31, read_dvs128, 128)],
)
def test_events_are_those_that_were_written(tmp_path, content, reader, size):
    recording = some_events(size, 3)
    rows, remarks = read(tmp_path / "x", content(recording), reader)
    assert (rows == recording).all()
    assert remarks == {}


@pytest.mark.parametrize(
    ("content", "reader", "size", "period"),
    [(nmnist, read_nmnist, 34, 2**23), (aedat2, read_dvs128, 128, 2**32), (aedat31, read_dvs128, 128, 2**31)],
)
def test_a_clock_that_starts_again_from_0(tmp_path, content, reader, size, period):
    recording = some_events(size, 4)
    rows, remarks = read(tmp_path / "x", content(later(recording, period - 50_000)), reader)
    assert (since_first(rows) == since_first(recording)).all()
    assert remarks == {}


def test_overflow_words_of_nmnist_are_not_events(tmp_path):
    before, after = some_events(34, 5), some_events(34, 6)
    after = later(after, int(before[-1, 2]))
    marks = bytes([7, 240, 0, 0, 0]) * 2
    rows, remarks = read(tmp_path / "x", nmnist(before) + marks + nmnist(after), read_nmnist)
    assert (rows == np.concatenate([before, later(after, 2 * 2**13)])).all()
    assert remarks == {}


def test_a_clock_that_was_reset_goes_on(tmp_path):
    first, second = later(RECORDING, 7_000_000), later(some_events(128, 2), 0)
    rows, remarks = read(tmp_path / "x", aedat2(np.concatenate([first, second])))
    joined = later(second, int(first[-1, 2] - second[0, 2]))
    assert (rows == np.concatenate([first, joined])).all()
    assert remarks == {RESETS: 1}


def test_events_that_come_a_little_late_are_not_a_reset():
    clock = Clock(2**32)
    assert clock.times(np.array([50, 40, 60])).tolist() == [50, 40, 60]
    assert clock.times(np.array([55, 2**32 - 5, 3])).tolist() == [55, -5, 3]
    assert clock.resets == 0


def test_times_do_not_depend_on_blocks():
    random = np.random.default_rng(0)
    time = np.cumsum(random.integers(-5_000, 1_900_000, 5000)) + 2**31
    whole, parts = Clock(2**23), Clock(2**23)
    stamps = time % 2**23
    cuts = np.sort(random.integers(0, 5000, 20))
    pieces = [parts.times(piece) for piece in np.split(stamps, cuts)]
    assert (np.concatenate(pieces) == time - time[0] + stamps[0]).all()
    assert (whole.times(stamps) == np.concatenate(pieces)).all()
    assert whole.resets == parts.resets == 0


@pytest.mark.parametrize(("content", "reader", "size"), [(nmnist, read_nmnist, 34), (aedat2, read_dvs128, 128)])
def test_a_clock_that_jumps_is_a_fault(tmp_path, content, reader, size):
    recording = some_events(size, 7)
    recording[100:, 2] += 3_500_000
    with pytest.raises(FaultError, match=r"its clock jumps by 3\.5 s before event 100"):
        reader(write(tmp_path / "x", content(recording)))


def test_words_that_are_not_of_pixels_are_left_out(tmp_path):
    other = struct.pack(">II", 1 << 31 | 5 << 22 | 400, 1) + struct.pack(">II", 1 << 31 | 3 << 10, 2)
    external = struct.pack(">II", 1 << 15 | 4 << 8 | 1, 3)
    content = HEADER_2 + other + words_2(RECORDING[:50]) + external + other + words_2(RECORDING[50:])
    rows, remarks = read(tmp_path / "x", content)
    assert (rows == RECORDING).all()
    assert remarks == {"words of frames, IMU and the like left out": 4, "external events left out": 1}


@pytest.mark.parametrize("named", [True, False])
def test_another_camera_is_refused(tmp_path, named):
    davis = b"".join(struct.pack(">II", y << 22 | x << 12 | p << 11, t) for x, y, t, p in RECORDING.tolist())
    lines = b"# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n" if named else b""
    words = "another camera than a DVS128" + (r" \(eu\.seebetter\.ini\.chips\.davis\.DAVIS240C\)$" if named else "$")
    with pytest.raises(FaultError, match=words):
        read_dvs128(write(tmp_path / "x", HEADER_2 + lines + davis))


@pytest.mark.parametrize(
    "line",
    [
        b"# Creation time: System.nanoTime 12345\r\n",
        b"# Creation time: \n",
        b"#\r\n",
        b"# created Thu Dec 03 14:47:00 CET 2015 by J\xf6rg\r\n",
        b"# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n",
        b'# <entry key="DVS128.Biases.cas" value="false"/>\r\n#\t!\n',
    ],
)
def test_any_line_may_stand_in_a_header(tmp_path, line):
    rows, _ = read(tmp_path / "x", aedat2(RECORDING, line))
    assert (rows == RECORDING).all()
    rows, _ = read(tmp_path / "y", HEADER_3 + line + files.END_HEADER + packets(RECORDING))
    assert (rows == RECORDING).all()


def test_packets_of_other_kinds_are_left_out(tmp_path):
    special = packet(0, [struct.pack("<II", 0 << 1 | 1, 7), struct.pack("<II", 1 << 1 | 1, 0)])
    imu = packet(3, [bytes(36)] * 3)
    rows, remarks = read(tmp_path / "x", HEADER_3 + files.END_HEADER + special + packets(RECORDING) + imu + special)
    assert (rows == RECORDING).all()
    assert remarks == {"events of other kinds left out": 7}


def test_invalid_events_are_left_out(tmp_path):
    mixed = [polarity(x, y, t, p, valid=at % 2) for at, (x, y, t, p) in enumerate(RECORDING.tolist())]
    rows, remarks = read(tmp_path / "x", HEADER_3 + files.END_HEADER + packet(1, mixed, valid=100))
    assert (rows == RECORDING[1::2]).all()
    assert remarks == {"invalid events left out": 100}


EVENT = [polarity(3, 4, 5, 1)]
START = HEADER_3 + files.END_HEADER


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin with the header"),
        (words_2(RECORDING), "does not begin with the header"),
        (b"#!AER-DAT4.0\r\n\x20\0\0\0", r"it is AEDAT 4\.0, and only 2\.0 and 3\.1 are read; convert it"),
        (b"#!AER-DAT1.0\r\n", r"it is AEDAT 1\.0, and only"),
        (b"#!AER-DAT3.0\r\n" + packets(RECORDING), r"it is AEDAT 3\.0, and only"),
        (b"#!AER-DAT99999999999999.0\r\n", "does not name its version"),
        (b"# a comment\r\n" + words_2(RECORDING), r"does not name its version, so it is AEDAT 1\.0"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "is a web page"),
        (b"\n <html>", "is a web page"),
        (HEADER_2, "holds no events"),
        (HEADER_2 + struct.pack(">II", 1 << 31, 0), "holds no events"),
        (aedat2(RECORDING)[:-3], "is cut off: 1597 bytes are not a whole number of 8-byte events"),
        (START, "holds no events"),
        (START + packet(0, EVENT), "holds no events"),
        (START + packet(1, [polarity(3, 4, 5, 1, valid=0)], valid=0), "holds no events"),
        (aedat31(RECORDING)[:-3], "is cut off in packet 4"),
        (START + packet(1, EVENT) + b"\1\0\0", "is cut off in the header of packet 2"),
        (HEADER_3.replace(b"RAW", b"Serial-TS") + packets(RECORDING), "its format is Serial-TS, and only RAW is read"),
        (HEADER_3 + b"#Format: RAW\r\n" + packets(RECORDING)[:-3], "is cut off in packet 4"),
        (HEADER_3.replace(b"RAW", b"x" * 5000) + packets(RECORDING), "its format is xxx"),
        (HEADER_2 + b"# AEChip: " + b"x" * 5000 + b"\r\n" + b"\1" * 8, "another camera"),
        (START + packet(1, EVENT, capacity=2), "header of packet 1 contradicts itself"),
        (START + packet(1, EVENT, valid=2), "header of packet 1 contradicts itself"),
        (START + packet(1, EVENT, valid=0), "1 valid events, and its packets count 0"),
        (START + packet(1, EVENT, number=-1, capacity=-1), "header of packet 1 contradicts itself"),
        (START + packet(1, EVENT, size=-8), "header of packet 1 contradicts itself"),
        (START + packet(1, EVENT, size=0), "header of packet 1 contradicts itself"),
        (START + packet(1, EVENT, overflow=-1), "header of packet 1 contradicts itself"),
        (START + packet(1, EVENT, size=4), "events of packet 1 have 4 bytes, not 8"),
        (START + packet(1, EVENT) + packet(1, EVENT, source=1), "two cameras"),
        (START + packet(1, EVENT, size=2**31 - 1, number=2**31 - 1, capacity=2**31 - 1), "is cut off in packet 1"),
        (START + packet(1, [polarity(128, 4, 5, 1)]), "x = 128, y = 4, outside of 128 x 128 pixels"),
        (START + packet(1, [polarity(0, 239, 5, 1)]), "x = 0, y = 239, outside of 128 x 128 pixels"),
        (START + packet(1, [struct.pack("<II", 1, 1 << 31)]), "time of an event is negative"),
        (START + packet(1, [polarity(0, 0, 90_000, 1)]) + packet(1, EVENT), "its clock goes back"),
        (START + packet(1, EVENT, overflow=1) + packet(1, EVENT), "its clock goes back"),
    ],
)
def test_a_false_aedat_file_is_a_fault(tmp_path, content, words):
    with pytest.raises(FaultError, match=words) as caught:
        read_dvs128(write(tmp_path / "x.aedat", content))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no events"),
        (bytes([3, 240, 0, 0, 1]), "holds no events"),
        (b"abc", "3 bytes are not a whole number of 5-byte events"),
        (bytes([34, 3, 0, 0, 1]), "x = 34, y = 3, outside of 34 x 34 pixels"),
        (bytes([3, 3, 0, 0, 1, 3, 34, 0, 0, 1]), "x = 3, y = 34, outside"),
    ],
)
def test_a_false_recording_of_nmnist_is_a_fault(tmp_path, content, words):
    with pytest.raises(FaultError, match=words):
        read_nmnist(write(tmp_path / "x.bin", content))


@pytest.mark.parametrize("reader", [read_nmnist, read_dvs128])
def test_what_cannot_be_read_is_a_fault(tmp_path, reader):
    for name, words in (("", "it is not a file"), ("none", "cannot be read: No such file")):
        with pytest.raises(FaultError, match=words):
            reader(tmp_path / name)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(FaultError, match=f"has {2**40} bytes, and at most"):
        reader(tmp_path / "huge")


MEASURED = """
import sys, time
from pathlib import Path
from snn.datasets.aedat import read_dvs128
from snn.datasets.recordings import FaultError, read_nmnist
begin = time.monotonic()
try:
    print(len(globals()[sys.argv[1]](Path(sys.argv[2])).events), file=sys.stderr)
except FaultError as error:
    print(error, file=sys.stderr)
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(time.monotonic() - begin, peak)
"""
FULL = 2**27


def padded(start, piece):
    return start + piece * ((FULL - len(start)) // len(piece))


@pytest.mark.parametrize(
    ("reader", "content", "words"),
    [
        ("read_nmnist", lambda: bytes([1, 2, 0, 0, 1]) * (2**24 // 5), str(2**24 // 5)),
        ("read_dvs128", lambda: padded(HEADER_2, bytes(8)), f"{(FULL - len(HEADER_2)) // 8}"),
        ("read_dvs128", lambda: padded(HEADER_2, b"#\r\n"), "header has more than"),
        ("read_dvs128", lambda: b"#\n" * 2**26, "header has more than"),
        ("read_dvs128", lambda: padded(START, packet(1, EVENT)), f"more than {MOST_PACKETS} packets"),
        ("read_dvs128", lambda: padded(START, packet(0, [b"x"], number=0, capacity=0, valid=0)[:-1]), "more than"),
        ("read_dvs128", lambda: START + packet(1, EVENT * (2**24 - 99)), str(2**24 - 99)),
    ],
    ids=["bin", "aedat 2", "header", "header alone", "packets", "empty packets", "one packet"],
)
@pytest.mark.slow
def test_the_largest_files_cost_seconds_and_little_memory(tmp_path, reader, content, words):
    path = write(tmp_path / "x", content())
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED, reader, path], capture_output=True, text=True, check=True
    )
    seconds, kilobytes = map(float, finished.stdout.split())
    assert words in finished.stderr
    assert seconds < 5
    assert kilobytes < 500_000
