"""What a training writes follows from its command alone, however often it is killed, and whenever."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from snn import run, train
from tests.snn.killed import WORDS, with_moments

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("model.pt", "model.csv", "model.json")


class KilledError(BaseException):
    """Nothing catches it."""


class Trainings:
    """Runs trainings, each in a folder of its own, in this process or another."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.last: int | None = None
        self.passed = with_moments(monkeypatch.setattr, self.at)

    def at(self, number: int) -> None:
        if number == self.last:
            raise KilledError

    def unbroken(self, name: str, *words: str) -> list[str]:
        """Train in the folder ``name``; returns its moments."""
        self.enter(name)
        self.last = None
        self.passed.clear()
        assert train.main([*WORDS, *words]) == 0
        return [*self.passed]

    def broken(self, name: str, moment: int, *words: str) -> None:
        """The same, killed at a moment and gone on with."""
        self.enter(name)
        self.last = moment
        self.passed.clear()
        with pytest.raises(KilledError):
            train.main([*WORDS, *words])
        self.unbroken(name, *words, *["--resume"] * (self.folder / name / "model.pt.resume").exists())

    def enter(self, name: str) -> None:
        (self.folder / name).mkdir(exist_ok=True)
        self.monkeypatch.chdir(self.folder / name)


@pytest.fixture
def trainings(tmp_path, monkeypatch):
    return Trainings(tmp_path, monkeypatch)


def assert_same_files(one: Path, other: Path, what: str = "") -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), f"{name} {what}"
    assert {path.name for path in other.iterdir()} == set(FILES), "and nothing else is left"


def outside_steps(moments: list[str]) -> list[int]:
    """Moments between the steps of an epoch, and the ends of some steps."""
    return [number for number, moment in enumerate(moments) if not moment.endswith("_loss") or number % 7 == 0]


def boundary(moments: list[str]) -> int:
    """The moment at which the integer phase is about to begin."""
    return [number for number, moment in enumerate(moments) if moment == "before run_epoch"][2]


def test_killed_at_every_moment(trainings, tmp_path):
    moments = trainings.unbroken("whole")
    assert "before begin" in moments
    for number in outside_steps(moments)[::4]:
        trainings.broken(f"broken_{number}", number)
        assert_same_files(tmp_path / "whole", tmp_path / f"broken_{number}", f"killed {moments[number]} ({number})")


@pytest.mark.parametrize("kind", ["average", "teacher", "like", "no floats", "augmented"])
def test_killed_between_the_phases(trainings, tmp_path, digits_checkpoint, kind):
    words = {
        "average": ["--average", "0.9"],
        "teacher": ["--teacher", str(digits_checkpoint), "--distillation", "0.7"],
        "like": ["--like", "../like/model.pt", "--seed", "5"],
        "no floats": ["--float-epochs", "0", "--qat-epochs", "4"],
        "augmented": ["--shift", "1", "--rotate", "10"],
    }[kind]
    if kind == "like":
        trainings.unbroken("like")
    moments = trainings.unbroken("whole", *words)
    trainings.broken("broken", boundary(moments), *words)
    assert_same_files(tmp_path / "whole", tmp_path / "broken")


def test_what_is_tested_meanwhile_makes_no_difference(trainings, tmp_path, monkeypatch):
    """A training that nobody looks at ends in the same network, whole or broken."""
    moments = trainings.unbroken("loud")
    monkeypatch.setattr(run, "train", functools.partial(run.train, quiet=True))
    trainings.unbroken("whole")
    trainings.broken("broken", boundary(moments))
    assert_same_files(tmp_path / "whole", tmp_path / "broken")
    assert (tmp_path / "whole" / "model.pt").read_bytes() == (tmp_path / "loud" / "model.pt").read_bytes()


def process(folder: Path, moment: int, *words: str, launcher: tuple[str, ...] = ()) -> int:
    """The exit code of a training in a process of its own, killed at ``moment`` or, at -1, not."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, *launcher, "-m", "tests.snn.killed", str(moment), *WORDS, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode


@pytest.mark.slow
def test_killed_by_the_system(trainings, tmp_path):
    moments = trainings.unbroken("moments")
    assert process(tmp_path / "whole", -1) == 0
    for number in outside_steps(moments)[1::4]:
        folder = tmp_path / f"broken_{number}"
        assert process(folder, number) == -signal.SIGKILL
        resume = ["--resume"] * (folder / "model.pt.resume").exists()
        assert process(folder, -1, *resume) == 0
        assert_same_files(tmp_path / "whole", folder, f"killed {moments[number]} ({number})")


@pytest.mark.slow
def test_two_processes_killed_between_epochs(trainings, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    moments = trainings.unbroken("moments", "--average", "0.9")
    epochs = [number for number, moment in enumerate(moments) if moment == "after write_log"]
    train_together = functools.partial(process, launcher=launcher)
    assert train_together(tmp_path / "whole", -1, "--average", "0.9") == 0
    for number in epochs:
        folder = tmp_path / f"broken_{number}"
        assert train_together(folder, number, "--average", "0.9") != 0
        assert train_together(folder, -1, "--average", "0.9", "--resume") == 0
        assert_same_files(tmp_path / "whole", folder, f"killed at {number}")


def test_another_number_of_processes_is_another_training(trainings, fails, capsys):
    trainings.enter("broken")
    trainings.last = 40
    with pytest.raises(KilledError):
        train.main(WORDS)
    state = torch.load("model.pt.resume", weights_only=True)
    torch.save({**state, "processes": 2}, "model.pt.resume")
    trainings.last = None
    capsys.readouterr()
    assert "2 processes" in fails(train.main, *WORDS, "--resume")
