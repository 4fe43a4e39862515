"""Command line: QB-LIF neurons against binary and fixed-burst ones, in accuracy and in hardware.

python -m studies.burst --smoke
"""

import argparse
import sys
from pathlib import Path

from qblif.errors import Arguments, UserError, command_line
from qblif.reading import check_file
from snn.choices import DEVICES

HERE = Path(__file__).parent
GRID, SMOKE = HERE / "fashion_mnist.toml", HERE / "smoke.toml"
WORK = Path("build/burst")


def parser() -> Arguments:
    """The command line of ``python -m studies.burst``."""
    result = Arguments(
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


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    if options.workers < 1:
        raise UserError(f"--workers must be at least 1, not {options.workers}")
    if options.smoke:
        options.grid = SMOKE
    check_file(options.grid, "grid")
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.burst.campaign import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
