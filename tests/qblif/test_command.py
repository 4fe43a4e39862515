"""The one command that leads to all."""

import importlib.util
import subprocess
import sys

import pytest

from qblif import command


def test_every_command_is_there_and_named_in_the_help(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name, (module, _, what) in command.COMMANDS.items():
        assert importlib.util.find_spec(module) is not None
        assert f"  {name}" in shown
        assert what in shown


def test_a_command_gets_its_arguments(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["plan", "--help"])
    assert ended.value.code == 0
    assert "python -m gen.plan" in capsys.readouterr().out


def test_an_unknown_command_is_one_line(capsys):
    assert command.main(["bake"]) == 2
    line = capsys.readouterr().err
    assert "bake" in line
    assert len(line.splitlines()) == 1


def test_a_missing_extra_is_one_line_that_names_it(monkeypatch, capsys):
    def missing(_):
        raise ModuleNotFoundError("No module named 'serial'", name="serial")

    monkeypatch.setattr(command.importlib, "import_module", missing)
    assert command.main(["host", "identify"]) == 2
    assert capsys.readouterr().err == "error: qblif host needs serial; pip install 'qblif[host]'\n"


def test_help_needs_nothing_but_python():
    heavy = "{'torch', 'amaranth', 'numpy', 'rich'}"
    program = f"import sys, qblif.command; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
