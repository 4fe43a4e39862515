"""Command line: train a QB-LIF network, first in floats, then on its own integers.

python -m snn.train --data fashion_mnist --model mlp --out model.pt
"""

import sys

from qblif.errors import command_line
from snn.command import check, parse


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    check(options)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from snn.run import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
