"""The features of heartbeats: C and numpy compute the same bytes, and they mean what their table says."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from qblif.heartbeats import AFTER, BEFORE, CONTEXT, FEATURES, LONG, PARTS, features, logarithm
from qblif.network.checks import NetworkError

SOURCE = Path(__file__).resolve().parents[2] / "boards" / "host" / "heartbeats.c"


class State(ctypes.Structure):
    _fields_ = [
        ("beats", ctypes.c_uint32),
        ("intervals", ctypes.c_uint16 * LONG),
        ("usual", ctypes.c_int32 * 64),
        ("height", ctypes.c_int32),
    ]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    library = tmp_path_factory.mktemp("heartbeats") / "heartbeats.so"
    flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-fsanitize=undefined"]
    flags += ["-fno-sanitize-recover=all", "-static-libubsan"]
    subprocess.run(["gcc", *flags, "-shared", "-fPIC", SOURCE, "-o", library], check=True)
    return ctypes.CDLL(str(library))


def beat_by_beat(compiled, samples, peaks):
    state, found = State(), np.zeros((len(peaks), FEATURES), dtype=np.uint8)
    padded = np.pad(samples.astype(np.int16), (BEFORE, AFTER), mode="edge")
    between = np.minimum(np.diff(peaks), 65535).tolist()
    for place, peak in enumerate(peaks.tolist()):
        window = np.ascontiguousarray(padded[peak : peak + BEFORE + AFTER])
        before, behind = between[max(place - 1, 0)], between[min(place, len(between) - 1)]
        pointers = (window.ctypes.data_as(ctypes.c_void_p), found[place].ctypes.data_as(ctypes.c_void_p))
        compiled.heartbeats_next(
            ctypes.byref(state), pointers[0], ctypes.c_uint16(before), ctypes.c_uint16(behind), pointers[1]
        )
    return found


def recording(seed, beats, *, height=400, noise=20, base=1000):
    """Beats of a smooth shape at irregular intervals, every ninth early and of another shape."""
    random = np.random.default_rng(seed)
    intervals = random.integers(200, 400, beats) // np.where(np.arange(beats) % 9 == 4, 2, 1)
    peaks = 150 + np.cumsum(intervals)
    at = np.arange(peaks[-1] + 200)
    signal = base + random.normal(0, noise, len(at))
    for place, peak in enumerate(peaks):
        width = 20 if place % 9 == 4 else 6
        signal += height * np.exp(-(((at - peak) / width) ** 2))
    return np.clip(np.round(signal), -32767, 32767).astype(np.int64), peaks


@pytest.mark.parametrize(
    ("samples", "peaks"),
    [
        recording(1, 300),
        recording(2, 40, height=-500, base=-200),
        recording(3, 20, height=0, noise=0),
        recording(4, 60, height=60000, noise=30000),
        (np.zeros(200_000, dtype=np.int64), np.array([0, 1, 2, 150_000, 199_999])),
    ],
    ids=["ordinary", "downward", "silent", "full range", "odd intervals"],
)
def test_c_and_numpy_compute_the_same_bytes(compiled, samples, peaks):
    assert (beat_by_beat(compiled, samples, peaks) == features(samples, peaks)).all()


def test_the_rhythm_is_that_of_the_table():
    samples, peaks = np.zeros(100_000, dtype=np.int64), np.cumsum([300] * 150 + [150, 450, 300])
    found = features(samples, peaks)[:, :6]
    assert found[100].tolist() == [100, 100, 100, 100, 100, 0]
    early = 150
    mean = (127 * 300 + 150) // 128
    assert found[early].tolist() == [
        15000 // mean,
        45000 // mean,
        15000 // ((7 * 300 + 150) // 8),
        33,
        30000 // mean,
        0,
    ]
    assert found[early + 1, 5] == 100 * (150 // 16) // ((126 * 300 + 150 + 450) // 128)


def test_the_shape_is_relative_to_the_usual_beat():
    samples, peaks = recording(5, 100, noise=0)
    found = features(samples, peaks)
    assert (features(3 * samples, peaks)[:, :6] == found[:, :6]).all()
    usual, other = found[np.arange(100) % 9 == 3], found[np.arange(100) % 9 == 4]
    qrs = slice(6 + PARTS.index(21), 6 + PARTS.index(28))
    assert (other[9:, qrs].min(axis=1) > usual[9:, qrs].max() - 40).all()
    assert other[:, qrs].mean() > usual[:, qrs].mean() + 20
    # The peak is in value 24, and about as high as the patient's beats usually are: 64 above the middle.
    assert (np.abs(usual[5:, CONTEXT + 24].astype(int) - 192) < 25).all()


def test_the_logarithm_is_about_sixteen_times_that_to_base_two():
    values = np.unique(np.geomspace(1, 60000, 3000).astype(np.int64))
    assert (np.abs(logarithm(values) - np.minimum(16 * np.log2(values), 255)) < 2.4).all()
    assert (np.diff(logarithm(np.arange(70000))) >= 0).all()
    assert logarithm(np.array([0, 1, 2**20])).tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("samples", "peaks", "reason"),
    [
        (np.zeros(9), np.array([1, 2]), "integers"),
        (np.full(9, 2**15), np.array([1, 2]), "16 bits"),
        (np.zeros(9, dtype=int), np.array([1]), "two R peaks"),
        (np.zeros(9, dtype=int), np.array([2, 2]), "one after the other"),
        (np.zeros(9, dtype=int), np.array([2, 9]), "outside"),
    ],
)
def test_what_is_no_recording_is_refused(samples, peaks, reason):
    with pytest.raises(NetworkError, match=reason):
        features(samples, peaks)
