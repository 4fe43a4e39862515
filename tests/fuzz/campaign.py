"""Every reader against files that were damaged or edited at random: the same meaning, or one line.

python -m tests.fuzz.campaign --count 20000

A :class:`Reader` is a table entry: sample files, how they are read, and what makes an accepted file right. Exit code
1 means that a file was read as something else, ended in a traceback, or took more time or memory than a bad file may.
"""

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from qblif.errors import UserError, command_line
from tests.fuzz.mutators import BYTES, Mutator

MOST_SECONDS = 5.0
"""Of the processor: how long it takes on a machine with other work to do says nothing about the reader."""
MOST_BYTES = 500 * 2**20
LONGEST_LINE = 1000
GIVEN_UP_SECONDS = 4 * MOST_SECONDS
ADDRESS_SPACE = 4 * 2**30
"""Bytes beyond those of a process at its beginning, so that a reader without bounds does not take the machine down."""
SHOWN_FAULTS = 20


class GivenUpError(BaseException):
    """A reader that does not end; no reader may catch it."""


def same(found: object, known: object, _: Path) -> bool:
    """An accepted file says what the sample says."""
    return found == known


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One reader of files.

    Attributes:
        name: of the reader, for the table.
        samples: writes sound files into an empty folder and names those that are to be damaged, one at a time.
        read: gives what a file says, in a form that can be compared; raises UserError.
        mutators: drawn from evenly.
        right: whether a damaged file was rightly accepted, of what was found in it, what the sample said, and its path.
            Where the format has no redundancy, say what the file says by other means.
    """

    name: str
    samples: Callable[[Path], list[Path]]
    read: Callable[[Path], object]
    mutators: tuple[Mutator, ...] = BYTES
    right: Callable[[object, object, Path], bool] = same


@dataclass(kw_only=True)
class Outcome:
    """Counts of one reader; ``memory``: bytes beyond those at the beginning; ``faults``: what went wrong, and where."""

    name: str
    same: int = 0
    refused: int = 0
    slowest: float = 0.0
    memory: int = 0
    faults: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


def attack(reader: Reader, count: int, seed: int, folder: Path) -> Outcome:
    """Read ``count`` damaged files. The n-th file depends on reader, seed and n alone."""
    before, outcome = most_memory(), Outcome(name=reader.name)
    samples = [(path, path.read_bytes()) for path in reader.samples(folder)]
    known = [reader.read(path) for path, _ in samples]
    for number in range(count):
        random = Random(f"{reader.name} {seed} {number}")
        which = random.randrange(len(samples))
        path, content = samples[which]
        mutator = random.choice(reader.mutators)
        damaged = mutator(content, random)
        path.write_bytes(damaged)
        outcome.kinds[mutator.__name__] += 1
        fault = judged(reader, path, known[which], outcome)
        if fault:
            outcome.faults.append(f"{reader.name}, seed {seed}, file {number} ({mutator.__name__}): {fault}")
        path.write_bytes(content)
    outcome.memory = most_memory() - before
    if outcome.memory > MOST_BYTES:
        outcome.faults.append(f"{reader.name}: some file took {outcome.memory:,} bytes")
    return outcome


def judged(reader: Reader, path: Path, known: object, outcome: Outcome) -> str | None:
    """Read one damaged file and count what came of it; returns what was wrong with that."""
    begin = time.process_time()
    try:
        with limited_time():
            found = reader.read(path)
    except UserError as error:
        line = " ".join(str(error).split())
        outcome.refused += 1
        fault = None if 0 < len(line) <= LONGEST_LINE else f"a line of {len(line)} characters: {line[:200]}"
    except GivenUpError:
        fault = "did not end"
    except Exception as error:
        fault = f"{type(error).__name__}: {str(error)[:200]}"
    else:
        right = reader.right(found, known, path)
        outcome.same += right
        fault = None if right else "was read as something else"
    seconds = time.process_time() - begin
    outcome.slowest = max(outcome.slowest, seconds)
    return fault or (f"took {seconds:.1f} s" if seconds > MOST_SECONDS else None)


@contextmanager
def limited_time() -> Iterator[None]:
    """Give up what does not end."""

    def give_up(*_: object) -> None:
        raise GivenUpError

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, GIVEN_UP_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def most_memory() -> int:
    """The largest resident memory that this process has had, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def limit_memory() -> None:
    """Let what takes much more memory than any file may fail, in this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def attack_alone(name: str, count: int, seed: int) -> Outcome:
    """:func:`attack` in a process whose memory is that of one reader."""
    from tests.fuzz.readers import READERS

    limit_memory()
    reader = next(reader for reader in READERS if reader.name == name)
    with tempfile.TemporaryDirectory() as folder:
        return attack(reader, count, seed, Path(folder))


def in_own_process(name: str, count: int, seed: int) -> Outcome:
    """The outcome of a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(attack_alone, name, count, seed).result()
        except BrokenProcessPool:
            return Outcome(name=name, faults=[f"{name}: the process died; python -X faulthandler says where"])


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    from tests.fuzz.readers import READERS

    names = [reader.name for reader in READERS]
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.campaign",
        description="Read files that were damaged or edited at random with every reader of the project.",
    )
    parser.add_argument("--count", type=int, default=20_000, help="files, shared out evenly (default 20000)")
    parser.add_argument("--seed", type=int, default=1, help="other files for every seed (default 1)")
    parser.add_argument("--only", choices=names, action="append", help="this reader; may be repeated")
    options = parser.parse_args(arguments)
    chosen = options.only or names
    table = Table("reader", "files", "same meaning", "refused in one line", "faults", "slowest s", "memory MiB")
    outcomes = []
    for name in chosen:
        count = -(-options.count // len(chosen))
        outcomes.append(in_own_process(name, count, options.seed))
        one = outcomes[-1]
        figures = (count, one.same, one.refused, len(one.faults))
        table.add_row(name, *map(str, figures), f"{one.slowest:.2f}", f"{one.memory / 2**20:.0f}")
        print(f"{name}: {len(one.faults)} faults in {count} files", file=sys.stderr)
    Console(width=120).print(table)
    faults = [fault for one in outcomes for fault in one.faults]
    for fault in faults[:SHOWN_FAULTS]:
        print(fault)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
