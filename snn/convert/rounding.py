"""Rounding a neuron's weights so that their errors cancel in the currents that its inputs cause.

Rounding every weight to the nearest makes the least error of the weights, not of the currents: inputs that are active
together add up their errors. Here the weights are rounded one after the other, and what one loses goes to those that
are still to be rounded, as far as their inputs go together (GPTQ, arXiv 2210.17323).
"""

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

    Every layer is measured behind those that were changed before it. Weights that are whole steps already stay. Of a
    layer that is called several times the first call counts. Recurrent projections stay, and so do those that have
    more weights for a neuron than there are samples, which would fit the samples' noise.

    Args:
        model: a model in the integer form; its layers stand in the order of their calls.
        samples: raw samples, as the model takes them.
    """
    for layer in [module for module in model.modules() if isinstance(module, Layer)]:
        for place, projection in enumerate(layer.projections):
            assert isinstance(projection, QuantProjection)
            if projection.weight[0].numel() <= len(samples):
                source, moments = measured(model, layer, place, samples)
                project(layer, projection, source, moments)


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


def project(layer: Layer, projection: QuantProjection, source: Bursts, moments: Tensor) -> None:
    """Set a projection's weights to whole steps of its layer's grid.

    Args:
        layer: owns the projection.
        projection: whose weights change.
        source: what it reads.
        moments: of its inputs, as :func:`moments_of` gives them.
    """
    scale = layer.neuron.scale if isinstance(layer, SpikingLayer) else torch.ones_like(source.scale)
    step = torch.exp2(layer.exponent_of(projection).double()) * layer.resolution
    folded = projection.folded(source.scale, scale).weight.double()
    grouped = (folded / step).flatten(1).unflatten(0, (len(moments), -1))
    whole = rounded(grouped, moments, projection.weight_bits).reshape(folded.shape) * step
    weight = projection.weight.double()
    largest = weight.flatten(1).abs().argmax(1, keepdim=True)
    unit = folded.flatten(1).gather(1, largest) / weight.flatten(1).gather(1, largest)
    changed = whole != folded
    projection.weight[changed] = (whole.flatten(1) / unit).view_as(weight)[changed].to(projection.weight.dtype)


def rounded(weights: Tensor, moments: Tensor, bits: int) -> Tensor:
    """Whole weights of signed ``bits`` whose currents are near those of ``weights``.

    Args:
        weights: (groups, channels, inputs), in steps.
        moments: (groups, inputs, inputs).
    """
    limit = 2 ** (bits - 1)
    size = moments.shape[-1]
    squares = moments.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(torch.finfo(moments.dtype).tiny)
    damped = moments / squares[:, None, None] + DAMPING * torch.eye(size, dtype=moments.dtype)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    passing = torch.linalg.cholesky(inverse, upper=True)
    left, whole = weights.clone(), torch.empty_like(weights)
    for place in range(size):
        whole[..., place] = torch.floor(left[..., place] + 0.5).clamp(-limit, limit - 1)
        lost = (left[..., place] - whole[..., place]) / passing[:, place, place, None]
        left[..., place + 1 :] -= lost[..., None] * passing[:, None, place, place + 1 :]
    return whole
