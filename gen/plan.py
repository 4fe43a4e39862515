"""Command line: how a network would be built for a board, and the alternatives, without synthesis.

python -m gen.plan --board arty_a7 --ckpt model.pt
"""

import argparse
import sys
from pathlib import Path

from gen.options import add_plan_options, check_plan_options
from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.zoo import checkpoint
from snn.datasets.data import check_source

DEFAULT_COUNT = 20


def parser() -> Arguments:
    """The command line of ``python -m gen.plan``."""
    result = Arguments(
        prog="python -m gen.plan",
        description="Show how a checkpoint would be built on a board: lanes, banks, folds and cores of every layer, "
        "its cycles and resources, and the alternatives from smallest to fastest. Nothing is synthesised.",
    )
    add = result.add_argument
    add("--ckpt", type=checkpoint, help="checkpoint of snn.train, or the name of a shipped network")
    add_plan_options(result, board=None)
    add("--data", help="data set for exact cycles instead of expected ones")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--count", type=int, default=DEFAULT_COUNT, help=f"test images for --data (default {DEFAULT_COUNT})")
    add("--save", type=Path, help="write the plan to this file, for --plan")
    add("--picture", type=Path, help="draw the alternatives into this file (.png, .svg or .pdf)")
    add("--json", type=Path, help="also write the figures to this file")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    check_plan_options(options)
    if options.count < 2:
        raise UserError(f"--count must be at least 2, not {options.count}: cycles are counted between images")
    if options.data is not None:
        check_source(options.data, options.data_dir)
    for path, name in ((options.save, "--save"), (options.picture, "--picture"), (options.json, "--json")):
        check_output_file(path, name)
    if options.picture is not None and options.picture.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"--picture {options.picture} must end in .png, .svg or .pdf")
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from gen.overview import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
