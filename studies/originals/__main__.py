"""Command line: train a network in its own framework on Fashion-MNIST, for an importer to convert.

python -m studies.originals snntorch --out snntorch.pt           # a quarter of an hour on one core
python -m studies.originals spikingjelly --out spikingjelly.pt
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from qblif.errors import Arguments, UserError, check_output_file, command_line
from snn.datasets import data

MODULES = {"snntorch": "studies.originals.snntorch_cnn", "spikingjelly": "studies.originals.spikingjelly_cnn"}


def positive(text: str) -> int:
    """A number from 1 upward on the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def parser() -> Arguments:
    """The command line."""
    result = Arguments(prog="python -m studies.originals", description=(__doc__ or "").partition("\n")[0])
    result.add_argument("framework", choices=MODULES)
    result.add_argument("--out", type=Path, required=True, help="file to write, in the format of torch.save")
    result.add_argument("--epochs", type=positive, help="default: those of the network's own recipe")
    result.add_argument("--batch", type=positive, help="images per step; default: as above")
    result.add_argument("--learning-rate", type=float, help="the highest of the cycle; default: as above")
    result.add_argument("--seed", type=int, default=0, help="default: 0")
    result.add_argument("--data-dir", type=Path, help="folder of Fashion-MNIST's IDX files; default: fetched once")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    check_output_file(options.out, "--out")
    data.check_source("fashion_mnist", options.data_dir)
    if find_spec(options.framework) is None:
        raise UserError(f"{options.framework} must be installed: pip install 'qblif[frameworks]'")
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.originals.run import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
