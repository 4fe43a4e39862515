"""Reading checkpoints: plain data only; every malformed file is refused with a one-line message.

The file is self-contained, so this package never imports the one that trained it; docs/checkpoint.md describes it.
"""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from qblif.archive import check_plain, check_tensors, load_archive
from qblif.errors import UserError
from qblif.network.checks import MOST_TIMESTEPS
from qblif.reading import MEBIBYTE, shown

FORMAT = "qblif-checkpoint"
VERSION = 1
MOST_BYTES = 128 * MEBIBYTE
"""Largest file; a ResNet-19, far larger than any board holds, takes 63 MiB with floats and integers."""
MOST_LAYERS = 256
MOST_REFERENCES = 256
MOST_ACTIVITY = 2**50
Expected = TypeVar("Expected")

TOP = (
    "format",
    "version",
    "kind",
    "timesteps",
    "mode",
    "input",
    "layers",
    "references",
    "activity",
    "training",
    "model",
    "state",
)
INPUT = ("shape", "coding", "bits")
FLOATS = ("weight", "gain", "shift", "mean", "variance", "epsilon", "source_scale")
REFERENCES = ("samples", "labels", "logits")
TARGET = ("kind", "name", "fraction_bits", "exponent", "projections")
LAYERS = {
    "population": (
        *TARGET,
        "shape",
        "burst_ceiling",
        "leak",
        "reset",
        "rounding",
        "current_leak",
        "membrane_limits",
        "current_limits",
        "scale",
        "skip",
    ),
    "readout": (*TARGET, "leak", "limits", "maximum"),
    "pooling": ("kind", "name", "source", "pooling", "kernel", "stride", "padding"),
}
PROJECTIONS = {
    "dense": ("kind", "source", "weight_bits", "floats", "recurrent"),
    "conv2d": ("kind", "source", "weight_bits", "floats", "recurrent", "stride", "padding", "dilation", "groups"),
}
SKIP = ("source", "source_scale")
INTEGERS = {"layer": ("bias",), "projection": ("weights",), "skip": ("weight",)}
"""Additional keys of a qat checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint whose frame was checked; :mod:`gen.frontend.fold` checks ``layers`` as it reads them.

    Attributes:
        kind: ``qat`` carries integers; ``float`` must be rounded.
        activity: mean set bit-planes per input that each node sends, per timestep; empty if not measured.
        training: record of the training (command, data, accuracy); may be empty.
        sha256: of the file.
    """

    path: Path
    kind: Literal["qat", "float"]
    timesteps: int
    mode: Literal["window", "stream"]
    input: dict[str, Any]
    layers: list[dict[str, Any]]
    references: dict[str, Any] | None
    activity: dict[str, list[float]]
    training: dict[str, Any]
    sha256: str


def load_checkpoint(path: Path) -> Checkpoint:
    """Load and check a checkpoint.

    Raises:
        UserError: the file is missing, truncated, holds code, is of another format or version, or lacks a key.
    """
    loaded, content = load_archive(path, "checkpoint", MOST_BYTES)
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        raise UserError(f"{path} is not a checkpoint of snn.train (no format {FORMAT!r} in it)")
    if type(loaded.get("version")) is not int or loaded["version"] != VERSION:
        raise UserError(
            f"{path} is a checkpoint of version {shown(loaded.get('version'))}, and this program reads version "
            f"{VERSION}; write it again with the snn.train that belongs to it"
        )
    kind = get(loaded, "kind", str, path)
    if kind not in ("qat", "float"):
        raise UserError(f"{path}: checkpoint kind {shown(kind)} is neither 'qat' nor 'float'")
    quantized = kind == "qat"
    check_keys(loaded, (*TOP, "references") if quantized else TOP, path)
    layers = get(loaded, "layers", list, path)
    if len(layers) > MOST_LAYERS:
        raise UserError(f"{path}: {len(layers):,} layers are more than {MOST_LAYERS}")
    spec = get(loaded, "input", dict, path)
    check_keys(spec, INPUT, f"{path}: input")
    for layer in layers:
        check_layer(layer, quantized=quantized, where=path)
    known = get(loaded, "references", dict, path) if quantized else None
    check_keys(known or {}, REFERENCES, f"{path}: references")
    check_tensors(itertools.chain(layer_tensors(layers), (known or {}).values()), len(content), path)
    return Checkpoint(
        path=path,
        kind="qat" if quantized else "float",
        timesteps=get(loaded, "timesteps", int, path),
        mode=get(loaded, "mode", str, path) if "mode" in loaded else "window",  # type: ignore[arg-type]
        input=spec,
        layers=layers,
        references=known,
        activity=checked_activity(loaded.get("activity", {}), path),
        training=training(loaded.get("training", {}), path),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def check_keys(section: dict[Any, Any], known: Iterable[str], where: object) -> None:
    """Raise UserError unless every key of ``section`` is known: ignoring a key would give a different network."""
    for key in section:
        if key not in known:
            raise UserError(f"{where}: {shown(key)} is not understood; no layer of this program has it")


def check_layer(layer: Any, *, quantized: bool, where: Path) -> None:
    """Raise UserError unless the layer is of a known kind and has only keys of its kind."""
    kind, name = get(layer, "kind", str, f"{where}: layer"), get(layer, "name", str, f"{where}: layer")
    if kind not in LAYERS:
        raise UserError(f"{where}: layer {shown(name)}: unsupported kind {shown(kind)}")
    label = f"{where}: layer {shown(name)}"
    integer = INTEGERS if quantized else dict.fromkeys(INTEGERS, ())
    check_keys(layer, LAYERS[kind] + (integer["layer"] if kind != "pooling" else ()), label)
    if kind == "pooling":
        return
    parts = get(layer, "projections", list, label)
    if len(parts) > MOST_LAYERS:
        raise UserError(f"{label}: {len(parts):,} projections are more than {MOST_LAYERS}")
    for part in parts:
        projection = get(part, "kind", str, label)
        if projection not in PROJECTIONS:
            raise UserError(f"{label}: unsupported projection {shown(projection)}; dense and conv2d are known")
        source = f"{label}: projection from {shown(part.get('source'))}"
        check_keys(part, PROJECTIONS[projection] + integer["projection"], source)
        check_keys(get(part, "floats", dict, source), FLOATS, f"{source}: floats")
    if "skip" in layer:
        check_keys(get(layer, "skip", dict, label), SKIP + integer["skip"], f"{label}: skip")


def layer_tensors(layers: list[dict[str, Any]]) -> Iterable[Any]:
    """Every value in checked layers that may be a tensor."""
    for layer in layers:
        yield from layer.values()
        yield from layer.get("skip", {}).values()
        for part in layer.get("projections", []):
            yield from part.values()
            yield from part["floats"].values()


def get(section: Any, key: str, expected: type[Expected], where: object) -> Expected:
    """``section[key]``, which must be an ``expected``; raises UserError that names the key."""
    if not isinstance(section, dict) or key not in section:
        raise UserError(f"{where}: the checkpoint has no {key!r}")
    value = section[key]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise UserError(f"{where}: {key!r} is a {type(value).__name__}, not a {expected.__name__}")
    return value


def checked_activity(section: Any, where: object) -> dict[str, list[float]]:
    """The checkpoint's activity, every entry a list of finite numbers from 0 upward."""
    fine = isinstance(section, dict) and len(section) <= 2 * MOST_LAYERS
    for node, steps in section.items() if fine else ():
        fine = fine and isinstance(node, str) and isinstance(steps, list) and len(steps) <= MOST_TIMESTEPS
        fine = fine and all(type(v) in (int, float) and 0 <= v <= MOST_ACTIVITY for v in steps)
    if not fine:
        raise UserError(f"{where}: 'activity' must be a list of finite numbers for each node")
    return section


def training(section: Any, where: object) -> dict[str, Any]:
    """The record of the training; its accuracy, if present, must be a share."""
    score = section.get("test_accuracy", 0.0) if isinstance(section, dict) else None
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise UserError(f"{where}: 'training' must be a record with a test_accuracy from 0 to 1")
    return section


def two_integers(section: Any, key: str, where: object) -> tuple[int, int] | None:
    """The list of two integers ``section[key]``, or None if there is no such key; raises UserError for anything
    else."""
    if key not in section:
        return None
    values = get(section, key, list, where)
    if len(values) != 2 or not all(type(value) is int for value in values):
        raise UserError(f"{where}: {key!r} is {shown(values)}, not two integers")
    return values[0], values[1]


def numbers_per_axis(section: Any, where: object, needed: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    """The present ones of these keys: each a number, or a list of two, for rows and columns; raises UserError for
    anything else, or if a needed key is missing."""
    found: dict[str, Any] = {}
    for key in (*needed, *optional):
        if key in needed or key in section:
            value = get(section, key, object, where)
            numbers = value if isinstance(value, list) else [value]
            if len(numbers) > 2 or not numbers or not all(type(number) is int for number in numbers):
                raise UserError(f"{where}: {key!r} is not a whole number, or a list of two")
            found[key] = tuple(value) if isinstance(value, list) else value
    return found


def dense(section: Any, key: str, where: object) -> torch.Tensor:
    """The plain real tensor ``section[key]``; raises UserError if it is anything else."""
    values = get(section, key, torch.Tensor, where)
    check_plain(values, f"{where}: {key!r}")
    return values.detach()


def whole_number(section: Any, key: str, where: object, least: int, most: int) -> int:
    """The integer ``section[key]``; raises UserError if it is not an integer from ``least`` to ``most``."""
    value: int = get(section, key, int, where)
    if not least <= value <= most:
        raise UserError(f"{where}: {key!r} is {shown(value)}, which is not {least} to {most}")
    return value


def floats(section: Any, key: str, where: object) -> NDArray[np.float64]:
    """The float tensor ``section[key]`` in float64; raises UserError if it is not a finite tensor."""
    values: NDArray[np.float64] = dense(section, key, where).double().numpy()
    if not np.isfinite(values).all():
        raise UserError(f"{where}: {key!r} contains NaN or infinity; the training diverged")
    return values


def integer_tensor(section: Any, key: str, where: object, dimensions: int) -> NDArray[np.int64]:
    """The integer tensor ``section[key]`` with ``dimensions`` dimensions, as int64; raises UserError for anything
    else."""
    values = dense(section, key, where)
    if values.dim() != dimensions:
        raise UserError(f"{where}: {key!r} has {values.dim()} dimensions, not {dimensions}")
    if values.is_floating_point():
        raise UserError(f"{where}: {key!r} must be integers, not {values.dtype}")
    if values.dtype is torch.uint64 and bool((values.view(torch.int64) < 0).any()):
        raise UserError(f"{where}: {key!r} holds integers beyond 2^63")
    return values.numpy().astype(np.int64)
