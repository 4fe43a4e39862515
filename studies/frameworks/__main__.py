"""Command line: neurons of other frameworks against their integer form, decision by decision.

python -m studies.frameworks --out docs/frameworks.md   # 20,000 decisions for every neuron: some minutes
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from qblif.errors import Arguments, UserError, check_output_file, command_line

DECISIONS = 20_000


def parser() -> Arguments:
    """The command line of ``python -m studies.frameworks``."""
    result = Arguments(prog="python -m studies.frameworks", description=(__doc__ or "").partition("\n")[0])
    result.add_argument("--out", type=Path, required=True, help="the page to write")
    result.add_argument("--decisions", type=int, default=DECISIONS, help=f"for every neuron (default {DECISIONS})")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    check_output_file(options.out, "--out")
    missing = [name for name in ("snntorch", "spikingjelly") if find_spec(name) is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} must be installed: pip install 'qblif[frameworks]'")
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns 1 if a neuron with a small fraction as its decay differs."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.frameworks.page import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
