"""What a training writes: whole, by one process at a time, and with a way to go on when it could not end."""

import errno
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qblif import progress
from snn import train
from snn.training import sole_training
from tests.snn.killed import WORDS, with_moments

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("model.pt", "model.csv", "model.json")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def moments(monkeypatch, tmp_path):
    """Actions by moment, "before run_epoch 3" is the third of that name; training happens in the test's folder."""
    actions: dict[str, Callable[[], object]] = {}
    passed: list[str] = []

    def at(number):
        name = passed[number]
        action = actions.pop(f"{name} {passed[: number + 1].count(name)}", None)
        if action is not None:
            action()

    passed = with_moments(monkeypatch.setattr, at)
    monkeypatch.setattr(progress.REPORTER, "slow_seconds", 3600.0)
    monkeypatch.chdir(tmp_path)
    return actions


def in_a_folder(folder: Path, *words: str) -> dict[str, bytes]:
    """The files of an unbroken training."""
    folder.mkdir()
    os.chdir(folder)
    assert train.main([*WORDS, *words]) == 0
    os.chdir(folder.parent)
    return contents(folder)


def other_process(*words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.snn.killed", "-1", *WORDS, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_second_training_of_the_same_files_is_refused(moments, tmp_path):
    """Another process comes while this one trains: it ends in one line, and changes nothing."""
    expected = in_a_folder(tmp_path / "alone")
    ended = []

    def come_between():
        other = other_process("--seed", "2")
        ended.append((other.communicate()[1], other.returncode))

    (tmp_path / "together").mkdir()
    os.chdir(tmp_path / "together")
    moments["before run_epoch 7"] = come_between  # four were of the training alone
    assert train.main(WORDS) == 0
    ((line, code),) = ended
    assert code == 2
    assert line.startswith("error: another process is writing model")
    assert len(line.splitlines()) == 1
    assert contents(tmp_path / "together") == expected


@pytest.mark.usefixtures("moments")
@pytest.mark.slow
def test_two_trainings_at_once_never_mix(tmp_path):
    alone = [in_a_folder(tmp_path / f"alone_{seed}", "--seed", str(seed)) for seed in (1, 2)]
    refused = 0
    for number in range(10):
        folder = tmp_path / f"both_{number}"
        folder.mkdir()
        os.chdir(folder)
        processes = [other_process("--seed", str(seed)) for seed in (1, 2)]
        lines = [process.communicate()[1] for process in processes]
        codes = [process.returncode for process in processes]
        assert set(codes) <= {0, 2}
        assert 0 in codes
        refused += 2 in codes
        assert all(line.startswith("error: another") for line, code in zip(lines, codes, strict=True) if code)
        assert contents(folder) in alone
    assert refused, "they were never at it together"


@pytest.mark.usefixtures("moments")
@pytest.mark.parametrize("other", ["model.pt", "model.ckpt"])
def test_the_lock_is_that_of_log_and_record_too(tmp_path, fails, other):
    with sole_training(tmp_path / other):
        assert "another process" in fails(train.main, *WORDS)
    with sole_training(tmp_path / "model_2.pt"):
        assert train.main(WORDS) == 0


@pytest.mark.usefixtures("moments")
def test_what_a_killed_process_left_half_written_goes(tmp_path):
    left = [tmp_path / f"{name}.abc.partial" for name in (*FILES, "model.pt.resume")]
    others = [tmp_path / name for name in ("model_2.pt.abc.partial", "model.txt.abc.partial")]
    for path in (*left, *others):
        path.write_text("half")
    assert train.main(WORDS) == 0
    assert set(contents(tmp_path)) == {*FILES, *(path.name for path in others)}


WRITES = 10
"""Of a training of four epochs: state and log of each, then record and checkpoint."""


@pytest.mark.usefixtures("moments")
def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path, monkeypatch, fails, capsys):
    """Whichever write it is that fails: a state, a log, the record, the checkpoint."""
    assert train.main([*WORDS, "--seed", "2"]) == 0
    old = contents(tmp_path)
    expected = in_a_folder(tmp_path / "alone")
    counted, full_at = [], 0
    originals = Path.write_bytes, Path.write_text

    def limited(original):
        def write(path, *arguments, **more):
            counted.append(path)
            if len(counted) == full_at:
                with path.open("wb") as file:
                    file.write(b"as much as there was room for")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(path, *arguments, **more)

        return write

    monkeypatch.setattr(Path, "write_bytes", limited(originals[0]))
    monkeypatch.setattr(Path, "write_text", limited(originals[1]))
    for full_at in (1, 4, 5, 9, 10):
        folder = tmp_path / f"full_{full_at}"
        folder.mkdir()
        for name, content in old.items():
            originals[0](folder / name, content)
        os.chdir(folder)
        counted.clear()
        capsys.readouterr()
        line = fails(train.main, *WORDS)
        assert "No space left on device" in line
        assert "cannot write model." in line
        found = contents(folder)
        assert (found["model.pt"], found["model.json"]) == (old["model.pt"], old["model.json"])
        assert set(found) - {"model.pt.resume"} == set(FILES)
        assert ("--resume" in line) == (full_at > 1)
        counted.clear()
        counted += [None] * WRITES
        resume = ["--resume"] * (full_at > 1)
        assert train.main([*WORDS, *resume]) == 0
        assert contents(folder) == expected


@pytest.mark.usefixtures("moments")
def test_a_file_system_that_takes_no_more(tmp_path, fails, capsys):
    """The kernel's own refusal: files may not grow beyond some bytes."""
    assert train.main(WORDS) == 0
    old = contents(tmp_path)
    assert len(old["model.pt"]) > 4096 > len(old["model.csv"])
    capsys.readouterr()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        line = fails(train.main, *WORDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot write model.pt.resume" in line
    assert contents(tmp_path) == old


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("moment", "says"),
    [
        ("before _loss 1", "nothing to go on from"),
        ("before run_epoch 3", "2 of 4 epochs are kept; the same command with --resume"),
        ("before content_of 1", "4 of 4 epochs are kept; the same command with --resume"),
    ],
)
def test_an_interrupted_training_says_how_to_go_on(moments, tmp_path, capsys, number, code, moment, says):
    moments[moment] = lambda: signal.raise_signal(number)
    assert train.main(WORDS) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if "--resume" in says:
        assert train.main([*WORDS, "--resume"]) == 0
        assert set(contents(tmp_path)) == set(FILES)


@pytest.mark.usefixtures("moments")
def test_without_a_terminal_a_training_says_where_it_is(monkeypatch, capsys):
    log = io.StringIO()
    for name, value in (("stream", log), ("slow_seconds", 0.0), ("sign_seconds", 0.001)):
        monkeypatch.setattr(progress.REPORTER, name, value)
    assert train.main(WORDS) == 0
    lines = log.getvalue().splitlines()
    for step in ("reading digits", "training", "counting the activity that the planner goes by"):
        assert any(line.startswith(f"{step}, ") and line.endswith(" s") for line in lines), step
    signs = [line for line in lines if line.startswith("training: ")]
    assert any("epoch 3 of 4, integer: loss " in line and "test accuracy" in line for line in signs)
    assert "qat checkpoint" in capsys.readouterr().out
