"""What ``python -m studies.originals.converted`` does."""

import argparse
from importlib import import_module

import torch

from qblif.errors import UserError
from snn.convert.command import FINE_GUARD_BITS
from snn.convert.pipeline import convert, fine_tuning
from snn.convert.sources import from_modules
from snn.datasets import data
from snn.datasets.data import Images
from snn.results import write_results
from snn.training import sole_training
from studies.originals.__main__ import MODULES
from studies.originals.converted import parser
from studies.originals.training import accuracy


def samples_of(options: argparse.Namespace) -> tuple[Images, Images]:
    """The images to train with, and those to measure on; raises UserError."""
    images = data.load("fashion_mnist", "train", options.data_dir)
    if options.validation is None:
        return images, data.load("fashion_mnist", "test", options.data_dir)
    kept = len(images.labels) - options.validation
    if kept < 1:
        raise UserError(f"--validation {options.validation} leaves none of the {len(images.labels)} training images")
    return images.range(0, kept), images.range(kept, None)


def run(options: argparse.Namespace) -> int:
    """Convert, measure and write; returns the exit code. Raises UserError."""
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
