"""The checked contents of a build's report: the values that programs read, and that the files are those built."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qblif.errors import UserError
from qblif.reading import read_json, shown

REPORT, PAGE, HTML_PAGE = "report.json", "report.md", "report.html"
TRIES = 3
"""How often a folder is looked at again because another build is just replacing it."""
MOMENT = 0.05
"""Pause in seconds, many times longer than the gap between the two renames that replace a folder."""
MISSING = object()
LARGEST_FIGURE = 2**50
HASH = re.compile(r"[0-9a-f]{64}")
PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,4}")


def is_figure(value: Any) -> bool:
    """Whether a value is a number that can be a frequency, a count or a size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST_FIGURE


def is_word(value: object) -> bool:
    """Whether a value is a short text in printable ASCII."""
    return isinstance(value, str) and len(value) <= 200 and value.isascii() and value.isprintable()


def is_hash(value: object) -> bool:
    """Whether a value is a SHA-256 as hexadecimal text."""
    return isinstance(value, str) and HASH.fullmatch(value) is not None


def is_path(value: object) -> bool:
    """Whether a value is the path of a file below the build folder."""
    return isinstance(value, str) and PLAIN_PATH.fullmatch(value) is not None


def is_table(value: object, fine: Callable[[object], bool]) -> bool:
    """Whether a value is an object whose keys are short words and whose values pass ``fine``."""
    return isinstance(value, dict) and all(is_word(key) and fine(one) for key, one in value.items())


CHECKS: dict[str, Callable[[Any], bool]] = {
    "target": is_word,
    "board": is_word,
    "clock_mhz": lambda value: is_figure(value) and 0 < value < 1000,
    "cycles_expected": lambda value: is_figure(value) and value > 0,
    "fmax_mhz": lambda value: value is None or is_figure(value),
    "resources": lambda value: value is None or is_table(value, is_figure),
    "tools": lambda value: is_table(value, is_word),
    "bitstream": lambda value: value is None or is_path(value),
    "network_sha256": is_hash,
    "plan_sha256": is_hash,
    "checkpoint_sha256": is_hash,
    "files": lambda value: isinstance(value, dict) and all(is_path(k) and is_hash(v) for k, v in value.items()),
}
"""The check of every value that programs read in a report."""


def identity(folder: Path) -> tuple[int, int, bytes]:
    """Data that differ between two builds in one place; raises UserError if there is no build."""
    try:
        found = folder.stat()
        return found.st_ino, found.st_ctime_ns, (folder / REPORT).read_bytes()
    except OSError as error:
        raise UserError(f"{folder} is not a build folder of gen.build; build it first") from error


def check_built(folder: Path) -> None:
    """Raise UserError unless there is a build; while a folder is being replaced, it is missing for a moment."""
    for left in reversed(range(TRIES)):
        try:
            identity(folder)
        except UserError:
            if not left:
                raise
            time.sleep(MOMENT)
        else:
            return


def read_report(folder: Path, keys: Sequence[str]) -> dict[str, Any]:
    """The values ``keys`` of a build folder's report.

    Raises:
        UserError: it is not a build folder, or one of the values is missing or impossible.
    """
    if not (folder / REPORT).exists():
        raise UserError(f"{folder} is not a build folder; run python -m gen.build first")
    report = read_json(folder / REPORT, "report of a build")
    found = {}
    for key in keys:
        value = report.get(key, MISSING) if isinstance(report, dict) else MISSING
        if value is MISSING or not CHECKS[key](value):
            what = "is missing" if value is MISSING else f"is {shown(value)}"
            raise UserError(f"{folder / REPORT} is damaged ({key} {what}); build again")
        found[key] = value
    return found


def file_hashes(folder: Path) -> dict[str, str]:
    """The sha256 of every file below ``folder``, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (REPORT, PAGE, HTML_PAGE))
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in files}


def file_hash(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def built_file(folder: Path, name: str) -> Path:
    """The file ``name`` of a build folder, verified to be the one that was built.

    Raises:
        UserError: it is missing, was changed or is not in the folder, or the build is too old to say.
    """
    known = read_report(folder, ("files",))["files"]
    path = folder / name
    if name not in known and path.is_file():
        raise UserError(f"{folder / REPORT} does not say which {shown(name)} was built; build again")
    if not is_path(name) or not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path} is missing, or not a file of the build folder; build again")
    if file_hash(path) != known[name]:
        raise UserError(f"{path} is not the file that was built; build again")
    return path


def check_unchanged(folder: Path, copies: Path) -> None:
    """Raise UserError unless every file of ``copies`` has the hash that the report there gives.

    Args:
        folder: the build folder, for the message.
        copies: the report, and copies of some of the build's files.
    """
    known = read_report(copies, ("files",))["files"]
    for name, found in file_hashes(copies).items():
        if known.get(name) != found:
            raise UserError(f"{folder / name} is not the file that was built; build again")


def fmax(report: Mapping[str, Any]) -> str:
    """The highest clock in words, with a note on how far it can be trusted."""
    if report["fmax_mhz"] is None:
        return "not known"
    note = f" ({report['fmax_note']})" if report["fmax_note"] else ""
    return f"{report['fmax_mhz']:.1f} MHz{note}"


def unit_name(report: Mapping[str, Any], resource: str) -> str:
    """The page's name for a resource; like :meth:`boards.board.Family.unit`, but for a report read from a file."""
    return {"bram": str(report["bram_unit"]), "cells": "logic cells"}.get(resource, resource.upper())
