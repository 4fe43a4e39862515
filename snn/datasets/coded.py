"""Command line: write a data set as spike trains (:mod:`qblif.spikes`).

    python -m snn.datasets.coded --data fashion_mnist --coding rate --timesteps 10 --out rate.npz

The result is a data set of its own, ``npz:rate.npz``, for every command that takes one.
"""

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qblif.errors import Arguments, UserError, check_output_file, command_line
from qblif.files import write_whole
from qblif.progress import step
from qblif.spikes import delta, latency, rate
from snn.datasets import data
from snn.datasets.data import Split
from snn.datasets.npz import LARGEST_BYTES


def parser() -> Arguments:
    """The command line of ``python -m snn.datasets.coded``."""
    result = Arguments(
        prog="python -m snn.datasets.coded",
        description="Write a data set as spike trains, by the codings of snntorch.spikegen.",
    )
    add = result.add_argument
    add("--data", required=True, help=f"data set: {', '.join(data.NAMES)}")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--out", type=Path, required=True, help="npz file to write")
    add(
        "--coding",
        choices=("rate", "latency", "delta"),
        required=True,
        help="rate: spikes at random; latency: one spike, the earlier the larger the value; delta: spikes where the "
        "value of a recording grows",
    )
    add("--timesteps", type=int, default=10, help="T; recordings keep their own (default %(default)s)")
    add("--count", type=int, help="training and test samples, the first of each (default all)")
    add("--seed", type=int, default=1, help="of rate coding (default %(default)s)")
    add("--gain", type=float, default=1.0, help="of rate coding: factor of the probability (default %(default)s)")
    add("--tau", type=float, default=1.0, help="of latency coding: time constant in timesteps (default %(default)s)")
    add("--threshold", type=float, help="of latency (default 0.01) and delta coding (default 0.1), from 0 to 1")
    add("--linear", action="store_true", help="of latency coding: the time falls linearly with the value")
    add("--normalize", action="store_true", help="of latency coding: value 0 fires at the last timestep")
    add("--off-spikes", action="store_true", help="of delta coding: also spikes of falling values, as more channels")
    return result


def coded(samples: NDArray[np.uint8], options: argparse.Namespace, seed: int) -> NDArray[np.uint8]:
    """The spikes of some samples; raises UserError."""
    if options.coding == "delta":
        threshold = 0.1 if options.threshold is None else options.threshold
        return delta(samples, threshold=threshold, off_spikes=options.off_spikes)
    if len(samples) and samples.size * options.timesteps > LARGEST_BYTES:
        most = LARGEST_BYTES // (samples[0].size * max(1, options.timesteps))
        raise UserError(f"{len(samples)} samples of {options.timesteps} timesteps are too many; take --count {most}")
    if options.coding == "rate":
        return rate(samples, options.timesteps, seed=seed, gain=options.gain)
    return latency(
        samples,
        options.timesteps,
        tau=options.tau,
        threshold=0.01 if options.threshold is None else options.threshold,
        linear=options.linear,
        normalize=options.normalize,
    )


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    check_output_file(options.out, "--out")
    if options.seed < 0 or (options.count is not None and options.count < 1):
        raise UserError("--seed is 0 or more, and --count 1 or more")
    arrays: dict[str, NDArray[Any]] = {"coding": np.array("events")}
    splits: tuple[Split, ...] = ("train", "test")
    with step(f"coding {options.data}"):
        for place, split in enumerate(splits):
            images = data.load(options.data, split, options.data_dir, options.timesteps).first(options.count)
            if (images.timesteps is None) == (options.coding == "delta"):
                raise UserError(
                    f"--coding {options.coding} is for {'recordings' if images.timesteps is None else 'images'}"
                )
            arrays[f"samples_{split}"] = coded(images.pixels, options, 2 * options.seed + place)
            arrays[f"labels_{split}"] = images.labels
        written = io.BytesIO()
        np.savez_compressed(written, allow_pickle=False, **arrays)
        write_whole(options.out, written.getvalue())
    print(
        f"{options.out}: {len(arrays['labels_train'])} samples for training and {len(arrays['labels_test'])} for test"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
