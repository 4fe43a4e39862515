"""Plant bugs one at a time and see which the tests find.

python -m studies.mutations [--out docs/mutations.md]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from hw.errors import UserError, check_output_file, command_line
from studies.mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("boards", "gen", "hw", "sim", "snn", "studies", "tests", "pyproject.toml", "docs", "README.md", "Makefile")
LONGEST_SECONDS = 1800
HEAD = """# Planted bugs

`python -m studies.mutations --out docs/mutations.md` plants these bugs one at a time (`studies/mutants.py`), runs the
tests until one fails, and writes this table.

| bug | found by |
| --- | --- |
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a mutant: the first test that failed, or None."""

    mutant: Mutant
    found_by: str | None


def mutated(text: str, mutant: Mutant) -> str:
    """The file's text with the bug; raises UserError where the place is not there, or not once."""
    if text.count(mutant.old) != 1:
        raise UserError(f"{mutant.file}: {mutant.old!r} stands there {text.count(mutant.old)} times, not once")
    return text.replace(mutant.old, mutant.new)


def hunt(mutant: Mutant) -> Outcome:
    """Run the tests on a copy of the project with the bug in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part)
        path = folder / mutant.file
        path.write_text(mutated(path.read_text(), mutant))
        for tests in mutant.tests:
            if (folder / tests).exists():
                failed = first_failure(folder, tests)
                if failed is not None:
                    return Outcome(mutant=mutant, found_by=failed)
    return Outcome(mutant=mutant, found_by=None)


def first_failure(folder: Path, tests: str) -> str | None:
    """The first of ``tests`` that fails, or None."""
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-rfE", "--no-header", tests]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        finished = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{tests} (does not end)"
    if finished.returncode == 0:
        return None
    words = [line.split()[1] for line in finished.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return words[0] if words else tests


def chosen(pattern: str) -> Sequence[Mutant]:
    """The mutants whose description contains ``pattern``; raises UserError when there are none."""
    found = [mutant for mutant in MUTANTS if pattern in mutant.what]
    if not found:
        raise UserError(f"no mutant's description contains {pattern!r}")
    return found


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; exit code 1 means that a bug was not found."""
    parser = argparse.ArgumentParser(prog="python -m studies.mutations", description=__doc__)
    parser.add_argument("--out", type=Path, help="write the table to this Markdown file")
    parser.add_argument("--only", default="", help="only mutants whose description contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time (default: one a core)")
    options = parser.parse_args(arguments)
    check_output_file(options.out, "--out")
    mutants = chosen(options.only)
    for mutant in mutants:
        mutated((ROOT / mutant.file).read_text(), mutant)
    with ThreadPoolExecutor(options.jobs) as pool, Progress() as progress:
        bar = progress.add_task("mutants", total=len(mutants))
        outcomes = []
        for outcome in pool.map(hunt, mutants):
            outcomes.append(outcome)
            progress.print(f"{outcome.mutant.what}: {outcome.found_by or 'NOT FOUND'}")
            progress.advance(bar)
    survivors = [outcome for outcome in outcomes if outcome.found_by is None]
    print(f"{len(outcomes) - len(survivors)} of {len(outcomes)} bugs found")
    if options.out is not None:
        rows = [f"| {outcome.mutant.what} | {outcome.found_by or 'nothing'} |" for outcome in outcomes]
        options.out.write_text(HEAD + "\n".join(rows) + "\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
