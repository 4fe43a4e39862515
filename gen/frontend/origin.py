"""Reading networks: from a checkpoint of snn.train, which is folded, or from a network file, which holds integers."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import check_references, fold, references
from qblif import golden
from qblif.network.coding import encode
from qblif.network.file import load_network
from qblif.network.graph import Network
from qblif.network.references import ReferenceVectors
from qblif.reading import MEBIBYTE, read_whole

MOST_BYTES = 128 * MEBIBYTE
HEADER = 8
"""Bytes of the length with which a network file begins; a brace opens what follows."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a file says of a network besides the network itself.

    Attributes:
        kind: ``qat``: a checkpoint with integers; ``float``: one that was rounded; ``network``: a network file.
        activity: mean set bit-planes per input that each node sends, per timestep; empty if not measured.
        training: record of the training; may be empty.
        sha256: of the file.
    """

    kind: Literal["qat", "float", "network"]
    activity: dict[str, list[float]]
    training: dict[str, Any]
    sha256: str


def read_network(path: Path) -> tuple[Origin, Network, ReferenceVectors]:
    """A network with its reference vectors, checked by replay.

    Raises:
        UserError: the file is neither a checkpoint nor a network file, or is damaged, or its references do not fit.
    """
    if is_network_file(path):
        network, vectors = load_network(path)
        if len(vectors.logits):
            check_references(path, network, vectors)
        sha256 = hashlib.sha256(read_whole(path, "network file", MOST_BYTES)).hexdigest()
        known = measured_activity(network, vectors)
        return Origin(kind="network", activity=known, training={}, sha256=sha256), network, vectors
    checkpoint = load_checkpoint(path)
    network = fold(checkpoint)
    vectors = references(checkpoint, network)
    if checkpoint.kind == "qat":
        check_references(path, network, vectors)
    origin = Origin(
        kind=checkpoint.kind, activity=checkpoint.activity, training=checkpoint.training, sha256=checkpoint.sha256
    )
    return origin, network, vectors


def is_network_file(path: Path) -> bool:
    """Whether the file begins like a network file; a checkpoint is a zip archive."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begins = file.read(HEADER + 1)
    return len(begins) > HEADER and begins[HEADER:] == b"{" and not begins.startswith(b"PK")


def measured_activity(network: Network, vectors: ReferenceVectors) -> dict[str, list[float]]:
    """The activity of the first references that the golden model computes in one go."""
    samples = vectors.samples[: golden.at_once(network)]
    if not len(samples):
        return {}
    bursts = golden.run(network, encode(samples, network.input)).bursts
    found = {}
    for name, values in bursts.items():
        planes = torch.stack([values >> plane & 1 for plane in range(network.burst_ceiling(name).bit_length())])
        found[name] = planes.sum(0).flatten(2).sum(2).double().mean(0).tolist()
    return found
