"""Command line: measure what designs take after synthesis, and fit the planner's resource model to it.

    python -m studies.resources measure     # synthesises every design of the list for both families: an hour or so
    python -m studies.resources fit         # fits gen/planning/resource_constants.json, prints every design's error

The measurements are kept in ``studies/resources.json`` with the plans; a design in it is not measured again. For each
design the fit also prints the prediction of a fit to all other designs: the error to expect for a new network.
"""

import argparse
import sys

from qblif.errors import Arguments, command_line


def parser() -> Arguments:
    """The command line of ``python -m studies.resources``."""
    result = Arguments(
        prog="python -m studies.resources",
        description="Measure what designs take after synthesis and fit the planner's resource model to it.",
    )
    result.add_argument("what", choices=("measure", "fit"), help="synthesise the designs, or fit what was measured")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    return parser().parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.resource_fit import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
