"""Command line: convert a network that ``python -m studies.originals`` trained, and measure its integers.

python -m studies.originals.converted snntorch --from snntorch.pt --out model.pt
"""

import argparse
import sys
from pathlib import Path

from qblif.errors import Arguments, command_line
from qblif.reading import check_file
from snn.command import check_out
from snn.datasets import data
from studies.originals.__main__ import MODULES, positive


def parser() -> Arguments:
    """The command line."""
    result = Arguments(prog="python -m studies.originals.converted", description=(__doc__ or "").partition("\n")[0])
    add = result.add_argument
    add("framework", choices=MODULES)
    add("--from", dest="source", type=Path, required=True, help="file of python -m studies.originals")
    add("--out", type=Path, required=True, help="checkpoint to write; beside it a .json report")
    add("--weight-bits", type=int, default=4, help="signed bits of a weight (default %(default)s)")
    add("--fine-tune", type=int, default=0, metavar="EPOCHS", help="epochs on the integers (default none)")
    add("--learning-rate", type=float, default=5e-4, help="their highest learning rate (default %(default)s)")
    add("--batch", type=int, default=128, help="images per step (default %(default)s)")
    add("--distillation", type=float, default=0.5, help="share of the float model's answers (default %(default)s)")
    add(
        "--validation",
        type=positive,
        help="measure on this many training images, which are then not trained on, instead of on the test images",
    )
    add("--data-dir", type=Path, help="folder of Fashion-MNIST's IDX files; default: fetched once")
    add("--resume", action="store_true", help="continue from OUT.resume")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    check_out(options.out)
    check_file(options.source, "network")
    data.check_source("fashion_mnist", options.data_dir)
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.originals.conversion import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
