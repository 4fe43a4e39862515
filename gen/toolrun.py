"""Running the tools of a build: each in the build folder, its output in a log, its failure in one line."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from boards.board import Command
from boards.tools import find_tool, search_path
from hw.errors import UserError

LAST_WORDS = 200


class ToolError(UserError):
    """A tool ended with an error; the message names it, its last words and its log."""


def run_tool(command: Command, folder: Path) -> None:
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
        code = subprocess.run(
            [program, *command.arguments],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": search_path()},
            check=False,
        ).returncode
    if code:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line] or lines or ["no output"]
        advice = f"; {command.advice}" if command.advice else ""
        raise ToolError(
            f"{command.purpose} failed ({command.tool}, exit code {code}): {errors[-1][:LAST_WORDS]}; see {log}{advice}"
        )


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of the packages that decide a build's result."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
