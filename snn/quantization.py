"""From the float form to the integer form, and on to the integers themselves."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hw.network import IntArray
from snn.bursts import Bursts
from snn.layers import Layer, Readout, SpikingLayer


@torch.no_grad()
def begin(model: nn.Module, samples: Tensor) -> None:
    """Move every layer of ``model`` to the integer form.

    Each layer's F and exponents are chosen once, from its folded weights at the scales that float training
    found (or, in an untrained model, that the first batch gives), and fixed from then on.

    Args:
        model: any module built of :mod:`snn.layers`.
        samples: one batch of raw samples, as the model takes them.
    """
    was_training = model.training
    model(samples)
    for module in model.modules():
        if isinstance(module, Layer):
            module.choosing = True
    model.eval()
    model(samples)
    model.train(was_training)


@dataclass(frozen=True, kw_only=True)
class LayerIntegers:
    """The integers of one layer: bias and exponent (channels,), one weight array a projection, and a skip's weight."""

    bias: IntArray
    exponent: IntArray
    weights: list[IntArray]
    skip: int | None


@torch.no_grad()
def layer_integers(layer: SpikingLayer | Readout, sources: list[Bursts]) -> LayerIntegers:
    """Read the integers that ``layer`` computes with, from the very expressions of its forward pass."""
    incoming = layer.incoming(sources)
    scale = layer.neuron.scale if isinstance(layer, SpikingLayer) else torch.ones_like(sources[0].scale)
    skip = None
    if isinstance(layer, SpikingLayer) and len(sources) > len(incoming):
        skip = int(integers(layer.identity_weight(sources[-1], scale) / layer.resolution))
    biases = [layer.integer_bias(projection, source, scale) for projection, source in incoming]
    return LayerIntegers(
        bias=integers(torch.stack(biases).sum(0) / layer.resolution),
        exponent=integers(layer.exponent),
        weights=[
            integers(
                layer.integer_weight(projection, source, scale)
                / (torch.exp2(layer.exponent_of(projection)) * layer.resolution)
            )
            for projection, source in incoming
        ],
        skip=skip,
    )


def integers(values: Tensor) -> IntArray:
    """Whole-valued floats as int64; raises ValueError if one is not whole."""
    exact = values.double().numpy(force=True)
    rounded = exact.astype(np.int64)
    if not (rounded == exact).all():
        raise ValueError("a quantized value is not a whole number")
    return rounded
