"""The network on disk: one safetensors file, its structure in a versioned JSON header, its integers as tensors.

The bytes depend only on the network and its references. Their sha256, computed without the hash itself, identifies the
network and is stored in the file, so a file that was changed is not read as another network. Needs numpy and
safetensors, but not torch.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from qblif.errors import UserError
from qblif.files import write_whole
from qblif.network.checks import ADDED, NetworkError
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Skip
from qblif.network.references import ReferenceVectors
from qblif.reading import MEBIBYTE, brief, parse_json, read_whole, shown

FORMAT = "qblif-network"
VERSION = 5
"""Version 1 calls the type of a part its kind, which a pooling's own kind then replaces; versions 1 and 2 have no
sha256; version 4 adds groups, dilation, windows whose rows and columns differ, and poolings with stride and padding;
version 5 adds recurrent projections, synaptic currents, limits, leaky readouts, frames as input, and streams."""
NAMED = 2
"""The version whose bytes are hashed: networks keep their hashes when the file format gets a new version."""
MOST_BYTES = 96 * MEBIBYTE
"""12 million weights of 8 bytes, more than any board holds."""
MOST_HEADER = 4 * MEBIBYTE
MOST_PARTS = 1024
TOP = ("format", "version", "timesteps", "mode", "input", "nodes", "projections", "readout")
LEAKS = {"leak", "current_leak"}
TUPLES = {"shape", "membrane_limits", "current_limits", "limits"}
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
    return serialised(network, references, {"version": VERSION, "sha256": network_sha256(network, references)})


def serialised(network: Network, references: ReferenceVectors, frame: dict[str, Any]) -> bytes:
    """Structure and tensors; ``frame`` adds the version and, if given, the hash."""
    tensors: dict[str, np.ndarray] = {}

    def describe(part: Any, label: str) -> dict[str, Any]:
        description: dict[str, Any] = {
            "type": next(name for name, cls in TYPES.items() if type(part) is cls),
        }
        for field in fields(part):
            value = getattr(part, field.name)
            if field.metadata == ADDED and value == field.default:
                continue
            if isinstance(value, np.ndarray):
                tensors[f"{label}.{field.name}"] = value
            elif isinstance(value, Leak):
                description[field.name] = [value.multiplier, value.shift]
            else:
                description[field.name] = value
        return description

    structure = {
        "format": FORMAT,
        "timesteps": network.timesteps,
        **({} if network.mode == "window" else {"mode": network.mode}),
        "input": describe(network.input, "input"),
        "nodes": [describe(node, node.name) for node in network.nodes],
        "projections": [
            describe(projection, f"projection{index}") for index, projection in enumerate(network.projections)
        ],
        "readout": describe(network.readout, "readout"),
        **frame,
    }
    for field in fields(references):
        tensors[f"references.{field.name}"] = np.ascontiguousarray(getattr(references, field.name))
    return save(tensors, metadata={"network": json.dumps(structure, sort_keys=True)})


def save_network(path: Path, network: Network, references: ReferenceVectors) -> None:
    """Write the network file."""
    write_whole(path, network_bytes(network, references))


def load_network(path: Path) -> tuple[Network, ReferenceVectors]:
    """Read a network file of this version or an older one.

    Raises:
        UserError: the file is missing, damaged or changed, has another format or version, or its network breaks the
            rules.
    """
    content = read_whole(path, "network file", MOST_BYTES)
    try:
        header = parse_json(header_of(content))
        structure = parse_json(header["__metadata__"]["network"])
        version, name = structure["version"], structure.pop("sha256", None)
        known = structure["format"] == FORMAT and type(version) is int and 1 <= version <= VERSION
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is not a network file or is damaged; build it again") from error
    if not known:
        raise UserError(f"{path} is not a {FORMAT} file of version 1 to {VERSION}; build it again")
    try:
        network, references = network_from(structure, load(content), version)
    except (LookupError, TypeError, ValueError, SafetensorError, NetworkError, MemoryError) as error:
        raise UserError(f"{path} does not hold a consistent network: {brief(error)}") from error
    if (version >= 3 or name is not None) and network_sha256(network, references) != name:
        raise UserError(f"{path} was changed after it was written, or is damaged; build it again")
    return network, references


def header_of(content: bytes) -> bytes:
    """The JSON header of a safetensors file; raises ValueError if its length cannot be right."""
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= min(MOST_HEADER, len(content) - 8):
        raise ValueError("the header is longer than the file")
    return content[8 : 8 + length]


def network_from(
    structure: dict[str, Any], tensors: dict[str, np.ndarray], version: int
) -> tuple[Network, ReferenceVectors]:
    """Rebuild the network from its description and its tensors.

    Raises:
        KeyError, TypeError, ValueError, NetworkError: something is missing, has a wrong type, or is unknown.
    """
    check_keys(structure, TOP, "the network")
    left = dict(tensors)

    def build(description: dict[str, Any], label: str) -> Any:
        arguments = dict(description)
        # A pooling of version 1 has sum or max in the place of its type.
        cls = TYPES[arguments.pop("type")] if version > 1 else TYPES.get(arguments.pop("kind"), Pooling)
        if version == 1 and cls is Pooling:
            arguments["kind"] = description["kind"]
        for field in fields(cls):
            if f"{label}.{field.name}" in left:
                arguments[field.name] = left.pop(f"{label}.{field.name}")
        check_keys(arguments, [field.name for field in fields(cls)], label)
        for leak in LEAKS & arguments.keys():
            multiplier, shift = arguments[leak]
            arguments[leak] = Leak(multiplier=multiplier, shift=shift)
        for numbers in TUPLES & arguments.keys():
            arguments[numbers] = tuple(arguments[numbers])
        return cls(**arguments)

    nodes, projections = structure["nodes"], structure["projections"]
    if not (isinstance(nodes, list) and isinstance(projections, list) and len(nodes) + len(projections) <= MOST_PARTS):
        raise ValueError(f"nodes and projections are not lists of at most {MOST_PARTS} parts")
    network = Network(
        timesteps=structure["timesteps"],
        mode=structure.get("mode", "window"),
        input=build(structure["input"], "input"),
        nodes=tuple(build(node, node["name"]) for node in nodes),
        projections=tuple(build(part, f"projection{i}") for i, part in enumerate(projections)),
        readout=build(structure["readout"], "readout"),
    )
    references = ReferenceVectors(**{f.name: left.pop(f"references.{f.name}") for f in fields(ReferenceVectors)})
    check_keys(left, (), "the tensors")
    check_references(network, references)
    return network, references


def check_keys(section: Any, known: Sequence[str], where: str) -> None:
    """Raise ValueError if ``section`` has an unknown key."""
    for key in section:
        if key not in known:
            raise ValueError(f"{shown(where)}: {shown(key)} is not understood")


def check_references(network: Network, references: ReferenceVectors) -> None:
    """Raise ValueError unless every reference has a sample, logits and a label."""
    count, classes = len(references.samples), len(network.readout.bias)
    fine = references.samples.dtype.kind in "iu" and references.samples.ndim >= 2
    for array, shape in ((references.logits, (count, classes)), (references.labels, (count,))):
        fine = fine and array.dtype == np.int64 and array.shape == shape
    if not fine:
        raise ValueError("its references do not belong to it")


def network_sha256(network: Network, references: ReferenceVectors) -> str:
    """The hash that identifies this network in plans, in reports and on the host."""
    return hashlib.sha256(serialised(network, references, {"version": NAMED})).hexdigest()
