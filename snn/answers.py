"""What a model answers: its logits and the labels that they are held against."""

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from snn.bursts import Encoder
from snn.datasets.data import Images
from snn.layers import ReadoutLayer
from snn.modes import in_mode

TESTED_AT_ONCE = {"cpu": 50, "cuda": 250}
"""Few on a CPU, so that a layer's unfolded windows stay in the cache and in memory that the process already has."""
LEAST_TESTED = 2**15
"""Bytes of samples at once: more of them where samples are short, since every layer costs time for each batch."""


def check_teacher(teacher: nn.Module, model: nn.Module) -> None:
    """Raise UserError unless both models take the same samples and have the same classes."""

    def takes(of: nn.Module) -> str:
        encoder = next(module for module in of.modules() if isinstance(module, Encoder))
        readout = readout_of(of)
        frames = f"{encoder.timesteps} frames of " if encoder.spec.coding != "direct" else ""
        return f"{frames}{encoder.spec.shape} {encoder.spec.coding} samples of {len(readout.exponent)} classes"

    if takes(teacher) != takes(model):
        raise UserError(f"--teacher takes {takes(teacher)}, and the model {takes(model)}")


def timesteps_of(model: nn.Module) -> int:
    """The timesteps T of a model."""
    return next(module.timesteps for module in model.modules() if isinstance(module, Encoder))


def span_of(model: nn.Module) -> float:
    """About how many timesteps a logit of a model sums over."""
    return readout_of(model).span(timesteps_of(model))


def readout_of(model: nn.Module) -> ReadoutLayer:
    """The readout of a model."""
    return next(module for module in model.modules() if isinstance(module, ReadoutLayer))


def check_labels(model: nn.Module, images: Images, *, truncated: bool) -> None:
    """Raise UserError unless the model has a result for every label, and the pieces of ``truncated`` recordings have
    labels."""
    if images.labels.ndim == 2 and not readout_of(model).per_step:
        raise UserError("there is a label for every timestep, and a result only for the whole; take --stream")
    if truncated and images.labels.ndim == 1:
        raise UserError("--truncate needs a label for every timestep, and there is one for each sample")


def class_weights(labels: Tensor, classes: int, balance: float) -> Tensor | None:
    """How much each class counts in the loss: its share of ``labels`` to the power ``-balance``; None if alike."""
    if not balance:
        return None
    counts = labels.flatten().bincount(minlength=classes).clamp(min=1)
    return (len(labels.flatten()) / counts) ** balance


def answered(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (answers, classes) and the labels (answers,) that they are held against.

    Args:
        logits: (batch, classes), or those of every timestep, (T, batch, classes).
        labels: (batch,), which are held against the last timestep, or (batch, T).
    """
    if labels.dim() == 2:
        return logits.transpose(0, 1).flatten(0, 1), labels.flatten()
    return logits if logits.dim() == 2 else logits[-1], labels


@torch.no_grad()
def accuracy(model: nn.Module, images: Images) -> float:
    """Fraction of the labels of ``images`` that have the first largest logit; the model's mode is kept."""
    device = next(model.parameters()).device
    sample = max(1, images.pixels[:1].size)
    right, at_once = 0, max(TESTED_AT_ONCE[device.type], LEAST_TESTED // sample)
    with in_mode(model, training=False):
        for start in range(0, len(images.labels), at_once):
            part = images.range(start, start + at_once)
            samples, labels = (torch.from_numpy(each.copy()).to(device) for each in (part.pixels, part.labels))
            logits, targets = answered(model(samples), labels)
            right += int((logits.argmax(1) == targets).sum())
    return right / images.labels.size
