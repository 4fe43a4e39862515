"""Command line: plant bugs one at a time and see which of them the tests find.

    python -m studies.mutations --out docs/mutations.md   # all of them: half an hour
    python -m studies.mutations --only neuron_core        # those whose description contains this

Results are kept in ``build/mutations.json`` as long as the code does not change, so that an interrupted run continues
where it was.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.files import sole_writer, write_whole
from qblif.progress import step
from sim.record import keep
from studies import mutants, mutants_over_time
from studies.mutants import Mutant

FOUND = Path("build/mutations.json")
ROOT = Path(__file__).resolve().parent.parent
MUTANTS = (*mutants.MUTANTS, *mutants_over_time.MUTANTS)
LISTS = {Path(__file__).with_name(name).resolve() for name in ("mutants.py", "mutants_over_time.py")}
COPIED = (
    "boards",
    "gen",
    "hw",
    "qblif",
    "sim",
    "snn",
    "studies",
    "tests",
    "pyproject.toml",
    "docs",
    "README.md",
    "Makefile",
)
LONGEST_SECONDS = 1800
HEAD = """# Planted bugs

`python -m studies.mutations --out docs/mutations.md` plants these bugs one at a time (`studies/mutants.py`), runs the
tests until one fails, and writes this table. Found: {found} of {total} ({date}, amaranth {amaranth}); not counted are
those that no test can find, because the design does the same with them.

| bug | found by |
| --- | --- |
"""


def mutated(text: str, mutant: Mutant) -> str:
    """The file's text with the bug; raises UserError unless the place occurs exactly once."""
    if text.count(mutant.old) != 1:
        raise UserError(f"{mutant.file}: {mutant.old!r} stands there {text.count(mutant.old)} times, not once")
    return text.replace(mutant.old, mutant.new)


def hunt(mutant: Mutant) -> str | None:
    """Run the tests on a copy of the project with the bug in it; returns the first that fails, or None."""
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
                    return failed
    return None


def first_failure(folder: Path, tests: str) -> str | None:
    """The first of ``tests`` that fails, or None."""
    options = ("-x", "-p", "no:cacheprovider", "-rfE", "--no-header", "--hypothesis-profile", "no_shrinking")
    command = [sys.executable, "-m", "pytest", *options, tests]
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
    """The mutants whose description contains ``pattern``; raises UserError if there are none."""
    found = [mutant for mutant in MUTANTS if pattern in mutant.what]
    if not found:
        raise UserError(f"no mutant's description contains {pattern!r}")
    return found


def code_sha256() -> str:
    """SHA-256 of all code and tests, except the list of mutants."""
    digest = hashlib.sha256()
    for path in sorted(path for part in COPIED for path in (ROOT / part).rglob("*.py")):
        if path not in LISTS:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def key(mutant: Mutant) -> str:
    """A key for what is changed and what is run against it."""
    return hashlib.sha256(repr((mutant.file, mutant.old, mutant.new, mutant.tests)).encode()).hexdigest()[:16]


def found_before(code: str) -> dict[str, str | None]:
    """The results of an interrupted run on the same code, by the mutant's key."""
    kept = json.loads(FOUND.read_text()) if FOUND.is_file() else {}
    found: dict[str, str | None] = kept["found"] if kept.get("code") == code else {}
    return found


def hunt_all(mutants: Sequence[Mutant], jobs: int) -> list[str | None]:
    """The test that finds each mutant, or None."""
    code = code_sha256()
    found = found_before(code)
    waiting = [mutant for mutant in mutants if key(mutant) not in found]
    with ThreadPoolExecutor(jobs) as pool, step("mutants", len(waiting)) as progress:
        for mutant, test in zip(waiting, pool.map(hunt, waiting), strict=True):
            found[key(mutant)] = test
            keep(FOUND, {"code": code, "found": found})
            progress.say(f"{mutant.what}: {test or 'NOT FOUND'}")
            progress.advance()
    return [found[key(mutant)] for mutant in mutants]


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; exit code 1 means that a bug was not found."""
    parser = Arguments(
        prog="python -m studies.mutations",
        description="Plant bugs one at a time and see which the tests find. An interrupted run continues where it was.",
    )
    parser.add_argument("--out", type=Path, help="write the table to this Markdown file")
    parser.add_argument("--only", default="", help="only mutants whose description contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time (default: one per core)")
    options = parser.parse_args(arguments)
    check_output_file(options.out, "--out")
    mutants = chosen(options.only)
    for mutant in mutants:
        mutated((ROOT / mutant.file).read_text(), mutant)
    FOUND.parent.mkdir(parents=True, exist_ok=True)
    with sole_writer(FOUND):
        outcomes = list(zip(mutants, hunt_all(mutants, options.jobs), strict=True))
    found = sum(test is not None for _, test in outcomes)
    total = sum(test is not None or not mutant.equivalent for mutant, test in outcomes)
    print(f"{found} of {total} bugs found")
    if options.out is not None:
        rows = [f"| {mutant.what} | {test or mutant.equivalent or 'nothing'} |" for mutant, test in outcomes]
        today = time.strftime("%Y-%m-%d")
        head = HEAD.format(found=found, total=total, date=today, amaranth=version("amaranth"))
        write_whole(options.out, head + "\n".join(rows) + "\n")
    return int(found < total)


if __name__ == "__main__":
    sys.exit(main())
