"""Command line: a LiteX SoC with a network's core on its bus, whose firmware classifies images.

python -m examples.soc simulate
python -m examples.soc build --board ulx3s_85f
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from qblif.errors import Arguments, UserError, command_line
from qblif.zoo import checkpoint

BOARDS = ("ulx3s_12f", "ulx3s_25f", "ulx3s_45f", "ulx3s_85f")
PACKAGES = ("litex", "migen", "pythondata_cpu_vexriscv")
MOST_IMAGES = 16
"""Reference inputs of the shipped networks."""


def parser() -> Arguments:
    """The command line of ``python -m examples.soc``."""
    result = Arguments(
        prog="python -m examples.soc",
        description="Build a LiteX SoC: a VexRiscv, and the core of a checkpoint on its Wishbone bus. Its firmware "
        "classifies reference inputs of the checkpoint and prints class and logits of each. simulate compares them "
        "with those that training printed; exit code 1 means a difference.",
    )
    add = result.add_argument
    add("action", choices=("simulate", "build"), help="simulate the system in Verilator, or build a bitstream")
    add("--ckpt", type=checkpoint, default="fashion_mnist_mlp", help="checkpoint or shipped network of images "
        "(default fashion_mnist_mlp)")  # fmt: skip
    add("--board", choices=BOARDS, default="ulx3s_85f", help="default ulx3s_85f")
    add("--clock-mhz", type=float, default=50.0, help="clock of CPU and core (default 50)")
    add("--target-fps", type=float, default=5000.0, help="rate that the core is made for (default 5000)")
    add("--count", type=int, default=10, help=f"images, 1 to {MOST_IMAGES} (default 10)")
    add("--out", type=Path, default=Path("build/soc"), help="output folder (default build/soc)")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    if not 1 <= options.count <= MOST_IMAGES:
        raise UserError(f"--count {options.count} is not 1 to {MOST_IMAGES}")
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{package} is not installed; pip install -e '.[soc]'")
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch and LiteX take seconds to import, which neither --help nor a wrong option should.
    from examples.soc.flow import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
