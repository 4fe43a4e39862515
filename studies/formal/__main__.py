"""Prove everything and write the table of what is proved and how.

python -m studies.formal [--out docs/proofs.md]
"""

import argparse
import sys
from pathlib import Path

from qblif.errors import Arguments, command_line


def parser() -> Arguments:
    """The command line of ``python -m studies.formal``."""
    result = Arguments(
        prog="python -m studies.formal",
        description="Prove the properties of the components, and write the table of what is proved.",
    )
    result.add_argument("--out", type=Path, help="write the table to this Markdown file")
    result.add_argument("--jobs", type=int, default=2, help="proofs at a time (default 2)")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    return parser().parse_args(arguments)


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; exit code 1 means that something is not proved."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.formal.run import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
