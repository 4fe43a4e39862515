"""What ``python -m studies.heartbeats`` does: confusions of the classes, and their tables."""

import argparse
from pathlib import Path

import numpy as np

from gen.frontend.origin import read_network
from qblif import golden
from qblif.errors import UserError
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.network.graph import Network
from snn.datasets.data import Images, load
from snn.datasets.mitbih import CLASSES


def confusion(network: Network, images: Images) -> IntArray:
    """Beats by their class and by that of the golden model, (classes, classes)."""
    result = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    for start in range(0, len(images.labels), golden.BATCH):
        part = images.range(start, start + golden.BATCH)
        found = golden.run(network, encode(part.pixels, network.input)).classes.numpy()
        np.add.at(result, (part.labels, found), 1)
    return result


def confusion_of(path: Path, data: str, data_dir: Path) -> IntArray:
    """:func:`confusion` of a checkpoint over the test beats of a data set; raises UserError."""
    network, images = read_network(path)[1], load(data, "test", data_dir)
    if images.shape != network.input.shape or len(CLASSES) != len(network.readout.bias):
        raise UserError(f"{path} is not a network for the beats of {data}")
    return confusion(network, images)


def table(title: str, beats: IntArray) -> str:
    """A confusion as a table in Markdown."""
    right, real, said = beats.diagonal(), beats.sum(axis=1), beats.sum(axis=0)
    taken = " | ".join(f"taken for {name}" for name in CLASSES)
    lines = [
        f"**{title}**: {right.sum() / beats.sum():.2%} of {beats.sum():,} beats",
        "",
        f"| class | beats | sensitivity | positive predictivity | {taken} |",
        "| --- " * (4 + len(CLASSES)) + "|",
    ]
    for place, name in enumerate(CLASSES):
        shares = (share(right[place], total[place]) for total in (real, said))
        counts = " | ".join(f"{count:,}" for count in beats[place])
        lines.append(f"| {name} | {real[place]:,} | {' | '.join(shares)} | {counts} |")
    return "\n".join(lines)


def share(part: int, whole: int) -> str:
    """A share in percent, or that there is none."""
    return f"{part / whole:.1%}" if whole else "none"


def run(options: argparse.Namespace) -> int:
    """Print the tables; returns the exit code. Raises UserError."""
    found = [confusion_of(path, data, options.data_dir) for path, data in options.pair]
    tables = [table(f"{path.stem}, {data}", beats) for (path, data), beats in zip(options.pair, found, strict=True)]
    if len(found) > 1:
        tables.append(table("all together", np.sum(found, axis=0)))
    print("\n\n".join(tables))
    return 0
