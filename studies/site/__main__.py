"""Command line: draw the pictures of the documentation site.

python -m studies.site --out docs/pictures
"""

import sys
from pathlib import Path

from qblif.errors import Arguments, command_line


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = Arguments(
        prog="python -m studies.site",
        description="Draw the pictures of the documentation site from the arithmetic, a shipped network and its plan. "
        "The site itself is built by make docs.",
    )
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"), help="folder (default docs/pictures)")
    options = parser.parse_args(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.site.pictures import write

    write(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
