"""Command line: convert a trained network of another framework into a checkpoint.

python -m snn.convert --from net.nir --dt 1e-3 --reset soft --calibrate npz:data.npz --out model.pt
"""

import sys

from qblif.errors import command_line
from snn.convert.command import parse


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from snn.convert.run import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
