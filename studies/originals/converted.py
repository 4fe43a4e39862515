"""Command line: convert a network that ``python -m studies.originals`` trained, and measure its integers.

python -m studies.originals.converted snntorch --from snntorch.pt --out model.pt
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

import torch

from qblif.errors import Arguments, UserError, command_line
from snn.command import check_out
from snn.convert.command import FINE_GUARD_BITS
from snn.convert.pipeline import convert, fine_tuning
from snn.convert.sources import from_modules
from snn.datasets import data
from snn.datasets.data import Images
from snn.results import write_results
from snn.training import sole_training
from studies.originals.__main__ import MODULES, positive
from studies.originals.training import accuracy


def parser() -> Arguments:
    """The command line."""
    result = Arguments(prog="python -m studies.originals.converted", description=(__doc__ or "").partition("\n")[0])
    add = result.add_argument
    add("framework", choices=MODULES)
    add("--from", dest="source", type=Path, required=True, help="file of python -m studies.originals")
    add("--out", type=Path, required=True, help="checkpoint to write; beside it a .json report")
    add("--weight-bits", type=int, default=4, help="signed bits of a weight (default %(default)s)")
    add("--fine-tune", type=int, default=0, metavar="EPOCHS", help="epochs on the integers (default none)")
    add("--learning-rate", type=float, default=5e-4, help="their highest learning rate (default %(default)s)")
    add("--batch", type=int, default=128, help="images per step (default %(default)s)")
    add("--distillation", type=float, default=0.5, help="share of the float model's answers (default %(default)s)")
    add(
        "--validation",
        type=positive,
        help="measure on this many training images, which are then not trained on, instead of on the test images",
    )
    add("--data-dir", type=Path, help="folder of Fashion-MNIST's IDX files; default: fetched once")
    add("--resume", action="store_true", help="continue from OUT.resume")
    return result


def samples_of(options: argparse.Namespace) -> tuple[Images, Images]:
    """The images to train with, and those to measure on; raises UserError."""
    images = data.load("fashion_mnist", "train", options.data_dir)
    if options.validation is None:
        return images, data.load("fashion_mnist", "test", options.data_dir)
    kept = len(images.labels) - options.validation
    if kept < 1:
        raise UserError(f"--validation {options.validation} leaves none of the {len(images.labels)} training images")
    return images.range(0, kept), images.range(kept, None)


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    check_out(options.out)
    module = import_module(MODULES[options.framework])
    original = module.load(options.source)
    images, test = samples_of(options)
    share = accuracy(module.ORIGINAL, original, test)
    sample = torch.from_numpy(test.pixels[:1].copy()) / 255
    floats = from_modules(original, sample, weight_bits=options.weight_bits, guard_bits=FINE_GUARD_BITS)
    recipe = None
    if options.fine_tune:
        recipe = fine_tuning(
            floats,
            epochs=options.fine_tune,
            learning_rate=options.learning_rate,
            batch=options.batch,
            flip=True,
            distillation=options.distillation,
        )
    command = parser().command(options, without=("source", "out", "data_dir", "resume"))
    with sole_training(options.out):
        result = convert(floats, images, test, recipe=recipe, out=options.out, resume=options.resume, command=command)
        write_results(result.content, result.report() | {"original": share}, options.out)
    measured = "test" if options.validation is None else "held-out training"
    print(f"original: {share:.2%} of {len(test.labels):,} {measured} images in {options.framework}")
    print("\n".join(result.lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
