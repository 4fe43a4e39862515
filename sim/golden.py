"""Command line: evaluate a checkpoint's integer network on a test set with the golden model.

python -m sim.golden --ckpt model.pt --data fashion_mnist
"""

import argparse
import sys
from pathlib import Path

from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.zoo import checkpoint
from snn.datasets.data import NAMES, check_source


def parser() -> Arguments:
    """The command line of ``python -m sim.golden``."""
    result = Arguments(
        prog="python -m sim.golden", description="Evaluate a checkpoint's integer network on a test set, exactly."
    )
    result.add_argument(
        "--ckpt", type=checkpoint, required=True, help="checkpoint of snn.train, or the name of a shipped network"
    )
    result.add_argument("--data", required=True, help=f"data set: {', '.join(NAMES)}")
    result.add_argument("--data-dir", type=Path, help="folder with the data set's files")
    result.add_argument("--count", type=int, help="only the first COUNT test images")
    result.add_argument("--json", type=Path, help="also write the figures to this file")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    if options.count is not None and options.count < 1:
        raise UserError(f"--count must be at least 1, not {options.count}")
    check_output_file(options.json, "--json")
    check_source(options.data, options.data_dir)
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from sim.evaluation import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
