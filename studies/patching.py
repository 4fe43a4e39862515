"""Other weights in a bitstream, patched and built: whether both are the same, and how much faster patching is.

    python -m studies.patching --board ulx3s_85f --ckpt model.pt --other retrained.pt

Builds the first checkpoint, patches its build with the other, and builds the other from scratch under the same plan,
and therefore with the same placement. Every command runs in a separate process and is timed as a user would see it.
"""

import argparse
import sys
from pathlib import Path

from boards.catalogue import find_board
from gen.options import DEFAULT_MARGIN
from qblif.errors import Arguments, UserError, command_line
from qblif.zoo import checkpoint


def parser() -> Arguments:
    """The command line of ``python -m studies.patching``."""
    result = Arguments(
        prog="python -m studies.patching",
        description="Compare a patched bitstream with that of a full build under the same plan: bytes and seconds.",
    )
    add = result.add_argument
    add("--board", default="ulx3s_85f", help="board name, see gen.build --list-boards (default ulx3s_85f)")
    add("--ckpt", type=checkpoint, required=True, help="checkpoint that is built")
    add("--other", type=checkpoint, required=True, help="checkpoint of the same architecture that is patched into it")
    add("--clock-mhz", type=float, help="as in gen.build")
    add("--target-fps", type=float, help="as in gen.build")
    add("--width-margin", type=int, default=DEFAULT_MARGIN, help=f"as in gen.build (default {DEFAULT_MARGIN})")
    add("--out", type=Path, default=Path("build/patching"), help="folder for the builds (default build/patching)")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    if find_board(options.board).family.block_ram_format is None:
        raise UserError(f"no tool here puts other weights into a bitstream of {options.board}")
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns 1 if a byte differs."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from studies.patched_builds import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
