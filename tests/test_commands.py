"""Every command of the project: --help explains it, at once and without doing anything."""

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("boards", "gen", "hw", "qblif", "sim", "snn", "studies")
GUARD = 'if __name__ == "__main__":'
SECONDS = 1.0


FOR_PROGRAMS = {"sim.object_cache"}
"""What other programs run, make for instance."""


def commands() -> list[str]:
    """What a user runs with ``python -m``: the modules with a main block."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if GUARD in path.read_text()]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for path in found}
    return sorted(names - FOR_PROGRAMS)


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


@pytest.mark.slow
@pytest.mark.parametrize("name", commands())
def test_help_as_a_user_calls_it(name):
    finished = subprocess.run(
        [sys.executable, "-m", name, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(usage(name))
