"""Rounding a neuron's weights so that their errors cancel in the currents that its inputs cause.

Rounding every weight to the nearest makes the least error of the weights, not of the currents: inputs that are active
together add up their errors. Here the weights are rounded one after the other, and what one loses goes to those that
are still to be rounded, as far as their inputs go together (GPTQ, arXiv 2210.17323).
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from qblif.network.nodes import Leak
from snn.bursts import Bursts
from snn.layers import Layer, ReadoutLayer, SpikingLayer
from snn.modes import in_mode
from snn.projections import QuantConv2d, QuantProjection

AT_ONCE = 50
"""Samples that the model runs on at once."""
UNFOLDED = 16
"""Images of which a convolution's windows are held at once."""
DAMPING = 0.01
"""Added to the mean square of every input, relative to their mean; inputs that are never active have none."""


@torch.no_grad()
def compensate(model: nn.Module, samples: Tensor) -> None:
    """Change the weights of ``model`` to whole steps of its grid, layer by layer.

    Every layer is measured behind those that were changed before it. A channel may take a step twice or half as large
    if its currents are nearer then. Weights that are whole steps already stay. Of a layer that is called several times
    the first call counts. Recurrent projections stay, and so do those that have more weights for a neuron than there
    are samples, which would fit the samples' noise.

    Args:
        model: a model in the integer form; its layers stand in the order of their calls.
        samples: raw samples, as the model takes them.
    """
    # Statistics do not need float64, which the model may have.
    run = copy.deepcopy(model).float()
    for layer, like in zip(layers_of(model), layers_of(run), strict=True):
        found = [
            Measured(projection, *measured(run, like, place, samples))
            for place, projection in enumerate(layer.projections)
            if isinstance(projection, QuantProjection) and projection.weight[0].numel() <= len(samples)
        ]
        if found:
            project(layer, found)
            like.load_state_dict(layer.state_dict())


def layers_of(model: nn.Module) -> list[Layer]:
    """The layers of a model."""
    return [module for module in model.modules() if isinstance(module, Layer)]


class Measured(NamedTuple):
    """A projection, what it reads, and the moments of its inputs, as :func:`moments_of` gives them."""

    projection: QuantProjection
    source: Bursts
    moments: Tensor


def measured(model: nn.Module, layer: Layer, place: int, samples: Tensor) -> tuple[Bursts, Tensor]:
    """What a projection reads, and the sums of products of its inputs, (groups, inputs, inputs) in float64.

    Inputs are taken as a membrane without resets remembers them, for errors of several timesteps add up in it.
    """
    arrived: Bursts | None = None

    def keep(_: nn.Module, arguments: tuple[Bursts, ...]) -> None:
        nonlocal arrived
        if arrived is None:
            arrived = layer.incoming(list(arguments))[place][1]

    projection, total = layer.projections[place], torch.zeros((), dtype=torch.float64)
    assert isinstance(projection, QuantProjection)
    hook = layer.register_forward_pre_hook(keep)
    with in_mode(model, training=False):
        for part in samples.split(AT_ONCE):
            arrived = None
            model(part)
            assert arrived is not None
            total = total + moments_of(projection, remembered(arrived.counts, leak_of(layer)))
    hook.remove()
    assert arrived is not None
    return arrived, total


def leak_of(layer: Layer) -> Leak:
    """What a timestep leaves of a layer's membranes, or of a readout's sums."""
    if isinstance(layer, SpikingLayer):
        return layer.neuron.leak
    assert isinstance(layer, ReadoutLayer)
    return layer.leak or Leak(multiplier=1, shift=0)


def remembered(counts: Tensor, leak: Leak) -> Tensor:
    """Counts (T, batch, ...) of each timestep with those before it, as far as the leak left them."""
    share, total, steps = leak.multiplier / 2**leak.shift, torch.zeros_like(counts[0]), list[Tensor]()
    for count in counts:
        total = share * total + count
        steps.append(total)
    return torch.stack(steps)


def moments_of(projection: QuantProjection, inputs: Tensor) -> Tensor:
    """Sums of the products of the inputs that a neuron reads, over all neurons of a channel, timesteps and samples.

    Args:
        projection: into the neurons.
        inputs: (T, batch, *shape).

    Returns:
        (groups, inputs, inputs) in float64.
    """
    flat = inputs.flatten(0, 1).double()
    if not isinstance(projection, QuantConv2d):
        return (flat.T @ flat).unsqueeze(0)
    window, total = projection.window, torch.zeros((), dtype=torch.float64)
    for images in flat.split(UNFOLDED):
        columns = nn.functional.unfold(images, window.kernel, window.dilation, window.padding, window.stride)
        grouped = columns.transpose(0, 1).flatten(1).unflatten(0, (projection.groups, -1))
        total = total + grouped @ grouped.mT
    return total


def project(layer: Layer, found: list[Measured]) -> None:
    """Set the weights of a layer's projections to whole steps, and its exponents to the steps that suit them.

    Exponents stay where a projection was not measured, since its weights may need them.
    """
    recurrent = isinstance(layer, SpikingLayer) and layer.recurrent is not None
    fixed = recurrent or len(found) < len(layer.projections)
    first, *others = (candidate(layer, found, change) for change in ((0,) if fixed else (0, -1, 1)))
    exponent, weights, errors = first
    for other in others:
        better = other.errors < errors
        exponent = torch.where(better, other.exponent, exponent)
        errors = torch.where(better, other.errors, errors)
        weights = [
            torch.where(better.view(-1, *[1] * (new.dim() - 1)), new, old)
            for new, old in zip(other.weights, weights, strict=True)
        ]
    layer.exponent.copy_(exponent)
    for one, whole in zip(found, weights, strict=True):
        folded, weight = folded_weight(layer, one), one.projection.weight
        largest = weight.flatten(1).abs().argmax(1, keepdim=True)
        unit = folded.flatten(1).gather(1, largest) / weight.double().flatten(1).gather(1, largest)
        changed = whole != folded
        weight[changed] = (whole.flatten(1) / unit).view_as(weight)[changed].to(weight.dtype)


class Candidate(NamedTuple):
    """Exponents of a layer, (channels,); the folded weights of its projections that they lead to; and the squares of
    the currents' errors, (channels,)."""

    exponent: Tensor
    weights: list[Tensor]
    errors: Tensor


def candidate(layer: Layer, found: list[Measured], change: int) -> Candidate:
    """The weights with exponents that differ by ``change`` from those that the layer has."""
    exponent = (layer.exponent + change).clamp_min(0)
    steps = torch.exp2(exponent.double()) * layer.resolution
    weights, errors = list[Tensor](), torch.zeros(len(steps), dtype=torch.float64)
    for one in found:
        folded, groups = folded_weight(layer, one), len(one.moments)
        scaled = (folded.flatten(1) / steps[:, None]).unflatten(0, (groups, -1))
        whole = rounded(scaled, one.moments, one.projection.weight_bits).flatten(0, 1) * steps[:, None]
        lost = (whole - folded.flatten(1)).unflatten(0, (groups, -1))
        errors += ((lost @ one.moments) * lost).sum(-1).flatten()
        weights.append(whole.view_as(folded))
    return Candidate(exponent, weights, errors)


def folded_weight(layer: Layer, one: Measured) -> Tensor:
    """W' of a projection, float64."""
    scale = layer.neuron.scale if isinstance(layer, SpikingLayer) else torch.ones_like(one.source.scale)
    return one.projection.folded(one.source.scale, scale).weight.double()


def rounded(weights: Tensor, moments: Tensor, bits: int) -> Tensor:
    """Whole weights of signed ``bits`` whose currents are near those of ``weights``; the busiest inputs come first.

    Args:
        weights: (groups, channels, inputs), in steps.
        moments: (groups, inputs, inputs).
    """
    limit, size = 2 ** (bits - 1), moments.shape[-1]
    order = moments.diagonal(dim1=-2, dim2=-1).argsort(dim=-1, descending=True)
    moments = moments.gather(1, order[:, :, None].expand_as(moments))
    moments = moments.gather(2, order[:, None].expand_as(moments))
    squares = moments.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(torch.finfo(moments.dtype).tiny)
    damped = moments / squares[:, None, None] + DAMPING * torch.eye(size, dtype=moments.dtype)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    passing = torch.linalg.cholesky(inverse, upper=True)
    order = order[:, None].expand_as(weights)
    left, whole = weights.gather(2, order), torch.empty_like(weights)
    for place in range(size):
        whole[..., place] = torch.floor(left[..., place] + 0.5).clamp(-limit, limit - 1)
        lost = (left[..., place] - whole[..., place]) / passing[:, place, place, None]
        left[..., place + 1 :] -= lost[..., None] * passing[:, None, place, place + 1 :]
    return torch.empty_like(weights).scatter_(2, order, whole)
