"""The command line of ``python -m snn.convert``."""

import argparse
from pathlib import Path

from qblif.errors import Arguments, UserError
from qblif.reading import check_file
from snn.command import check_out
from snn.datasets import data
from snn.ranges import check_range

RANDOM = "random"
"""The data set of random spikes, for networks without data."""
RANDOM_STEPS = 16
"""Its timesteps, unless the user says otherwise."""
FINE_GUARD_BITS = 4
"""Guard bits of a network that is trained further: its float type must hold all sums, and its spikes change anyway."""


def parser() -> Arguments:
    """The command line of ``python -m snn.convert``."""
    result = Arguments(
        prog="python -m snn.convert",
        description="Convert a trained spiking network in a NIR file into a checkpoint with integers, from which "
        "gen.build makes hardware. It is measured in floats and in integers. Networks of snnTorch and SpikingJelly are "
        "converted in Python: snn.convert.from_snntorch and from_spikingjelly (docs/from_snntorch.md).",
    )
    result.add_argument("--from", dest="source", type=Path, required=True, help="NIR file")
    result.add_argument("--out", type=Path, required=True, help="checkpoint to write; beside it a .json report")
    add = result.add_argument_group("what a NIR file does not say").add_argument
    add("--dt", type=float, help="seconds per timestep; needed wherever neurons have a time constant")
    add("--reset", choices=("soft", "hard"), required=True, help="soft: a spike takes the threshold off; hard: to rest")
    add(
        "--rule",
        choices=("euler", "exponential"),
        default="euler",
        help="how a time constant becomes a decay: 1 - dt/tau or exp(-dt/tau) (default %(default)s)",
    )
    add(
        "--firing",
        choices=("reached", "exceeded"),
        default="reached",
        help="whether a neuron fires at its threshold, as in most frameworks, or only above it (default %(default)s)",
    )
    add(
        "--integration",
        choices=("per-step", "per-second"),
        default="per-step",
        help="what a timestep adds to IF neurons: R times the current (sinabs), or R * dt (SpikingJelly) (default "
        "%(default)s)",
    )
    add(
        "--ceiling",
        type=int,
        default=1,
        help="most spikes of a neuron in one timestep; sinabs has no limit: 7 or more (default %(default)s)",
    )
    add(
        "--answer",
        choices=("count", "membrane", "maximum", "step"),
        help="the network's result (default: spike count, or membrane of a last layer that never fires)",
    )
    add = result.add_argument_group("input").add_argument
    add(
        "--calibrate",
        default=RANDOM,
        metavar="NAME",
        help=f"data set whose training samples choose the integers and whose test samples measure them: "
        f"{', '.join(data.NAMES)}, or {RANDOM} for random spikes (default %(default)s)",
    )
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--timesteps", type=int, help=f"T (default: that of an npz file's recordings; {RANDOM}: {RANDOM_STEPS})")
    add("--input-bits", type=int, help="bits of an input burst (default 8; of events 2)")
    add(
        "--mean",
        type=float,
        nargs="+",
        default=[0.0],
        help="of (x - mean) / deviation, per channel, with x from 0 to 1 (default 0)",
    )
    add("--deviation", type=float, nargs="+", default=[1.0], help="its deviation, per channel (default 1)")
    add("--samples", type=int, help="measure on so many test samples (default all)")
    add = result.add_argument_group("integers").add_argument
    add("--weight-bits", type=int, default=8, help="signed bits of a weight (default %(default)s)")
    add(
        "--guard-bits",
        type=int,
        help=f"fraction bits beyond those that the weights need (default 12; with --fine-tune {FINE_GUARD_BITS})",
    )
    add("--tolerance", type=float, default=2.0**-9, help="largest error of a decay (default 2^-9)")
    add = result.add_argument_group("training on the integers").add_argument
    add("--fine-tune", type=int, default=0, metavar="EPOCHS", help="epochs on the integers (default none)")
    add("--data", metavar="NAME", help="data set to train with (default that of --calibrate)")
    add("--batch", type=int, default=128, help="samples per step (default %(default)s)")
    add("--learning-rate", type=float, default=5e-4, help="its peak (default %(default)s)")
    add("--seed", type=int, default=1, help="of the order of samples (default %(default)s)")
    add("--resume", action="store_true", help="continue from OUT.resume")
    return result


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of a command line, checked; raises UserError."""
    options = parser().parse_args(arguments)
    for name in ("timesteps", "input_bits", "weight_bits", "guard_bits", "batch", "learning_rate", "seed"):
        if getattr(options, name) is not None:
            check_range(name, getattr(options, name), f"--{name.replace('_', '-')}")
    check_range("qat_epochs", options.fine_tune, "--fine-tune")
    check_range("burst_ceiling", options.ceiling, "--ceiling")
    if not 0 <= options.tolerance <= 1:
        raise UserError(f"--tolerance {options.tolerance:g} is not 0 to 1")
    if options.samples is not None and options.samples < 1:
        raise UserError(f"--samples {options.samples} is less than 1")
    if options.dt is not None and not 0 < options.dt < float("inf"):
        raise UserError(f"--dt {options.dt:g} is not a time above 0")
    check_out(options.out)
    check_file(options.source, "NIR file")
    for name in (options.calibrate, options.data):
        if name not in (RANDOM, None):
            data.check_source(name, options.data_dir)
    if options.calibrate == RANDOM and options.timesteps is None:
        options.timesteps = RANDOM_STEPS
    if options.fine_tune and RANDOM in (options.calibrate, options.data):
        raise UserError("--fine-tune needs samples with labels; name a data set with --data")
    if options.guard_bits is None:
        options.guard_bits = FINE_GUARD_BITS if options.fine_tune else 12
    return options
