"""Command line: drive a core through its ports in simulation and compare every result with the golden model.

python -m sim.ip_core --ckpt model.pt --data fashion_mnist --count 200 --malformed 1000
python -m sim.ip_core --ckpt model.pt --data fashion_mnist --patchable --other retrained.pt
"""

import argparse
import sys
from pathlib import Path

from gen.build import TARGETS
from gen.options import add_plan_options, check_plan_options
from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.zoo import checkpoint
from sim.choices import NETLISTS, SIMULATORS
from snn.datasets.data import NAMES, check_source

DEFAULT_FOLDER = Path("build/sim")


def parser() -> Arguments:
    """The command line of ``python -m sim.ip_core``."""
    result = Arguments(
        prog="python -m sim.ip_core",
        description="Simulate the core of a checkpoint: good packets and malformed ones under random stalls on all "
        "ports, back to back, with resets in the middle, while its registers are read. Every result is compared with "
        "the integer golden model. Exit code 1 means a mismatch or a hang.",
    )
    add = result.add_argument
    add("--ckpt", type=checkpoint, required=True, help="checkpoint of snn.train, or the name of a shipped network")
    add("--data", required=True, help=f"data set: {', '.join(NAMES)}")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--count", type=int, default=20, help="test images (default 20)")
    add("--malformed", type=int, default=20, help="packets of a wrong length between them (default 20)")
    add("--target", choices=TARGETS[1:], default="axi", help="the core's ports (default axi)")
    add("--other", type=checkpoint, help="a network whose tables are written into the running core; with --patchable")
    add_plan_options(result, board=None)
    add("--netlist", choices=NETLISTS, help="simulate the netlist that this family's synthesis makes of the core")
    add("--simulator", choices=SIMULATORS, default="verilator", help="default verilator")
    add("--json", type=Path, help="also write the figures to this file")
    add("--work-dir", type=Path, default=DEFAULT_FOLDER, help=f"for built simulations (default {DEFAULT_FOLDER})")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    if options.count < 1 or options.malformed < 0:
        raise UserError("--count must be at least 1, and --malformed at least 0")
    if options.other is not None and not (options.patchable and options.target != "stream"):
        raise UserError("--other needs --patchable, and a target with registers")
    options.part = options.part or (None if options.board else "xc7a35t")
    check_output_file(options.json, "--json")
    check_plan_options(options)
    check_source(options.data, options.data_dir)
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from sim.core_verification import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
