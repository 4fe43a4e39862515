"""A record is played to a device, beat by beat."""

from dataclasses import replace

import numpy as np
import pytest

from boards.host import __main__ as host
from qblif.heartbeats import CONTEXT, FEATURES, features
from qblif.streams import BurstStream
from snn.datasets.mitbih import read_record
from tests.boards.host.fake_device import IDENTITY, FakeDevice, OnTerminal
from tests.snn.datasets.ecg_files import CLASSES, written


def device(features_taken, classes=5):
    """Takes whole bytes, remembers them, and says what the last one is modulo the classes."""
    identity = replace(
        IDENTITY,
        shape=(1, 1, features_taken),
        bits=8,
        stream=BurstStream(steps=1, beats=features_taken, group=1, burst_bits=8),
        classes=classes,
    )
    seen: list[list[int]] = []

    def logits_of(bursts):
        seen.append(bursts.reshape(-1).tolist())
        return np.arange(classes) == seen[-1][-1] % classes

    return FakeDevice(identity, logits_of), seen


@pytest.mark.parametrize("taken", [CONTEXT, FEATURES])
def test_every_beat_reaches_the_device(tmp_path, capsys, taken):
    written(tmp_path, "100", 3)
    record = read_record(tmp_path, "100")
    expected = features(record.samples, record.peaks)[:, :taken]
    fake, seen = device(taken)
    with OnTerminal(fake) as port:
        words = ["--port", port.path, "heartbeats", "--record", str(tmp_path / "100"), "--speed", "max"]
        assert host.main(words) == 0
    assert seen == expected.tolist()
    lines = capsys.readouterr().out.splitlines()
    said = [int(beat[-1]) % 5 for beat in expected]
    odd = [place for place, label in enumerate(CLASSES) if label or said[place]]
    assert [float(line.split()[0]) for line in lines[:-1]] == [round(record.peaks[place] / 360, 3) for place in odd]
    assert lines[0].endswith(f"{'NSVFQ'[said[odd[0]]]}, annotated {'NSVFQ'[CLASSES[odd[0]]]}")
    right = sum(one == label for one, label in zip(said, CLASSES, strict=True))
    assert lines[-1].startswith(f"7 beats, {right} as annotated")


def test_in_real_time_a_beat_waits_for_the_next(tmp_path, capsys, monkeypatch):
    written(tmp_path, "100", 3)
    waited: list[float] = []
    monkeypatch.setattr("boards.host.heartbeats.time.sleep", waited.append)
    with OnTerminal(device(CONTEXT)[0]) as port:
        words = ["--port", port.path, "heartbeats", "--record", str(tmp_path / "100"), "--count", "2"]
        assert host.main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 beats")
    assert any(abs(seconds - 700 / 360) < 0.3 for seconds in waited)
    assert any(abs(seconds - 1000 / 360) < 0.5 for seconds in waited)


@pytest.mark.parametrize(
    ("taken", "classes", "words", "reason"),
    [
        (7, 5, [], "one for heartbeats takes 14 or 78"),
        (CONTEXT, 10, [], "10 classes"),
        (CONTEXT, 5, ["--count", "0"], "at least 1"),
        (CONTEXT, 5, ["--record", "none"], "none.hea"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, fails, taken, classes, words, reason):
    written(tmp_path, "100", 3)
    with OnTerminal(device(taken, classes)[0]) as port:
        line = fails(host.main, "--port", port.path, "heartbeats", "--record", str(tmp_path / "100"), *words)
    assert reason in line
