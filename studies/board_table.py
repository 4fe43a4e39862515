"""What ``python -m studies.boards`` does: the builds for every board, and their table."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from boards.board import Board
from boards.catalogue import CATALOGUE
from gen.design import make_design
from gen.frontend.origin import read_network
from gen.reported import REPORT
from qblif.errors import EXIT_NO_BITSTREAM_TOOL, UserError
from qblif.files import sole_writer, write_whole
from qblif.network.projections import Skip
from qblif.progress import step
from qblif.zoo import ZOO
from sim.record import keep

BUILT = Path(__file__).with_name("boards.json")
SMALLEST, LARGEST = "smallest", "largest"
NETLISTS_ONLY = ("xilinx7",)
"""Families whose bitstreams the usual machine cannot make; there only the larger network is built, to a netlist."""
LEAST_SHARE = 0.5
"""Share of the LUTs that the planner expects (within 15 %); a design with fewer was mostly optimized away."""
REPORTED = ("bitstream", "clock_mhz", "fmax_mhz", "fmax_note", "missed", "resources", "tools")
HEAD = """\
# What was built for each board

Written by `python -m studies.boards` (`make boards`): `python -m gen.build --board BOARD --ckpt CHECKPOINT`, and no
other option, for the smallest shipped network and the largest one that fits, as the planner says (Xilinx: the largest
alone). The clock is the board's default, or a slower one where place and route missed that; Fmax is the highest after
place and route. The seconds are those of the whole command.

{summary}

| board | chip | network | built | clock MHz | Fmax MHz | LUT | FF | block RAM | DSP | seconds | serial line |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""

Row = dict[str, Any]
"""The record of a build: the network, the seconds, and the values of its report for the table; or the error."""


@dataclass(frozen=True)
class Job:
    """One build: a board, and which of its networks."""

    board: Board
    which: str

    @property
    def key(self) -> str:
        """Its name in ``boards.json``."""
        return f"{self.board.name} {self.which}"


def jobs() -> list[Job]:
    """Everything that there is to build."""
    return [
        Job(board, which)
        for board in CATALOGUE.values()
        for which in ((LARGEST,) if board.family.name in NETLISTS_ONLY else (SMALLEST, LARGEST))
    ]


@cache
def shipped() -> tuple[Path, ...]:
    """The shipped checkpoints, those with the most weights first."""

    def weights(path: Path) -> int:
        network = read_network(path)[1]
        return sum(one.weights.size for one in network.projections if not isinstance(one, Skip))

    return tuple(sorted(ZOO.glob("*.pt"), key=weights, reverse=True))


def checkpoint(job: Job) -> Path:
    """The network of a job; raises UserError if none fits the board."""
    if job.which == SMALLEST:
        return shipped()[-1]
    for path in shipped():
        try:
            make_design(path, job.board.name)
            return path
        except UserError as error:
            reason = error
    raise reason


def build_job(job: Job, folder: Path) -> Row:
    """Run a job's command as far as this machine allows."""
    try:
        path = checkpoint(job)
    except UserError as error:
        return {"error": str(error)}
    out = folder / job.key.replace(" ", "_")
    begun = time.monotonic()
    code, words = run_command("--board", job.board.name, "--ckpt", str(path), "--out", str(out))
    seconds = round(time.monotonic() - begun)
    if code not in (0, EXIT_NO_BITSTREAM_TOOL):
        return {"network": path.stem, "error": words.removeprefix("error: ").partition("; see ")[0]}
    report = json.loads((out / REPORT).read_text())
    if report["resources"]["lut"] < report["estimated"]["lut"] * LEAST_SHARE:
        # Most of the network was optimized away, since no pin of the board depends on its results.
        return {"network": path.stem, "error": "the board has nothing to see the network's results on"}
    return {
        "network": path.stem,
        "date": time.strftime("%Y-%m-%d"),
        "seconds": seconds,
        **{key: report[key] for key in REPORTED},
    }


def run_command(*options: str) -> tuple[int, str]:
    """Exit code and last line of stderr of gen.build."""
    command = [sys.executable, "-m", "gen.build", *options]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


def built_rows() -> dict[str, Row]:
    """The records of all builds so far, by job."""
    rows: dict[str, Row] = json.loads(BUILT.read_text()) if BUILT.is_file() else {}
    return {job.key: rows[job.key] for job in jobs() if job.key in rows}


def table(rows: dict[str, Row]) -> str:
    """The document. A board whose largest network is also its smallest has one line."""
    shown = []
    for job in jobs():
        row = rows.get(job.key)
        twice = (
            job.which == LARGEST
            and row
            and row.get("network") == rows.get(f"{job.board.name} {SMALLEST}", {}).get("network")
        )
        if row is not None and not twice:
            shown.append((job, row))
    bitstreams = [row for _, row in shown if row.get("bitstream")]
    judged = [row for row in bitstreams if row["fmax_mhz"] is not None and not row["fmax_note"]]
    met = [row for row in judged if row["fmax_mhz"] >= row["clock_mhz"]]
    synthesised = [row for _, row in shown if "error" not in row and not row["bitstream"]]
    summary = (
        f"To a bitstream: {len(bitstreams)} builds, timing met in {len(met)}; "
        f"to a netlist and project files: {len(synthesised)}."
    )
    lines = [table_line(job.board, row) for job, row in shown]
    tools = sorted({f"{tool} {found}" for _, row in shown for tool, found in row.get("tools", {}).items()})
    dates = sorted({row["date"] for _, row in shown if "date" in row})
    tools += [f"built on {' and '.join(dates)}"] if dates else []
    return HEAD.format(summary=summary) + "\n".join([*lines, "", f"Tools: {', '.join(tools)}", ""])


def table_line(board: Board, row: Row) -> str:
    """One line of the table."""
    serial = "none" if board.uart is None else f"{board.uart.bridge}, {board.uart.baud:,} baud"
    if "error" in row:
        cells = [row.get("network", ""), f"not built: {row['error']}", *[""] * 7]
    else:
        used, budget = row["resources"], board.budget
        fmax, missed = row["fmax_mhz"], row["missed"]
        cells = [
            row["network"],
            "bitstream" if row["bitstream"] else "netlist, project files",
            f"{row['clock_mhz']:g}" + (f" ({missed['clock_mhz']:g} missed)" if missed else ""),
            "" if fmax is None else f"{fmax:.1f}{' (hint)' if row['fmax_note'] else ''}",
            share(used["lut"], budget.lut),
            share(used["ff"], budget.ff),
            f"{share(used['bram'], budget.bram)} {board.family.bram_unit}",
            str(used["dsp"]),
            str(row["seconds"]),
        ]
    return f"| {' | '.join([f'`{board.name}`', board.part, *cells, serial])} |"


def share(used: float, budget: float) -> str:
    """A count and its share of the chip."""
    return f"{used:,g} ({used / budget:.0%})"


def run_jobs(wanted: Sequence[Job], folder: Path, out: Path, workers: int) -> None:
    """Run the builds, and save each row and the table as soon as it is there."""
    with step("builds", len(wanted)) as progress, ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(build_job, job, folder): job for job in wanted}
        for done in as_completed(running):
            rows = built_rows() | {running[done].key: done.result()}
            keep(BUILT, rows)
            write_whole(out, table(rows))
            progress.advance()


def run(options: argparse.Namespace) -> int:
    """Build, and write the table; returns 1 if something could not be built. Raises UserError."""
    rows = built_rows()
    if options.only:
        names = set(options.only)
        wanted = [job for job in jobs() if job.board.name in names]
    else:
        wanted = [job for job in jobs() if options.again or "resources" not in rows.get(job.key, {})]
    with sole_writer(BUILT):
        run_jobs(wanted, options.folder.resolve(), options.out, options.workers)
    rows = built_rows()
    write_whole(options.out, table(rows))
    failed = [key for key, row in rows.items() if "error" in row]
    print(f"{options.out}: {len(rows) - len(failed)} of {len(jobs())} builds done")
    return int(bool(failed))
