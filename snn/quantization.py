"""From the float form to the integer form, and then to the integers themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.checks import IntArray
from snn.bursts import Bursts
from snn.exactness import exact_below
from snn.layers import Layer, ReadoutLayer, SpikingLayer
from snn.modes import in_mode
from snn.neuron import QBLIF
from snn.tracing import traced


@torch.no_grad()
def begin(model: nn.Module, samples: Tensor, fraction_bits: Mapping[str, int] | None = None) -> None:
    """Move every layer of ``model`` to the integer form.

    Each layer's F and exponents are chosen once, from its folded weights at the scales that float training
    found (or, in an untrained model, that the first batch gives), and stay fixed from then on. The model's mode does
    not matter and is kept.

    Args:
        model: any module built of :mod:`snn.layers`.
        samples: one batch of raw samples, as the model takes them.
        fraction_bits: F of every layer by its name in ``model``, so that the network fits hardware that was built for
            another one; if it is None, F is chosen together with the exponents.

    Raises:
        UserError: the float type could not hold the sums exactly (:func:`check_exact`).
    """
    if any(int(neuron.neurons) == 0 for neuron in model.modules() if isinstance(neuron, QBLIF)):
        with in_mode(model, training=True):
            model(samples)
    for name, module in model.named_modules():
        if isinstance(module, Layer):
            module.choosing = True
            module.given_fraction_bits = None if fraction_bits is None else fraction_bits[name]
    with in_mode(model, training=False), traced(model, samples) as steps:
        model(samples)
    for step in steps:
        if isinstance(step.module, SpikingLayer | ReadoutLayer):
            scale = step.module.neuron.scale if isinstance(step.module, SpikingLayer) else torch.ones(())
            check_exact(step.module, step.sources, scale)


def fraction_bits_of(model: nn.Module) -> dict[str, int]:
    """F of every layer by its name in ``model``; -1 in the float form."""
    layers = ((name, module) for name, module in model.named_modules() if isinstance(module, Layer))
    return {name: int(layer.fraction_bits) for name, layer in layers}


@dataclass(frozen=True, kw_only=True)
class LayerIntegers:
    """The integers of one layer: bias and exponent (channels,), a weight array per projection, and a skip's weight."""

    bias: IntArray
    exponent: IntArray
    weights: list[IntArray]
    skip: int | None


@torch.no_grad()
def layer_integers(layer: SpikingLayer | ReadoutLayer, sources: list[Bursts]) -> LayerIntegers:
    """Read the integers that ``layer`` computes with, from the same expressions as its forward pass."""
    incoming = layer.incoming(sources)
    scale = layer.neuron.scale if isinstance(layer, SpikingLayer) else torch.ones_like(sources[0].scale)
    skip = None
    if isinstance(layer, SpikingLayer) and len(sources) > len(incoming):
        skip = int(whole_valued(layer.identity_weight(sources[-1], scale) / layer.resolution))
    biases = [layer.integer_bias(projection, source, scale) for projection, source in incoming]
    check_exact(layer, sources, scale)
    return LayerIntegers(
        bias=whole_valued(torch.stack(biases).sum(0) / layer.resolution),
        exponent=whole_valued(layer.exponent),
        weights=[
            whole_valued(
                layer.integer_weight(projection, source, scale)
                / (torch.exp2(layer.exponent_of(projection)) * layer.resolution)
            )
            for projection, source in incoming
        ],
        skip=skip,
    )


def check_exact(layer: SpikingLayer | ReadoutLayer, sources: list[Bursts], scale: Tensor) -> None:
    """Raise UserError unless every value of the layer's forward pass is exact in the float types that it uses.

    All values are whole multiples of 2^-F. In that unit the sums over all timesteps, times the leak's multiplier where
    they are multiplied by it, must stay below 2^24 in float32 and below 2^53 in float64.
    """
    reach = torch.zeros((), dtype=torch.float64)
    types = set[torch.dtype]()
    for projection, source in layer.incoming(sources):
        types |= {source.counts.dtype, *projection.float_types}
        weights = layer.integer_weight(projection, source, scale).double().abs().flatten(1).sum(1)
        bias = layer.integer_bias(projection, source, scale).double().abs()
        reach = reach + (weights * source.ceiling + bias).max()
    if isinstance(layer, SpikingLayer):
        if len(sources) > len(layer.incoming(sources)):
            reach = reach + layer.identity_weight(sources[-1], scale).double().abs() * sources[-1].ceiling
        reach = reach * max(1, layer.neuron.leak.multiplier)
    units = float(reach) * sources[0].timesteps / layer.resolution
    limit = exact_below(*types)
    if not units < limit:
        raise UserError(
            f"a layer's sums can reach {units:.3g} units, and {' and '.join(map(str, types))} are exact below {limit}; "
            "train with fewer weight or input bits, or in float64 (torch.set_default_dtype)"
        )


def whole_valued(values: Tensor) -> IntArray:
    """Whole-valued floats as int64; raises UserError if one is not whole or not finite."""
    exact = values.double().numpy(force=True)
    if not (np.isfinite(exact) & (exact == np.floor(exact)) & (np.abs(exact) < 2**53)).all():
        raise UserError("a quantized value is not a whole number; the training diverged, or its sums were not exact")
    return exact.astype(np.int64)
