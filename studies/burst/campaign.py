"""What ``python -m studies.burst`` does: the runs that are missing, and the report."""

import argparse
from pathlib import Path

import torch

from qblif.errors import UserError
from qblif.progress import step
from sim.cluster import check_library, shared_out
from studies.burst.grid import Run, read_grid
from studies.burst.report import write_document
from studies.burst.results import FinishedRuns
from studies.burst.run import forget, perform


def missing_runs(runs: list[Run], results: FinishedRuns) -> list[Run]:
    """The runs that are not done yet, each training once; all runs of one seed before those of the next."""
    unique = {run.key: run for run in reversed(runs)}
    missing = [run for run in runs if unique[run.key] is run and results.of(run) is None]
    return sorted(missing, key=lambda run: run.seed)


def perform_all(runs: list[Run], results: FinishedRuns, options: argparse.Namespace) -> None:
    """Train and measure all missing runs."""
    missing = missing_runs(runs, results)
    threads = max(1, torch.get_num_threads() // options.workers)
    work, data_dir = options.work_dir.resolve(), None if options.data_dir is None else options.data_dir.resolve()
    folders = {run.command: work / run.key for run in missing}
    arguments = [(r.words, r.command, folders[r.command], data_dir, options.device, threads) for r in missing]
    with step("runs", len(missing)) as progress:
        for figures in shared_out(perform, arguments, workers=options.workers, scheduler=options.scheduler):
            results.add(figures)
            forget(folders[figures["command"]])
            progress.say(f"{figures['accuracy']:.2%} in {figures['seconds']:.0f} s: {figures['command']}")
            progress.advance()


def make_folder(out: Path) -> None:
    """Make the report's folder before hours of work; raises UserError if it cannot be made."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out} cannot be made ({error.strerror}); name a folder") from error


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for; returns the exit code. Raises UserError."""
    grid = options.grid
    runs = read_grid(grid)
    if options.series is not None:
        runs = [run for run in runs if run.series in options.series]
        if not runs:
            raise UserError(f"{grid} has no series {' or '.join(options.series)}")
    out = options.work_dir / "report" if options.out is None else options.out
    results = FinishedRuns(out)
    if not options.report:
        make_folder(out)
        check_library(options.workers, options.scheduler)
        perform_all(runs, results, options)
    done = [(run, figures) for run in runs if (figures := results.of(run)) is not None]
    if not done:
        raise UserError(f"{out} holds no run of {grid} that is done; leave out --report")
    write_document(done, grid.resolve().relative_to(Path.cwd()) if grid.is_relative_to(Path.cwd()) else grid, out)
    print(f"{out}: {len(done)} of {len(runs)} runs")
    return 0
