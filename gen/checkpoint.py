"""Reading checkpoints: plain data only, every malformed file refused in one line.

The file says all, so that this package never imports the one that trained it; docs/checkpoint.md describes it.
"""

import hashlib
import io
import math
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hw.errors import UserError

FORMAT = "qblif-checkpoint"
VERSION = 1
Expected = TypeVar("Expected")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint whose frame was checked; ``layers`` is checked as :mod:`gen.fold` reads it.

    Attributes:
        kind: ``qat`` carries integers; ``float`` has to be rounded.
        activity: mean set bit-planes an input that each node sends, per timestep; empty if not measured.
        training: what its training recorded (command, data, accuracy); may be empty.
        sha256: of the file.
    """

    path: Path
    kind: Literal["qat", "float"]
    timesteps: int
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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read checkpoint {path}: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged or holds something other than plain data; checkpoints are never unpickled with code"
        ) from error
    except Exception as error:  # whatever damaged bytes do to the reader
        raise UserError(f"{path} is not a checkpoint or is damaged (truncated?); train or copy it again") from error
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        raise UserError(f"{path} is not a checkpoint of snn.train (no format {FORMAT!r} in it)")
    if type(loaded.get("version")) is not int or loaded["version"] != VERSION:
        raise UserError(
            f"{path} is a checkpoint of version {loaded.get('version')!r}, and this program reads version {VERSION}; "
            "write it again with the snn.train that belongs to it"
        )
    kind = get(loaded, "kind", str, path)
    if kind not in ("qat", "float"):
        raise UserError(f"{path}: checkpoint kind {kind!r} is neither 'qat' nor 'float'")
    return Checkpoint(
        path=path,
        kind="qat" if kind == "qat" else "float",
        timesteps=get(loaded, "timesteps", int, path),
        input=get(loaded, "input", dict, path),
        layers=get(loaded, "layers", list, path),
        references=get(loaded, "references", dict, path) if kind == "qat" else None,
        activity=activity(loaded.get("activity", {}), path),
        training=training(loaded.get("training", {}), path),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def get(section: Any, key: str, expected: type[Expected], where: object) -> Expected:
    """``section[key]``, which must be an ``expected``; raises UserError that names the key."""
    if not isinstance(section, dict) or key not in section:
        raise UserError(f"{where}: the checkpoint has no {key!r}")
    value = section[key]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise UserError(f"{where}: {key!r} is a {type(value).__name__}, not a {expected.__name__}")
    return value


def activity(section: Any, where: object) -> dict[str, list[float]]:
    """The checkpoint's activity, every entry a list of finite numbers from 0 upward."""
    fine = isinstance(section, dict) and all(
        isinstance(steps, list) and all(isinstance(v, int | float) and math.isfinite(v) and v >= 0 for v in steps)
        for steps in section.values()
    )
    if not fine:
        raise UserError(f"{where}: 'activity' must be a list of finite numbers for each node")
    return section


def training(section: Any, where: object) -> dict[str, Any]:
    """The record of the training; its accuracy, if there is one, is a share."""
    score = section.get("test_accuracy", 0.0) if isinstance(section, dict) else None
    if not isinstance(score, int | float) or not 0 <= score <= 1:
        raise UserError(f"{where}: 'training' must be a record with a test_accuracy from 0 to 1")
    return section


def dense(section: Any, key: str, where: object) -> torch.Tensor:
    """The plain real tensor ``section[key]``; raises UserError when it is anything else."""
    values = get(section, key, torch.Tensor, where)
    if values.layout is not torch.strided or values.is_quantized or values.is_complex():
        raise UserError(f"{where}: {key!r} is not a plain tensor of numbers")
    return values.detach()


def floats(section: Any, key: str, where: object) -> NDArray[np.float64]:
    """The float tensor ``section[key]`` in float64; raises UserError when it is no tensor or not finite."""
    values = dense(section, key, where).double().numpy()
    if not np.isfinite(values).all():
        raise UserError(f"{where}: {key!r} contains NaN or infinity; the training diverged")
    return values


def integers(section: Any, key: str, where: object) -> NDArray[np.int64]:
    """The integer tensor ``section[key]`` as int64; raises UserError when it is anything else."""
    values = dense(section, key, where)
    if values.is_floating_point() or values.is_complex():
        raise UserError(f"{where}: {key!r} must be integers, not {values.dtype}")
    return values.numpy().astype(np.int64)
