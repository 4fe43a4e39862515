"""Command line: QB-LIF neurons against binary and fixed-burst ones, in accuracy and in hardware.

python -m studies.burst --smoke
"""

import argparse
import sys
from pathlib import Path

import torch

from qblif.errors import UserError, command_line
from qblif.progress import step
from sim.cluster import check_library, shared_out
from snn.choices import DEVICES
from studies.burst.grid import Run, read_grid
from studies.burst.report import write_document
from studies.burst.results import FinishedRuns
from studies.burst.run import forget, perform

HERE = Path(__file__).parent
GRID, SMOKE = HERE / "fashion_mnist.toml", HERE / "smoke.toml"
WORK = Path("build/burst")


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


def parser() -> argparse.ArgumentParser:
    """The command line of ``python -m studies.burst``."""
    result = argparse.ArgumentParser(
        prog="python -m studies.burst",
        description="Train binary, fixed-burst and QB-LIF networks, all else equal, and write what they reach and cost "
        "in hardware. What is done is kept in OUT/runs.json: the same command goes on where it was interrupted.",
    )
    add = result.add_argument
    add("--grid", type=Path, default=GRID, help="TOML file that says what to run (default the Fashion-MNIST grid)")
    add("--smoke", action="store_true", help="a tiny grid of a minute instead")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--series", action="append", metavar="NAME", help="only this series of the grid; may be repeated")
    add("--work-dir", type=Path, default=WORK, help=f"for the trainings' files (default {WORK})")
    add("--out", type=Path, help="folder for figures, tables and pictures (default WORK_DIR/report)")
    add("--workers", type=int, default=1, help="runs side by side in processes of a local cluster (default 1)")
    add(
        "--device",
        choices=DEVICES,
        default="cpu",
        help="that trains; on a GPU, small networks train fastest with many --workers (default %(default)s)",
    )
    add("--scheduler", help="address of a dask scheduler whose workers see the same files")
    add("--report", action="store_true", help="train nothing, write the report of what is done")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.workers < 1:
        raise UserError(f"--workers must be at least 1, not {options.workers}")
    grid = SMOKE if options.smoke else options.grid
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


if __name__ == "__main__":
    sys.exit(main())
