"""Running the tools of a build: each runs in the build folder, logs its output and reports a failure in one line."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from boards.board import ToolRun
from boards.tools import find_tool, search_path
from qblif.errors import ENDING_SIGNALS, UserError

LAST_WORDS = 200
SECONDS_TO_END = 3.0


class ToolError(UserError):
    """A tool ended with an error; the message gives its last error line and its log."""


def run_tool(command: ToolRun, folder: Path) -> None:
    """Run one command in ``folder``.

    Raises:
        UserError: the tool is not installed.
        ToolError: it failed.
    """
    program = find_tool(command.tool)
    if program is None:
        raise UserError(f"{command.purpose}: {command.tool} is not installed; run make venv or put it on PATH")
    log = folder / command.log
    with log.open("w") as file:
        code = run_in_group(
            [program, *command.arguments], cwd=folder, output=file, environment={**os.environ, "PATH": search_path()}
        )
    if code:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line] or lines or ["no output"]
        advice = f"; {command.advice}" if command.advice else ""
        raise ToolError(
            f"{command.purpose} failed ({command.tool}, exit code {code}): {errors[-1][:LAST_WORDS]}; see {log}{advice}"
        )


def run_in_group(
    command: Sequence[str | Path],
    *,
    cwd: os.PathLike[str] | str,
    output: IO[str] | None,
    environment: Mapping[str, str],
) -> int:
    """Run a program, and end it and all its child processes when this process is told to end.

    A terminal's ctrl-C does not reach the program, so it cannot end before this process knows why.

    Args:
        command: program and arguments.
        cwd: its working directory.
        output: for its stdout and stderr; this process's own if None.
        environment: all its environment variables.

    Returns:
        Its exit code; less than zero after a signal.
    """
    with signals_held() as held:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        for number in held:
            signal.raise_signal(number)
        return process.wait()
    except BaseException:
        end_group(process)
        raise


@contextmanager
def signals_held() -> Iterator[list[int]]:
    """Hold back signals in the block and yield the list that collects them: an exception while a program is being
    started would leave it running, with nobody knowing about it."""
    held: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING_SIGNALS) if in_main}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        yield held
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and all others of the group: first with SIGTERM, then with SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            continue


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of the packages that decide a build's result."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
