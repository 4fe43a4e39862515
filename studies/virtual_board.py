"""The host driver against a simulated board: on a perfect line, on a bad one, and after garbage.

python -m studies.virtual_board
"""

import argparse
import sys
from pathlib import Path

from boards.catalogue import find_board
from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.zoo import ZOO, checkpoint
from snn.datasets.data import check_source

DEFAULT_FOLDER = Path("build/virtual_board")
LEAST_EFFICIENCY = 0.9
"""Share of the time in which the link carries images."""


def parser() -> Arguments:
    """The command line of ``python -m studies.virtual_board``."""
    result = Arguments(
        prog="python -m studies.virtual_board",
        description="Build a board's design, simulate it behind a pseudo-terminal, and let the host driver run images "
        "on it: on a perfect line, on a bad one and after garbage. Exit code 1 when an image comes back wrong or the "
        f"link is busy with images for less than {LEAST_EFFICIENCY:.0%} of the time.",
    )
    add = result.add_argument
    add(
        "--ckpt",
        type=checkpoint,
        default=ZOO / "fashion_mnist_mlp.pt",
        help="checkpoint (default the Fashion-MNIST MLP)",
    )
    add("--board", default="ulx3s_85f", help="board name (default ulx3s_85f)")
    add("--data", default="fashion_mnist", help="data set (default fashion_mnist)")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--count", type=int, default=200, help="images of a run (default 200)")
    add("--out", type=Path, default=DEFAULT_FOLDER, help=f"build folder (default {DEFAULT_FOLDER})")
    add("--json", type=Path, help="also write the figures to this file")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    if options.count < 1:
        raise UserError(f"--count must be at least 1, not {options.count}")
    check_output_file(options.json, "--json")
    find_board(options.board)
    check_source(options.data, options.data_dir)
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.driven_board import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
