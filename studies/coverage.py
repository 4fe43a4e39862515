"""The coverage campaign: simulate shipped and random networks until every situation is met or known to be impossible.

python -m studies.coverage [--out docs/coverage.md]
"""

import argparse
import sys
from pathlib import Path

from qblif.errors import Arguments, check_output_file, command_line
from sim.choices import SIMULATORS

DEFAULT_FOLDER = Path("build/coverage")


def parser() -> Arguments:
    """The command line of ``python -m studies.coverage``."""
    result = Arguments(
        prog="python -m studies.coverage",
        description="Simulate shipped and random networks on extreme, random and real inputs, at full speed and under "
        "stalls, every beat held against the golden model, and report which situations the hardware was in. Inputs "
        "that meet what the others do not are looked for with the golden model. Exit code 1 means a mismatch, or a "
        "situation that was not met and has no reason.",
    )
    add = result.add_argument
    add("--networks", nargs="+", metavar="NAME", help="only these of docs/coverage.md")
    add("--out", type=Path, help="also write the report to this Markdown file")
    add("--data-dir", type=Path, help="folder with Fashion-MNIST's files")
    add("--simulator", choices=SIMULATORS, default="verilator", help="default verilator")
    add("--work-dir", type=Path, default=DEFAULT_FOLDER, help=f"for built simulations (default {DEFAULT_FOLDER})")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    check_output_file(options.out, "--out")
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.coverage_campaign import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
