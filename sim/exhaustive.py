"""Command line: a whole test set through the simulated hardware, in shards, on all cores or on a cluster.

python -m sim.exhaustive --ckpt model.pt --data fashion_mnist
"""

import argparse
import os
import sys
from pathlib import Path

from gen.options import add_plan_options, check_plan_options
from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.zoo import checkpoint
from sim.choices import BENCH_HELP, BENCHES, SIMULATORS
from sim.cluster import check_library
from snn.datasets.data import NAMES, check_source

DEFAULT_FOLDER = Path("build/exhaustive")
DEFAULT_SHARD = 200


def parser() -> Arguments:
    """The command line of ``python -m sim.exhaustive``."""
    result = Arguments(
        prog="python -m sim.exhaustive",
        description="Simulate a whole test set at full speed, in shards side by side, and compare every beat, logit "
        "and class with the integer golden model, and the cycles with the cycle model's. What is finished is kept: the "
        "same command goes on where it was interrupted. Exit code 1 means a mismatch.",
    )
    add = result.add_argument
    add("--ckpt", type=checkpoint, required=True, help="checkpoint of snn.train, or the name of a shipped network")
    add("--data", required=True, help=f"data set: {', '.join(NAMES)}")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add_plan_options(result, board="arty_a7")
    add("--count", type=int, help="only the first so many test images")
    add("--shard", type=int, default=DEFAULT_SHARD, help=f"images a shard (default {DEFAULT_SHARD})")
    add("--workers", type=int, default=os.cpu_count(), help="processes of the local cluster (default: one per core)")
    add("--scheduler", help="address of a dask scheduler whose workers see the same files")
    add("--simulator", choices=SIMULATORS, default="verilator", help="default verilator")
    add("--bench", choices=BENCHES, help=f"{BENCH_HELP} (default cpp with Verilator)")
    add("--work-dir", type=Path, default=DEFAULT_FOLDER, help=f"for simulations and shards (default {DEFAULT_FOLDER})")
    add("--json", type=Path, help="also write the figures to this file")
    return result


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    for name in ("shard", "workers", "count"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} must be at least 1, not {value}")
    check_output_file(options.json, "--json")
    check_plan_options(options)
    check_source(options.data, options.data_dir)
    check_library(options.workers, options.scheduler)
    return options


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parse(arguments)
    # Torch takes seconds to import, which neither --help nor a wrong option should.
    from sim.shards import run

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
