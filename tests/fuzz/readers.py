"""The table of readers; a new format is a new entry."""

import json
from pathlib import Path

import numpy as np

from boards.catalogue import find_board
from gen.plans import make_plan
from hw.network import ReferenceVectors
from hw.network_file import load_network, network_sha256, save_network
from hw.plan import load_plan
from tests.fuzz.campaign import Reader
from tests.fuzz.data_readers import DATA_READERS
from tests.fuzz.mutators import JSON, SAFETENSORS
from tests.networks import random_convolutions, random_network


def networks(folder: Path) -> list[Path]:
    paths = []
    for seed in range(4):
        network = random_convolutions(seed) if seed else random_network(1)
        classes, shape = len(network.readout.bias), network.input.shape
        references = ReferenceVectors(
            samples=np.arange(2 * np.prod(shape)).astype(np.uint8).reshape(2, *shape),
            logits=np.arange(2 * classes).reshape(2, classes),
            labels=np.arange(2),
        )
        paths.append(folder / f"{seed}.safetensors")
        save_network(paths[-1], network, references)
    return paths


def plans(folder: Path) -> list[Path]:
    paths = []
    for seed in range(2):
        network = random_convolutions(8) if seed else random_network(1)
        paths.append(folder / f"{seed}.json")
        paths[-1].write_text(make_plan(network, find_board("arty_a7"), 100.0, "0" * 64, {}).to_json())
    return paths


def says_what_is_written(found: object, _: object, path: Path) -> bool:
    """A plan may be edited; then it is what the file says, number by number, and nothing in it is left out."""
    return typed(json.loads(str(found))) == typed(json.loads(path.read_bytes()))


def typed(value: object) -> object:
    """JSON in a form in which 1, 1.0 and true are different."""
    if isinstance(value, dict):
        return {key: typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [typed(one) for one in value]
    return (type(value).__name__, value)


READERS = (
    *DATA_READERS,
    Reader(
        name="network.safetensors",
        samples=networks,
        read=lambda path: network_sha256(*load_network(path)),
        mutators=SAFETENSORS,
    ),
    Reader(
        name="plan.json",
        samples=plans,
        read=lambda path: load_plan(path).to_json(),
        mutators=JSON,
        right=says_what_is_written,
    ),
)
