"""Command line: a virtual board. The flashed design is simulated, its serial line is a pseudo-terminal.

python -m sim.board build/ulx3s_12f --link /tmp/board
python -m boards.host --port /tmp/board --timeout 10 identify
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from gen.reported import check_built
from qblif.errors import Arguments, command_line


def probability(text: str) -> float:
    """A probability given on the command line."""
    value = float(text)
    if not 0 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 0.5")
    return value


def parser() -> Arguments:
    """The command line of ``python -m sim.board``."""
    result = Arguments(
        prog="python -m sim.board",
        description="Simulate a flashed board. Its serial line is a pseudo-terminal; connect to it with python -m "
        "boards.host --port PATH --timeout 10. Ends on ctrl-C. Simulated time stands still while nothing is sent.",
    )
    add = result.add_argument
    add("folder", type=Path, metavar="DIR", help="build folder of gen.build, synthesised or further")
    add("--link", type=Path, metavar="PATH", help="name for the pseudo-terminal (default DIR/tty)")
    chance: dict[str, Any] = {"type": probability, "default": 0.0, "metavar": "P"}
    add("--bit-errors", **chance, help="chance that a bit is inverted, start and stop bits included, both ways")
    add("--dropped", **chance, help="chance that a byte is lost, both ways")
    add("--doubled", **chance, help="chance that a byte comes twice, both ways")
    add("--seed", type=int, default=0, help="of the noise (default 0)")
    add("--line-log", type=Path, metavar="FILE", help="write every byte to FILE: cycle, direction, byte")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    check_built(options.folder)
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from sim.virtual_board import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
