"""Command line: simulate a checkpoint's hardware on real data and compare every beat with the golden model.

python -m sim.run --ckpt model.pt --data fashion_mnist --count 200
python -m sim.run --ckpt model.pt --data fashion_mnist --count 20 --netlist ecp5
"""

import argparse
import sys
from pathlib import Path

from gen.options import add_plan_options, check_plan_options
from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.zoo import checkpoint
from sim.choices import BENCH_HELP, BENCHES, NETLISTS, SIMULATORS
from snn.datasets.data import NAMES, check_source

DEFAULT_FOLDER = Path("build/sim")


def parser() -> Arguments:
    """The command line of ``python -m sim.run``."""
    result = Arguments(
        prog="python -m sim.run",
        description="Simulate the hardware of a checkpoint on test images, at full speed, under random stalls and one "
        "image at a time, and compare every beat between layers, the last membranes, logits and class with the "
        "integer golden model. Exit code 1 means a mismatch.",
    )
    add = result.add_argument
    add("--ckpt", type=checkpoint, required=True, help="checkpoint of snn.train, or the name of a shipped network")
    add("--data", required=True, help=f"data set: {', '.join(NAMES)}")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--count", type=int, default=20, help="test images (default 20)")
    add_plan_options(result, board="arty_a7")
    add(
        "--netlist",
        choices=NETLISTS,
        help="simulate the netlist that this family's synthesis makes, whether it fits a chip or not: logits, class "
        "and cycles are compared, there are no taps inside",
    )
    add("--simulator", choices=SIMULATORS, default="verilator", help="default verilator")
    add("--bench", choices=BENCHES, default="cocotb", help=f"{BENCH_HELP} (default cocotb)")
    add("--waves", action="store_true", help="record waveforms of every run")
    add("--json", type=Path, help="also write the figures to this file")
    add("--html", type=Path, help="also write a page to this file: timelines, bursts, classes and all figures")
    add("--work-dir", type=Path, default=DEFAULT_FOLDER, help=f"for built simulations (default {DEFAULT_FOLDER})")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    if options.count < 1:
        raise UserError(f"--count must be at least 1, not {options.count}")
    check_output_file(options.json, "--json")
    check_output_file(options.html, "--html")
    check_plan_options(options)
    check_source(options.data, options.data_dir)
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from sim.verification import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
