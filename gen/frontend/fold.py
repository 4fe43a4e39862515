"""Scale folding: from a checkpoint's layers to the integer network (docs/design.md, folding).

The integers of a checkpoint of quantization-aware training are taken as they are; the fold of its floats is recomputed
here independently and must agree within one unit. A float checkpoint is folded and rounded here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gen.frontend.checkpoint import (
    MOST_REFERENCES,
    Checkpoint,
    dense,
    floats,
    get,
    integer_tensor,
    numbers_per_axis,
    two_integers,
    whole_number,
)
from qblif.errors import UserError
from qblif.golden import replay
from qblif.network.checks import MOST_FRACTION_BITS, MOST_WEIGHT_BITS, IntArray, NetworkError
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Skip
from qblif.network.references import ReferenceVectors
from qblif.reading import brief, shown

MALFORMED = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""The errors that torch and numpy raise for values that contradict each other."""


@dataclass(frozen=True, kw_only=True)
class FoldedLayer:
    """W' and b' of one layer, rounded to its integer grid: weights per projection, and one bias for all of them."""

    weights: list[IntArray]
    bias: IntArray
    skip: int | None


def fold(checkpoint: Checkpoint) -> Network:
    """The integer network of a checkpoint.

    Raises:
        UserError: a layer is of an unknown kind, malformed, not finite or rounds to nothing, or its integers are not
            the fold of its floats.
    """
    try:
        spec = InputSpec(
            shape=tuple(get(checkpoint.input, "shape", list, "input")),
            coding=get(checkpoint.input, "coding", str, "input"),  # type: ignore[arg-type]
            bits=get(checkpoint.input, "bits", int, "input"),
        )
        nodes: list[Population | Pooling] = []
        projections: list[Dense | Conv2d | Skip] = []
        readout: Readout | None = None
        for layer in checkpoint.layers:
            if readout is not None:
                raise UserError(f"{checkpoint.path}: a layer follows the readout, which must be the last")
            kind, name = get(layer, "kind", str, "layer"), get(layer, "name", str, "layer")
            if kind == "pooling":
                nodes.append(pooling(layer, name))
                continue
            folded = checked_integers(layer, name, checkpoint.kind)
            projections += layer_projections(layer, name, folded)
            if kind == "readout":
                readout = Readout(
                    fraction_bits=get(layer, "fraction_bits", int, name),
                    bias=folded.bias,
                    exponent=integer_tensor(layer, "exponent", name, 1),
                    leak=leak(layer, "leak", name),
                    limits=two_integers(layer, "limits", f"layer {name}"),
                    maximum=get(layer, "maximum", bool, name) if "maximum" in layer else False,
                )
            else:
                nodes.append(population(layer, name, folded))
        if readout is None:
            raise UserError(f"{checkpoint.path}: the checkpoint has no readout")
        unknown = checkpoint.activity.keys() - {spec.name, *(node.name for node in nodes)}
        if unknown:
            raise UserError(f"{checkpoint.path}: activity of {shown(min(unknown))}, which is not a node")
        return Network(
            timesteps=checkpoint.timesteps,
            mode=checkpoint.mode,
            input=spec,
            nodes=tuple(nodes),
            projections=tuple(projections),
            readout=readout,
        )
    except NetworkError as error:
        raise UserError(f"{checkpoint.path}: {brief(error)}") from error
    except MALFORMED as error:
        raise UserError(f"{checkpoint.path} is malformed: {brief(error)}") from error


def references(checkpoint: Checkpoint, network: Network) -> ReferenceVectors:
    """The checkpoint's reference vectors; empty for a float checkpoint. Raises UserError if they do not fit."""
    if checkpoint.references is None:
        none = np.zeros((0, len(network.readout.bias)), dtype=np.int64)
        samples = np.zeros((0, *network.input.shape), dtype=np.uint8)
        return ReferenceVectors(samples=samples, logits=none, labels=np.zeros(0, dtype=np.int64))
    try:
        samples = dense(checkpoint.references, "samples", "references").numpy()
        logits = integer_tensor(checkpoint.references, "logits", "references", 2)
        labels = integer_tensor(checkpoint.references, "labels", "references", 1)
    except MALFORMED as error:
        raise UserError(f"{checkpoint.path}: references: {brief(error)}") from error
    if samples.ndim == 0 or len(samples) > MOST_REFERENCES:
        raise UserError(f"{checkpoint.path}: references: {samples.shape} samples; at most {MOST_REFERENCES} are kept")
    try:
        encode(samples, network.input)
    except NetworkError as error:
        raise UserError(f"{checkpoint.path}: references: {brief(error)}") from error
    steps = None if network.input.coding == "direct" else samples.shape[1]
    if steps not in (None, network.timesteps):
        raise UserError(f"{checkpoint.path}: references: {steps} timesteps, and the network has {network.timesteps}")
    if logits.shape != (len(samples), len(network.readout.bias)) or labels.shape != (len(samples),):
        raise UserError(f"{checkpoint.path}: references: logits {logits.shape} do not belong to {len(samples)} samples")
    return ReferenceVectors(samples=samples, logits=logits, labels=labels)


def pooling(layer: dict[str, Any], name: str) -> Pooling:
    """One pooling node."""
    return Pooling(
        name=name,
        source=get(layer, "source", str, name),
        kind=get(layer, "pooling", str, name),  # type: ignore[arg-type]
        **numbers_per_axis(layer, name, ["kernel"], ["stride", "padding"]),
    )


def population(layer: dict[str, Any], name: str, folded: FoldedLayer) -> Population:
    """One population with its folded constants."""
    label = f"layer {name}"
    membrane_leak = leak(layer, "leak", name)
    if membrane_leak is None:
        raise UserError(f"{label}: the checkpoint has no 'leak'")
    return Population(
        name=name,
        shape=tuple(get(layer, "shape", list, name)),
        fraction_bits=get(layer, "fraction_bits", int, name),
        burst_ceiling=get(layer, "burst_ceiling", int, name),
        leak=membrane_leak,
        reset=get(layer, "reset", str, name),  # type: ignore[arg-type]
        bias=folded.bias,
        exponent=integer_tensor(layer, "exponent", name, 1),
        rounding=get(layer, "rounding", int, name) if "rounding" in layer else None,
        current_leak=leak(layer, "current_leak", name),
        membrane_limits=two_integers(layer, "membrane_limits", label),
        current_limits=two_integers(layer, "current_limits", label),
    )


def leak(layer: dict[str, Any], key: str, name: str) -> Leak | None:
    """The leak ``layer[key]``; None if there is no such key."""
    parts = two_integers(layer, key, f"layer {name}")
    return None if parts is None else Leak(multiplier=parts[0], shift=parts[1])


def layer_projections(layer: dict[str, Any], name: str, folded: FoldedLayer) -> list[Dense | Conv2d | Skip]:
    """The projections into one layer."""
    result: list[Dense | Conv2d | Skip] = []
    for part, weights in zip(get(layer, "projections", list, name), folded.weights, strict=True):
        kind, source = get(part, "kind", str, name), get(part, "source", str, name)
        bits = get(part, "weight_bits", int, name)
        if not weights.any():
            raise UserError(
                f"layer {name}: all weights from {source} round to zero, so nothing could ever pass; "
                "train with more weight bits or a lower learning rate"
            )
        common: dict[str, Any] = {"source": source, "target": name, "weights": weights, "weight_bits": bits}
        if "recurrent" in part:
            common["recurrent"] = get(part, "recurrent", bool, name)
        if kind == "dense":
            result.append(Dense(**common))
        else:
            window = numbers_per_axis(part, name, ["stride", "padding"], ["dilation", "groups"])
            result.append(Conv2d(**common, **window))
    if folded.skip is not None:
        source = get(layer["skip"], "source", str, name)
        result.append(Skip(source=source, target=name, weight=folded.skip))
    return result


def checked_integers(layer: dict[str, Any], name: str, kind: str) -> FoldedLayer:
    """The layer's integers: the stored ones, checked against the fold of the floats, or that fold itself."""
    computed = fold_layer(layer, name)
    if kind == "float":
        return computed
    parts = get(layer, "projections", list, name)
    stored = FoldedLayer(
        weights=[integer_tensor(part, "weights", name, 2 if part["kind"] == "dense" else 4) for part in parts],
        bias=integer_tensor(layer, "bias", name, 1),
        skip=get(layer["skip"], "weight", int, name) if "skip" in layer else None,
    )
    pairs = list(zip((*stored.weights, stored.bias), (*computed.weights, computed.bias), strict=True))
    pairs.append((np.asarray(stored.skip or 0), np.asarray(computed.skip or 0)))
    for ours, refolded in pairs:
        if ours.shape != refolded.shape or np.abs(ours - refolded).max(initial=0) > 1:
            raise UserError(f"layer {name}: the checkpoint's integers are not what its floats fold to; train it again")
    return stored


def scalar(section: dict[str, Any], key: str, name: str) -> float:
    """The single number ``section[key]``; raises UserError if it is anything else."""
    value = floats(section, key, name)
    if value.shape != ():
        raise UserError(f"layer {name}: {key} has shape {value.shape}, not that of a single number")
    return float(value)


@np.errstate(all="raise", under="ignore")
def fold_layer(layer: dict[str, Any], name: str) -> FoldedLayer:
    """Fold BatchNorm and both scales into each projection, in float64, and round to the layer's grid::

        W' = (s_prev / s) * diag(g / sqrt(var + eps)) * W        b' = (c - g * mu / sqrt(var + eps)) / s
        w = clip(floor(W' * 2^(F-e) + 1/2))                      bias = floor(b' * 2^F + 1/2)

    Raises:
        UserError: a float is missing or not finite, or shapes do not match.
    """
    scale = scalar(layer, "scale", name) if layer["kind"] == "population" else 1.0
    unit = 2.0 ** whole_number(layer, "fraction_bits", name, 1, MOST_FRACTION_BITS)
    exponent = integer_tensor(layer, "exponent", name, 1)
    weights, bias = [], np.zeros(len(exponent), dtype=np.int64)
    for part in get(layer, "projections", list, name):
        numbers = get(part, "floats", dict, name)
        weight, shift = floats(numbers, "weight", name), floats(numbers, "shift", name)
        factor, offset = np.ones_like(shift), shift
        if numbers.get("gain") is not None:
            epsilon = get(numbers, "epsilon", float, name)
            gain, mean, variance = (floats(numbers, key, name) for key in ("gain", "mean", "variance"))
            if not gain.shape == mean.shape == variance.shape == shift.shape:
                raise UserError(f"layer {name}: gain, mean, variance and shift have different shapes")
            factor = gain / np.sqrt(variance + epsilon)
            offset = shift - factor * mean
        if weight.ndim not in (2, 4) or not weight.shape[:1] == shift.shape == exponent.shape:
            raise UserError(f"layer {name}: weights {weight.shape}, shift {shift.shape}, exponents {exponent.shape}")
        rows = factor * scalar(numbers, "source_scale", name) / scale * unit / 2.0**exponent
        limit = 2 ** (whole_number(part, "weight_bits", name, 1, MOST_WEIGHT_BITS) - 1)
        rounded = np.empty(weight.shape, dtype=np.int64)
        for channel, row in enumerate(rows):  # row by row, since temporary arrays for a whole layer take much memory
            rounded[channel] = np.clip(np.floor(weight[channel] * row + 0.5), -limit, limit - 1)
        weights.append(rounded)
        bias = bias + np.floor(offset / scale * unit + 0.5).astype(np.int64)
    skip = None
    if "skip" in layer:
        skip = int(np.floor(scalar(layer["skip"], "source_scale", name) / scale * unit + 0.5))
    return FoldedLayer(weights=weights, bias=bias, skip=skip)


def check_references(path: Path, network: Network, vectors: ReferenceVectors) -> None:
    """Replay the references; raises UserError unless this is the network that was trained."""
    if not len(vectors.logits):
        raise UserError(f"{path} has no reference inputs, which would show that this is the trained network")
    try:
        logits = replay(network, vectors)
    except NetworkError as error:
        raise UserError(f"{path}: {error}") from error
    wrong = (logits != vectors.logits[: len(logits)]).any(axis=1)
    if wrong.any():
        raise UserError(
            f"{path}: {wrong.sum()} of {len(wrong)} reference inputs give other logits than its training printed, so "
            "it does not describe the network that was trained, or was changed since; train it or copy it again"
        )
