"""The network on disk: one safetensors file, its structure in a versioned JSON header, its integers as tensors.

The bytes are a function of the network alone, so their sha256 names it. Needs numpy and safetensors, no torch.
"""

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hw.errors import UserError
from hw.network import (
    Conv2d,
    Dense,
    InputSpec,
    Leak,
    Network,
    NetworkError,
    Pooling,
    Population,
    Readout,
    ReferenceVectors,
    Skip,
)

FORMAT = "qblif-network"
VERSION = 2
TYPES = {
    "input": InputSpec,
    "population": Population,
    "pooling": Pooling,
    "dense": Dense,
    "conv2d": Conv2d,
    "skip": Skip,
    "readout": Readout,
}


def network_bytes(network: Network, references: ReferenceVectors) -> bytes:
    """The file's content; equal networks and references give equal bytes."""
    tensors: dict[str, np.ndarray] = {}

    def describe(part: Any, label: str) -> dict[str, Any]:
        description: dict[str, Any] = {
            "type": next(name for name, cls in TYPES.items() if type(part) is cls),
        }
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, np.ndarray):
                tensors[f"{label}.{field.name}"] = value
            elif isinstance(value, Leak):
                description[field.name] = [value.multiplier, value.shift]
            else:
                description[field.name] = value
        return description

    structure = {
        "format": FORMAT,
        "version": VERSION,
        "timesteps": network.timesteps,
        "input": describe(network.input, "input"),
        "nodes": [describe(node, node.name) for node in network.nodes],
        "projections": [
            describe(projection, f"projection{index}") for index, projection in enumerate(network.projections)
        ],
        "readout": describe(network.readout, "readout"),
    }
    for field in fields(references):
        tensors[f"references.{field.name}"] = np.ascontiguousarray(getattr(references, field.name))
    return save(tensors, metadata={"network": json.dumps(structure, sort_keys=True)})


def save_network(path: Path, network: Network, references: ReferenceVectors) -> None:
    """Write the network file."""
    path.write_bytes(network_bytes(network, references))


def load_network(path: Path) -> tuple[Network, ReferenceVectors]:
    """Read a network file back.

    Raises:
        UserError: the file is missing, damaged, of another format or version, or its network breaks the rules.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read network file {path}: {error.strerror}") from error
    try:
        header_length = int.from_bytes(content[:8], "little")
        structure = json.loads(json.loads(content[8 : 8 + header_length])["__metadata__"]["network"])
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not a network file or is damaged; build it again") from error
    if structure.get("format") != FORMAT or structure.get("version") != VERSION:
        raise UserError(f"{path} is not a {FORMAT} file of version {VERSION}; build it again")
    try:
        return network_from(structure, tensors)
    except (KeyError, TypeError, ValueError, NetworkError) as error:
        raise UserError(f"{path} does not hold a consistent network: {error}") from error


def network_from(structure: dict[str, Any], tensors: dict[str, np.ndarray]) -> tuple[Network, ReferenceVectors]:
    """Rebuild the network from its description and its tensors."""

    def build(description: dict[str, Any], label: str) -> Any:
        arguments = dict(description)
        cls = TYPES[arguments.pop("type")]
        for field in fields(cls):
            if f"{label}.{field.name}" in tensors:
                arguments[field.name] = tensors[f"{label}.{field.name}"]
        if "leak" in arguments:
            multiplier, shift = arguments["leak"]
            arguments["leak"] = Leak(multiplier=multiplier, shift=shift)
        if "shape" in arguments:
            arguments["shape"] = tuple(arguments["shape"])
        return cls(**arguments)

    network = Network(
        timesteps=structure["timesteps"],
        input=build(structure["input"], "input"),
        nodes=tuple(build(node, node["name"]) for node in structure["nodes"]),
        projections=tuple(build(part, f"projection{i}") for i, part in enumerate(structure["projections"])),
        readout=build(structure["readout"], "readout"),
    )
    references = ReferenceVectors(**{f.name: tensors[f"references.{f.name}"] for f in fields(ReferenceVectors)})
    return network, references


def network_sha256(network: Network, references: ReferenceVectors) -> str:
    """The name by which plan, report and host know this network."""
    return hashlib.sha256(network_bytes(network, references)).hexdigest()
