"""Command line: from a trained checkpoint to a bitstream.

python -m gen.build --board ulx3s_85f --ckpt model.pt
python -m gen.build --target axi --part xc7a35t --ckpt model.pt
python -m gen.build --patch build/ulx3s_85f --ckpt retrained.pt
"""

import argparse
import sys
from pathlib import Path

from boards import __main__ as boards
from boards.parts import listed_parts
from gen.options import add_plan_options, check_plan_options
from gen.reported import check_built
from qblif.errors import Arguments, UserError, command_line
from qblif.zoo import checkpoint

TARGETS = ("board", "axi", "wishbone", "stream")
"""What can be made of a network: the bitstream of a board, or a core inside somebody's design."""
STEPS = ("network", "rtl", "synth", "bitstream", "package")
"""The steps of a build, in their order; ``bitstream`` ends that of a board, ``package`` that of a core."""


def parser() -> Arguments:
    """The command line of ``python -m gen.build``."""
    result = Arguments(
        prog="python -m gen.build",
        description="Build the hardware of a trained checkpoint for a dev board: integer network, plan, Verilog, "
        "netlist and bitstream, with a report. The bitstream replays the checkpoint's reference inputs on the chip and "
        "lights LED 1 when every logit is right.",
        epilog="Exit codes: 0 all that was asked for is there; 2 something you can put right; 3 everything but a "
        "bitstream that no installed tool can make.",
    )
    add = result.add_argument
    add_plan_options(result, board=None)
    add("--ckpt", type=checkpoint, help="checkpoint of snn.train, or the name of a shipped network")
    add("--patch", type=Path, metavar="DIR", help="put the weights of --ckpt into this build, which was --patchable")
    add("--out", type=Path, help="output folder (default build/BOARD; with --patch DIR-patched)")
    add("--target", choices=TARGETS, default="board", help="a board's bitstream (default), or a core for your design")
    add("--until", choices=STEPS, help="last step (default bitstream, or package for a core)")
    add("--list-boards", action="store_true", help="list the boards and what their tools can do here")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    if options.patch is not None:
        given = vars(options) | {"patch": None, "ckpt": None, "out": None}
        if options.ckpt is None or given != vars(parser().parse_args([])):
            raise UserError("--patch goes with --ckpt and --out alone: board, clock and plan are those of the build")
        check_built(options.patch)
    elif not options.list_boards:
        check_target(options)
        check_plan_options(options)
    return options


def check_target(options: argparse.Namespace) -> None:
    """Raise UserError unless a board is built for a board and a core for a part, up to a step that it has."""
    core = options.target != "board"
    if core and options.part is None:
        raise UserError(f"--target {options.target} is a core for a --part; {listed_parts()}")
    if not core and options.part is not None:
        raise UserError(f"--part goes with --target {', '.join(TARGETS[1:])}; a board has its part")
    if options.until == ("bitstream" if core else "package"):
        raise UserError(f"--until {options.until} is not a step of --target {options.target}")


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    if options.list_boards:
        return boards.main(["list"])
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from gen.building import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
