"""From the float form to the integer form, and then to the integers themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.bounds import integral_bounds, neuron_bounds
from qblif.network.checks import IntArray
from qblif.network.intervals import Interval
from qblif.network.nodes import Population, Readout
from snn.bursts import Bursts, Encoder
from snn.decay import on_grid
from snn.dynamics import Neuron
from snn.exactness import exact_below
from snn.layers import Layer, ReadoutLayer, SpikingLayer
from snn.modes import in_mode
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
    if not all(neuron.initialised for neuron in model.modules() if isinstance(neuron, Neuron)):
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
            check_exact(step.module, step.sources, scale, duration(model))


def duration(model: nn.Module) -> int | None:
    """T of a model's encoder; None for a stream, which has no end."""
    encoder = next(module for module in model.modules() if isinstance(module, Encoder))
    return None if encoder.mode == "stream" else encoder.timesteps


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
def layer_integers(layer: SpikingLayer | ReadoutLayer, sources: list[Bursts], timesteps: int | None) -> LayerIntegers:
    """Read the integers that ``layer`` computes with, from the same expressions as its forward pass.

    Args:
        layer: a layer in the integer form.
        sources: what it reads.
        timesteps: T; None for a stream.

    Raises:
        UserError: its values may not be exact (:func:`check_exact`).
    """
    incoming = layer.incoming(sources)
    scale = layer.neuron.scale if isinstance(layer, SpikingLayer) else torch.ones_like(sources[0].scale)
    skip = None
    if isinstance(layer, SpikingLayer) and len(sources) > len(incoming):
        skip = int(whole_valued(layer.identity_weight(sources[-1], scale) / layer.resolution))
    synapses = layer.synapses(sources, scale)
    biases = [layer.integer_bias(projection, source, scale) for projection, source in synapses]
    check_exact(layer, sources, scale, timesteps)
    return LayerIntegers(
        bias=whole_valued(torch.stack(biases).sum(0) / layer.resolution),
        exponent=whole_valued(layer.exponent),
        weights=[
            whole_valued(
                layer.integer_weight(projection, source, scale)
                / (torch.exp2(layer.exponent_of(projection)) * layer.resolution)
            )
            for projection, source in synapses
        ],
        skip=skip,
    )


def check_exact(
    layer: SpikingLayer | ReadoutLayer, sources: list[Bursts], scale: Tensor, timesteps: int | None
) -> None:
    """Raise UserError unless every value of the layer's forward pass is exact in the float types that it uses.

    All values are whole multiples of 2^-F. In that unit the sums and the states must stay below 2^24 in float32 and
    below 2^53 in float64, for every input over ``timesteps`` steps; None for endless time. Products with a leak's
    multiplier are always computed in float64.
    """
    reach = torch.zeros((), dtype=torch.float64)
    types = set[torch.dtype]()
    for projection, source in layer.synapses(sources, scale):
        types |= {source.counts.dtype, *projection.float_types}
        weights = layer.integer_weight(projection, source, scale).double().abs().flatten(1).sum(1)
        bias = layer.integer_bias(projection, source, scale).double().abs()
        reach = reach + (weights * source.ceiling + bias).max().cpu()
    if isinstance(layer, SpikingLayer) and len(sources) > len(layer.incoming(sources)):
        reach = reach + (layer.identity_weight(sources[-1], scale).double().abs() * sources[-1].ceiling).cpu()
    units, limit = float(reach) / layer.resolution, exact_below(*types)
    if units < limit:
        units = state_reach(layer, int(units), timesteps)
    if not units < limit:
        raise UserError(
            f"a layer's sums can reach {units:.3g} units, and {' and '.join(map(str, types))} are exact below {limit}; "
            "train with fewer weight or input bits, or in float64 (torch.set_default_dtype)"
        )


def state_reach(layer: SpikingLayer | ReadoutLayer, current: int, timesteps: int | None) -> int:
    """Bound of the layer's sums and states, in units of 2^-F, if at most ``current`` units enter in one timestep.

    Raises:
        UserError: there is none over endless time.
    """
    entering = Interval(low=np.array([-current], dtype=object), high=np.array([current], dtype=object))
    bits, channel = int(layer.fraction_bits), np.zeros(1, dtype=np.int64)
    if isinstance(layer, ReadoutLayer):
        limits = on_grid(layer.limits, bits)
        readout = Readout(
            fraction_bits=bits, bias=channel, exponent=channel, leak=layer.leak, limits=limits, maximum=layer.maximum
        )
        integral = integral_bounds(entering, readout, timesteps)
        return largest(integral.summed, integral.limited, product=integral.product)
    neuron = layer.neuron
    population = Population(
        name="population",
        shape=(1, 1, 1),
        fraction_bits=bits,
        burst_ceiling=neuron.burst_ceiling,
        leak=neuron.leak,
        reset=neuron.reset,
        bias=channel,
        exponent=channel,
        rounding=neuron.rounding(bits),
        current_leak=neuron.current_leak,
        membrane_limits=on_grid(neuron.membrane_limits, bits),
        current_limits=on_grid(neuron.current_limits, bits),
    )
    bounds = neuron_bounds(entering, population, timesteps)
    return largest(bounds.summed, bounds.potential, bounds.membrane, product=bounds.product)


def largest(*values: Interval, product: Interval) -> int:
    """The largest distance of any of the ``values`` from 0, or that of the ``product`` if float64 cannot hold it."""
    reach = max(value.reach for value in values)
    return reach if product.reach < exact_below(torch.float64) else max(reach, product.reach)


def whole_valued(values: Tensor) -> IntArray:
    """Whole-valued floats as int64; raises UserError if one is not whole or not finite."""
    exact = values.double().numpy(force=True)
    if not (np.isfinite(exact) & (exact == np.floor(exact)) & (np.abs(exact) < 2**53)).all():
        raise UserError("a quantized value is not a whole number; the training diverged, or its sums were not exact")
    return exact.astype(np.int64)
