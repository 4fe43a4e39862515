"""Data sets written as spike trains."""

import numpy as np
import pytest

from qblif.spikes import delta, latency, rate
from snn.datasets import coded, data

DIGITS = ["--data", "digits", "--count", "12"]


def run(tmp_path, *words: str) -> data.Images:
    out = tmp_path / "coded.npz"
    assert coded.main([*words, "--out", str(out)]) == 0
    assert data.coding_of(f"npz:{out}") == "events"
    return data.load(f"npz:{out}", "test")


def test_rates(tmp_path):
    found = run(tmp_path, *DIGITS, "--coding", "rate", "--timesteps", "7", "--seed", "3")
    digits = data.load("digits", "test").first(12)
    assert (found.pixels == rate(digits.pixels, 7, seed=7)).all()
    assert (found.labels == digits.labels).all()


def test_latencies(tmp_path):
    options = ["--coding", "latency", "--timesteps", "9", "--tau", "3", "--linear"]
    digits = data.load("digits", "test").first(12)
    assert (run(tmp_path, *DIGITS, *options).pixels == latency(digits.pixels, 9, tau=3, linear=True)).all()


def test_changes(tmp_path):
    recordings = np.random.default_rng(1).integers(0, 256, (5, 6, 2, 3, 4)).astype(np.uint8)
    parts = {f"samples_{split}": recordings for split in ("train", "test")}
    labels = {f"labels_{split}": np.arange(5) for split in ("train", "test")}
    np.savez(tmp_path / "own.npz", allow_pickle=False, **parts, **labels)
    found = run(tmp_path, "--data", f"npz:{tmp_path / 'own.npz'}", "--coding", "delta", "--off-spikes")
    assert (found.pixels == delta(recordings, threshold=0.1, off_spikes=True)).all()


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("delta is for recordings", [*DIGITS, "--coding", "delta"]),
        ("take --count", [*DIGITS, "--coding", "rate", "--timesteps", "4000000"]),
        ("--count 1 or more", ["--data", "digits", "--count", "0", "--coding", "rate"]),
        ("1 timestep", [*DIGITS, "--coding", "latency", "--timesteps", "0"]),
        ("threshold", [*DIGITS, "--coding", "latency", "--threshold", "2"]),
    ],
)
def test_what_cannot_be_coded_is_one_line(words, options, tmp_path, capsys):
    out = tmp_path / "coded.npz"
    assert coded.main([*options, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not out.exists()
