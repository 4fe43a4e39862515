"""Command line: build for every board what its user would build first, and write the table docs/boards.md.

    python -m studies.boards                    # builds what is not built yet: minutes per build, hours in all
    python -m studies.boards --only icebreaker  # builds for that board again

Each build is the plain command, with only board and checkpoint, in a separate process. The results are kept in
``studies/boards.json``, so that an interrupted run continues where it was.
"""

import argparse
import sys
from pathlib import Path

from boards.catalogue import find_board
from qblif.errors import Arguments, check_output_file, command_line

MOST_WORKERS = 2


def parser() -> Arguments:
    """The command line of ``python -m studies.boards``."""
    result = Arguments(
        prog="python -m studies.boards",
        description="Build the smallest shipped network and the largest that fits for every board where that is not "
        "done yet, to a bitstream where this machine has the tools and else to a netlist, and write the table.",
    )
    add = result.add_argument
    add("--only", action="append", default=[], metavar="NAME", help="build for this board (again); may be repeated")
    add("--again", action="store_true", help="build everything again")
    add("--workers", type=int, choices=range(1, MOST_WORKERS + 1), default=1, help="builds at a time")
    add("--folder", type=Path, default=Path("build/boards"), help="default build/boards")
    add("--out", type=Path, default=Path("docs/boards.md"), help="the table (default docs/boards.md)")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    for name in options.only:
        find_board(name)
    check_output_file(options.out, "--out")
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns 1 if something could not be built."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.board_table import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
