"""Command line: how well networks tell heartbeats apart, class by class, as the tables of docs/heartbeat.md.

    python -m studies.heartbeats --data-dir FOLDER --pair patients.pt mitbih
    python -m studies.heartbeats --data-dir FOLDER --pair fold1.pt mitbih_fold1 --pair fold2.pt mitbih_fold2

The golden model says the class of all test beats. Several pairs also get a table of all their beats together.
"""

import argparse
import sys
from pathlib import Path

from qblif.errors import Arguments, UserError, command_line
from qblif.zoo import checkpoint
from snn.datasets.data import check_source
from snn.datasets.mitbih import MITBIH


def parser() -> Arguments:
    """The command line of ``python -m studies.heartbeats``."""
    result = Arguments(
        prog="python -m studies.heartbeats",
        description="Evaluate networks on the heartbeats of the MIT-BIH Arrhythmia Database with the golden model: "
        "sensitivity and positive predictivity of every class.",
    )
    result.add_argument("--data-dir", type=Path, required=True, help="folder of the database")
    result.add_argument(
        "--pair",
        nargs=2,
        action="append",
        required=True,
        metavar=("CKPT", "DATA"),
        help=f"checkpoint, and one of {', '.join(MITBIH)}; may be repeated",
    )
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    for _, data in options.pair:
        if data not in MITBIH:
            raise UserError(f"{data} has no heartbeats; there are {', '.join(MITBIH)}")
        check_source(data, options.data_dir)
    options.pair = [(checkpoint(ckpt), data) for ckpt, data in options.pair]
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.heartbeat_tables import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
