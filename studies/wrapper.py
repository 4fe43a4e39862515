"""Command line: what a core takes besides its network.

python -m studies.wrapper --ckpt fashion_mnist_cnn --part xc7a35t
"""

import argparse
import sys

from gen.build import TARGETS
from gen.options import add_plan_options, check_plan_options
from qblif.errors import Arguments, command_line
from qblif.zoo import checkpoint


def parser() -> Arguments:
    """The command line of ``python -m studies.wrapper``."""
    result = Arguments(
        prog="python -m studies.wrapper",
        description="Synthesise the core of a checkpoint with its network as a black box, and print what is left: the "
        "ports, the registers and the counters.",
    )
    result.add_argument("--ckpt", type=checkpoint, required=True, help="checkpoint, or the name of a shipped network")
    result.add_argument("--target", choices=TARGETS[1:], default="axi", help="the core's ports (default axi)")
    add_plan_options(result, board=None)
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    options.part = options.part or "xc7a35t"
    check_plan_options(options)
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.wrapper_synthesis import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
