"""What ``python -m studies.originals`` does."""

import argparse
from importlib import import_module

from snn.datasets import data
from studies.originals.__main__ import MODULES
from studies.originals.training import Original, accuracy, save, train


def run(options: argparse.Namespace) -> int:
    """Train a network; returns the exit code. Raises UserError."""
    images, test = (data.load("fashion_mnist", split, options.data_dir) for split in ("train", "test"))
    original: Original = import_module(MODULES[options.framework]).ORIGINAL.with_recipe(
        epochs=options.epochs, batch=options.batch, learning_rate=options.learning_rate, seed=options.seed
    )
    network = train(original, images)
    share = accuracy(original, network, test)
    save(original, network, share, options.out)
    print(f"test accuracy: {100 * share:.2f} % of {len(test.labels):,} images")
    return 0
