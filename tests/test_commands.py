"""Every command of the project: --help explains it, and wrong arguments are refused, at once and without doing
anything."""

import importlib
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sim.choices
import snn.choices
from gen import build
from gen.targets.registry import TARGETS
from sim import netlist, simulator
from snn import models, surrogate
from studies.site.reference import commands

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 1.0


def usage(name: str) -> str:
    """How the help of a command begins."""
    return "usage: qblif COMMAND" if name == "qblif.command" else f"usage: python -m {name} "


def test_the_commands_are_found():
    assert {"gen.build", "sim.install_icarus", "snn.train", "studies.burst", "boards.host"} < set(commands())


@pytest.mark.parametrize("name", commands())
def test_help_is_quick_and_does_nothing(name, tmp_path, monkeypatch, capsys):
    def start(*_: object, **__: object) -> None:
        raise AssertionError("--help starts a program")

    package = (ROOT / name.replace(".", "/")).is_dir()
    module = importlib.import_module(f"{name}.__main__" if package else name)
    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.chdir(tmp_path)
    begin = time.process_time()
    with pytest.raises(SystemExit) as ended:
        module.main(["--help"])
    assert time.process_time() - begin < SECONDS
    captured = capsys.readouterr()
    assert ended.value.code == 0
    assert captured.out.startswith(usage(name))
    assert len(captured.out.splitlines()) > 3
    assert captured.err == ""
    assert list(tmp_path.iterdir()) == []


PROBE = """
import atexit, runpy, sys
name, sys.argv[1:] = sys.argv[1], sys.argv[2:]
atexit.register(lambda: sys.stderr.write("imported: " + " ".join(HEAVY & sys.modules.keys())))
runpy.run_module(name, run_name="__main__", alter_sys=True)
""".replace("HEAVY", repr({"torch", "matplotlib", "scipy", "sklearn", "cocotb"}))
"""Runs a command as ``python -m`` does, and then says which of the large libraries it has imported."""
CPU_SECONDS = 1.5
"""A second, and half of one because processes slow each other down."""
CKPT, BOARD, DATA = ("--ckpt", "digits_mlp"), ("--board", "ulx3s_85f"), ("--data", "digits")
WRONG: list[tuple[str, ...]] = [
    *(("gen.build", *words) for words in ((*BOARD, "--ckpt", "none"), ("--board", "none", *CKPT))),
    ("gen.build", *BOARD, *CKPT, "--plan", "none.json"),
    ("gen.build", "--patch", "none", *CKPT),
    ("gen.build", "--until", "none"),
    ("gen.build", "--target", "axi", "--part", "none", *CKPT),
    ("sim.ip_core", "--ckpt", "none", *DATA),
    ("sim.ip_core", *CKPT, *DATA, "--part", "none"),
    *(("gen.plan", *words) for words in ((*BOARD, "--ckpt", "none"), ("--board", "none", *CKPT))),
    ("gen.plan", *BOARD, *CKPT, "--plan", "none.json"),
    ("gen.plan", *BOARD, *CKPT, "--data", "none"),
    ("gen.flash", "--board", "none"),
    ("gen.flash", *BOARD, "none"),
    ("boards", "show", "none"),
    ("boards.doctor", "--board", "none"),
    ("gen.flash", "none"),
    ("sim.board", "none"),
    ("sim.golden", "--ckpt", "none", *DATA),
    ("sim.golden", *CKPT, "--data", "npz:none.npz"),
    ("sim.golden", *CKPT, "--data", "mnist", "--data-dir", "none"),
    *(("sim.run", *words) for words in (("--ckpt", "none", *DATA), (*CKPT, "--data", "none"))),
    ("sim.run", *CKPT, *DATA, "--board", "none"),
    ("sim.run", *CKPT, *DATA, "--plan", "none.json"),
    ("sim.run", *CKPT, *DATA, "--simulator", "none"),
    *(("sim.exhaustive", *words) for words in (("--ckpt", "none", *DATA), (*CKPT, "--data", "none"))),
    ("sim.exhaustive", *CKPT, *DATA, "--board", "none"),
    ("sim.exhaustive", *CKPT, *DATA, "--plan", "none.json"),
    *(("snn.train", *words, "--out", "none.pt") for words in (("--data", "none"), (*DATA, "--recipe", "none.toml"))),
    *(("snn.train", *DATA, "--out", "none.pt", f"--{name}", "none") for name in ("model", "like", "teacher")),
    ("snn.train", *DATA, "--out", "none/none.pt"),
    ("snn.convert", "--from", "none.nir", "--reset", "soft", "--out", "none.pt"),
    ("snn.export", "--ckpt", "none", "--out", "none.nir"),
    ("examples.soc", "simulate", "--ckpt", "none"),
    ("examples.soc", "build", "--board", "none"),
    ("boards.host", "--port", "none", "bench", *DATA, "--ckpt", "none"),
    ("studies.demo", "--board", "none"),
    ("studies.resources", "none"),
    ("studies.boards", "--only", "none"),
    ("studies.patching", *CKPT, "--other", "none"),
    ("studies.virtual_board", "--ckpt", "none"),
    ("qblif.command", "none"),
]
"""What a command refuses before it begins: files, boards, networks and data sets called "none"."""


def answer(name: str, *arguments: str, folder: Path) -> tuple[int, str, list[str]]:
    """Exit code, standard output and lines of errors of a command, which is quick and imports no large library."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    finished = subprocess.run(
        [sys.executable, "-c", PROBE, name, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    errors, _, imported = finished.stderr.partition("imported: ")
    assert imported == "", f"{name} {arguments}"
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < CPU_SECONDS
    assert list(folder.iterdir()) == []
    return finished.returncode, finished.stdout, errors.splitlines()


@pytest.mark.parametrize("name", commands())
def test_help_as_a_user_calls_it(name, tmp_path):
    code, said, errors = answer(name, "--help", folder=tmp_path)
    assert (code, errors) == (0, [])
    assert said.startswith(usage(name))


@pytest.mark.parametrize("words", [*((name, "--none") for name in commands()), *WRONG], ids=" ".join)
def test_a_wrong_argument_is_refused_at_once_in_one_line(words, tmp_path):
    code, said, errors = answer(*words, folder=tmp_path)
    assert (code, said, len(errors)) == (2, "", 1)
    assert errors[0].startswith("error: ")
    assert "none" in errors[0] or "required" in errors[0]


def test_a_plan_and_wishes_of_a_new_one_are_refused_before_either_is_read(tmp_path):
    words = (*BOARD, *CKPT, "--plan", str(ROOT / "snn" / "zoo" / "digits_mlp.json"), "--target-fps", "1000")
    for name in ("gen.build", "gen.plan"):
        code, _, errors = answer(name, *words, folder=tmp_path)
        assert (code, len(errors)) == (2, 1)
        assert "--target-fps makes a new plan" in errors[0]


def test_the_choices_of_command_lines_are_what_there_is():
    assert tuple(netlist.NETLISTS) == sim.choices.NETLISTS
    assert tuple(simulator.BENCHES) == sim.choices.BENCHES
    assert tuple(models.MODELS) == snn.choices.MODELS
    assert tuple(surrogate.SURROGATES) == snn.choices.SURROGATES
    assert tuple(TARGETS) == build.TARGETS
    assert {name for target in TARGETS.values() for name in target.steps} == set(build.STEPS)
