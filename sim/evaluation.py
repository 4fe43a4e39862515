"""What ``python -m sim.golden`` does: accuracy, bursts and accumulates of an integer network over a data set."""

import argparse
import json
from typing import Any

from gen.frontend.origin import read_network
from qblif import golden
from qblif.errors import UserError
from qblif.files import write_whole
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.progress import step
from snn.datasets.data import Images, load


def evaluate_network(network: Network, images: Images, label: str = "golden model") -> dict[str, Any]:
    """Accuracy, and bursts and accumulates per layer, over a data set.

    Where every timestep has a label, the accuracy is that of all timesteps.

    Raises:
        UserError: the network has no result for every label, or takes samples of another length.
    """
    check_time(network, images)
    right, at_once = 0, golden.at_once(network)
    bursts = {node.name: 0 for node in (network.input, *network.nodes)}
    additions = {f"{p.source} -> {p.target}": 0 for p in network.projections}
    count = len(images.labels)
    with step(label, count) as running:
        for start in range(0, count, at_once):
            part = images.range(start, start + at_once)
            batch = encode(part.pixels, network.input)
            result = golden.run(network, batch)
            classes = result.classes if part.labels.ndim == 1 else result.sums.argmax(dim=2)
            right += int((classes.numpy() == part.labels).sum())
            for name in bursts:
                bursts[name] += int(result.bursts[name].sum())
            for projection in network.projections:
                key = f"{projection.source} -> {projection.target}"
                sent = result.bursts[projection.source]
                # The last timestep's bursts would be read by the next.
                sent = sent[:, :-1] if projection.recurrent else sent
                additions[key] += golden.accumulates(projection, network, sent)
            running.advance(len(batch))
    return {
        "images": count,
        "accuracy": right / images.labels.size,
        "bursts_per_image": {name: total / count for name, total in bursts.items()},
        "accumulates_per_image": {name: total / count for name, total in additions.items()},
    }


def check_time(network: Network, images: Images) -> None:
    """Raise UserError unless the network has a result for every label, and takes as many timesteps as a sample has."""
    if network.mode == "stream":
        return
    if images.labels.ndim == 2:
        raise UserError("the samples have a label for every timestep, and the network a result only at the end")
    if images.timesteps not in (None, network.timesteps):
        raise UserError(f"the samples have {images.timesteps} timesteps, and the network takes {network.timesteps}")


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for; returns the exit code. Raises UserError."""
    _, network, _ = read_network(options.ckpt)
    images = load(options.data, "test", options.data_dir, network.timesteps).first(options.count)
    figures = evaluate_network(network, images)
    of = "" if images.labels.ndim == 1 else " of all timesteps"
    print(f"{figures['images']} images, accuracy{of} {figures['accuracy']:.2%}")
    for name, value in figures["bursts_per_image"].items():
        print(f"  {name}: {value:.1f} bursts per image")
    for name, value in figures["accumulates_per_image"].items():
        print(f"  {name}: {value:.0f} accumulates per image")
    if options.json:
        write_whole(options.json, json.dumps(figures, indent=2) + "\n")
    return 0
