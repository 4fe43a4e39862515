"""What the integers change: the answers and the spikes of a converted model before and after."""

import copy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from qblif.progress import counted
from snn import quantization
from snn.answers import TESTED_AT_ONCE, answered
from snn.bursts import Bursts
from snn.convert.model import Converted
from snn.datasets.data import Images
from snn.modes import in_mode


@dataclass(frozen=True, kw_only=True)
class LayerComparison:
    """The decisions of a population, one for every neuron, timestep and sample, and how many of them differ."""

    name: str
    decisions: int
    different: int
    float_spikes: int
    integer_spikes: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A converted model in floats against the same network in integers, on the same samples.

    Attributes:
        labels: how many labels the answers were held against.
        float_right, integer_right: how many of them were answered rightly.
        layers: every population, from the input on.
    """

    labels: int
    float_right: int
    integer_right: int
    layers: tuple[LayerComparison, ...]


Model = TypeVar("Model", bound=nn.Module)


def quantized(model: Model, samples: Tensor) -> Model:
    """A copy in the integer form, whose grids suit the model's weights; raises UserError.

    Args:
        model: a model in the float form.
        samples: some raw samples, on which it runs.
    """
    integers = copy.deepcopy(model)
    quantization.begin(integers, samples)
    return integers


@torch.no_grad()
def compare(floats: Converted, integers: Converted, images: Images, *, quiet: bool = False) -> Comparison:
    """Run both on ``images``, which they leave in the modes that they have."""
    labels, right = 0, [0, 0]
    totals: dict[str, list[int]] = {}
    at_once = TESTED_AT_ONCE["cpu"]
    starts = range(0, len(images.labels), at_once)
    with in_mode(floats, training=False), in_mode(integers, training=False):
        for start in counted(starts, len(starts), "comparing floats and integers", quiet=quiet):
            part = images.range(start, start + at_once)
            samples, wanted = torch.from_numpy(part.pixels.copy()), torch.from_numpy(part.labels.copy())
            ours, theirs = floats.run(samples), integers.run(samples)
            for (name, one), other in zip(ours.items(), theirs.values(), strict=True):
                if isinstance(one, Bursts) and isinstance(other, Bursts) and name in floats.scales:
                    counts = totals.setdefault(name, [0, 0, 0, 0])
                    numbers = torch.stack([(one.counts != other.counts).sum(), one.counts.sum(), other.counts.sum()])
                    for place, more in enumerate([one.counts.numel(), *numbers.long().tolist()]):
                        counts[place] += more
            for place, values in enumerate((ours, theirs)):
                logits = values[floats.last]
                assert isinstance(logits, Tensor)
                answers, targets = answered(logits, wanted)
                right[place] += int((answers.argmax(1) == targets).sum())
            labels += targets.numel()
    layers = (
        LayerComparison(
            name=name, decisions=counts[0], different=counts[1], float_spikes=counts[2], integer_spikes=counts[3]
        )
        for name, counts in totals.items()
    )
    return Comparison(labels=labels, float_right=right[0], integer_right=right[1], layers=tuple(layers))
