"""What the bench of a core does, and what it found: files between the command and the simulator."""

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Resets = Literal["none", "register", "line"]
JOB, FOUND = "CORE_JOB", "CORE_FOUND"
"""Environment variables that name the files."""


@dataclass(frozen=True, kw_only=True)
class Packet:
    """A packet of samples, and the packet that must answer it.

    Attributes:
        sent: its bytes.
        answer: the bytes of the result.
        bad: whether the result must be marked as bad.
    """

    sent: bytes
    answer: bytes
    bad: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    """Packets in a row.

    Attributes:
        name: its name in reports.
        packets: the packets.
        pauses: probability that source or sink pauses in a cycle.
        resets: how the core is reset in the middle, again and again.
        tables: words to write into every table before, with the checksum of each.
        counted: registers of counters that must then have a value.
    """

    name: str
    packets: Sequence[Packet]
    pauses: float = 0.0
    resets: Resets = "none"
    tables: Sequence[tuple[Sequence[int], int]] = ()
    counted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that the bench does.

    Attributes:
        control: the port of the registers, see :data:`hw.ports.core.CONTROL_PORTS`; None for a core without them.
        registers: addresses of registers and counters, by name.
        constants: addresses of registers that never change, with their values.
        runs: one after the other.
        limit: cycles after which the core hangs if no result has come.
        seed: of everything random.
    """

    control: str | None
    registers: Mapping[str, int]
    constants: Mapping[int, int]
    runs: Sequence[Run]
    limit: int
    seed: int = 1

    def save(self, path: Path) -> None:
        """Write the job to a file."""
        path.write_bytes(pickle.dumps(self))

    @staticmethod
    def load(path: Path) -> "Job":
        """The job that :meth:`save` wrote."""
        job: Job = pickle.loads(path.read_bytes())
        return job


@dataclass(kw_only=True)
class Found:
    """What a run found.

    Attributes:
        name: name of the run.
        sent, answered: packets; those that a reset made the core drop are not answered.
        resets: how often the core was reset.
        mismatches: wrong answers, registers and counters.
        hangs: answers that did not come in time.
        accesses: accesses to registers.
        first: the first thing that was wrong, in words.
    """

    name: str
    sent: int = 0
    answered: int = 0
    resets: int = 0
    mismatches: int = 0
    hangs: int = 0
    accesses: int = 0
    first: str = ""

    def check(self, right: bool, what: str) -> None:
        """Count a mismatch unless ``right``."""
        if not right:
            self.mismatches += 1
            self.first = self.first or what


def save_found(path: Path, found: Sequence[Found]) -> None:
    """Write what all runs found to a file."""
    path.write_text(json.dumps([vars(one) for one in found]))


def load_found(path: Path) -> list[Found]:
    """What :func:`save_found` wrote."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return [Found(**row) for row in rows]
