import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boards.board import ToolRun
from gen.emit.toolrun import ToolError, run_in_group, run_tool
from qblif.errors import UserError


def command(script: str, advice: str = "") -> ToolRun:
    return ToolRun(purpose="place and route", tool="sh", arguments=("-c", script), log="log", advice=advice)


def test_the_output_of_a_tool_goes_to_its_log(tmp_path):
    run_tool(command("echo placed; echo routed >&2"), tmp_path)
    assert (tmp_path / "log").read_text() == "placed\nrouted\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo ERROR: too slow; echo goodbye; exit 3", "exit code 3): ERROR: too slow"),
        ("echo out of memory; exit 1", "exit code 1): out of memory"),
        ("exit 9", "exit code 9): no output"),
    ],
)
def test_a_failure_is_its_last_words_and_the_way_out(tmp_path, script, said):
    for advice, end in (("", ""), ("ask for less", "; ask for less")):
        with pytest.raises(ToolError) as error:
            run_tool(command(script, advice), tmp_path)
        assert str(error.value) == f"place and route failed (sh, {said}; see {tmp_path}/log{end}"


def test_a_missing_tool_is_named(tmp_path):
    with pytest.raises(UserError, match="no_such_tool is not installed"):
        run_tool(ToolRun(purpose="x", tool="no_such_tool", arguments=(), log="log"), tmp_path)


TERMINABLE = """
import os, sys
from gen.emit.toolrun import run_in_group
from qblif.errors import command_line

@command_line
def main(arguments=None):
    # A tool that starts another, as make starts compilers; the second does not care for SIGTERM.
    script = "trap '' TERM; sleep 300 & echo $! > child; trap - TERM; sleep 300"
    return run_in_group(["sh", "-c", script], cwd=os.getcwd(), output=None, environment=os.environ)

sys.exit(main([]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_tools_end_with_the_program(number, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINABLE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (signal.SIGINT, signal.SIGHUP)],
    )
    child = tmp_path / "child"
    while not child.exists() or not child.read_text().strip():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert errors == "error: interrupted; nothing unfinished was kept as a result\n"
    assert not running(int(child.read_text()))


def running(process: int) -> bool:
    """Whether a process is there and not only waits for its parent to notice that it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_signal_while_a_tool_starts_ends_it_too(tmp_path, monkeypatch):
    started, popen = [], subprocess.Popen

    def start(*arguments, **options):
        started.append(popen(*arguments, **options))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        run_in_group(["sleep", "300"], cwd=tmp_path, output=None, environment=os.environ)
    assert started[0].returncode == -signal.SIGTERM
