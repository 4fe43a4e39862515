"""Projections: weights with BatchNorm, in float form and folded.

QuantLinear and QuantConv2d are the two kinds; the layers that own them are in :mod:`snn.layers`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.window import PerAxis, make_window
from snn.bursts import Bursts
from snn.ranges import check_range


@dataclass(frozen=True, kw_only=True)
class FoldedProjection:
    """W' and b' of a projection in units of the target's scale (float, differentiable)."""

    weight: Tensor
    bias: Tensor


class QuantProjection(nn.Module):
    """Weights followed by BatchNorm: ``I = g * (W * o - mu) / sqrt(var + eps) + c``; without it ``I = W * o + c``.

    Args:
        weight: initial float weights, (channels, ...).
        weight_bits: signed bits B of the quantized weights, 2 to 16.
        batch_norm: whether to normalise; all timesteps share one set of statistics.
        affine: whether g and c are trained; otherwise they are 1 and 0.
    """

    gain: nn.Parameter | None
    mean: Tensor
    variance: Tensor
    momentum = 0.1
    epsilon = 1e-5

    def __init__(self, weight: Tensor, *, weight_bits: int, batch_norm: bool, affine: bool) -> None:
        super().__init__()
        check_range("weight_bits", weight_bits)
        self.weight = nn.Parameter(weight)
        self.weight_bits = weight_bits
        channels = len(weight)
        self.gain = nn.Parameter(torch.ones(channels), requires_grad=affine) if batch_norm else None
        self.shift = nn.Parameter(torch.zeros(channels), requires_grad=affine)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def apply_weight(self, bursts: Tensor, weight: Tensor) -> Tensor:
        """The plain sum of products ``weight * bursts``: (steps, batch, *in) -> (steps, batch, *out)."""
        raise TypeError(f"{type(self).__name__} does not say how it projects")

    @property
    def float_types(self) -> set[torch.dtype]:
        """Types of the floats that sums are computed from."""
        return {
            part.dtype for part in (self.weight, self.gain, self.shift, self.mean, self.variance) if part is not None
        }

    def misfit(self, expected: str, bursts: Tensor, advice: str) -> UserError:
        """The error for ``bursts``, (steps, batch, *in), whose shape does not fit the weights."""
        return UserError(f"{type(self).__name__} takes {expected}, not {tuple(bursts.shape[2:])}; {advice}")

    def float_current(self, bursts: Bursts) -> Tensor:
        """Currents of the training form; with batch statistics while training. Raises UserError if float types are
        mixed."""
        held, given = self.weight.dtype, bursts.counts.dtype
        if held != given and not torch.is_autocast_enabled(self.weight.device.type):
            raise UserError(f"{type(self).__name__} holds {held} and gets {given}; make the model float() as a whole")
        current = self.apply_weight(bursts.counts * bursts.scale, self.weight)
        if self.gain is None:
            return current + per_channel(self.shift, current)
        normalised = nn.functional.batch_norm(
            current.flatten(0, 1),
            self.mean,
            self.variance,
            self.gain,
            self.shift,
            training=self.training,
            momentum=self.momentum,
            eps=self.epsilon,
        )
        return normalised.unflatten(0, current.shape[:2])

    @torch.no_grad()
    def update_statistics(self, bursts: Bursts) -> None:
        """Track the float currents' mean and variance, outside the gradient, as float training does."""
        if self.gain is None:
            return
        current = self.apply_weight(bursts.counts * bursts.scale, self.weight)
        torch.batch_norm_update_stats(current.flatten(0, 1), self.mean, self.variance, self.momentum)

    def folded(self, source_scale: Tensor, target_scale: Tensor) -> FoldedProjection:
        """Fold BatchNorm's running statistics and both scales: the absorbable scale of arXiv 2604.25688."""
        factor: Tensor = torch.ones_like(self.shift)
        offset: Tensor = self.shift
        if self.gain is not None:
            factor = self.gain / torch.sqrt(self.variance + self.epsilon)
            offset = self.shift - factor * self.mean
        rows = (factor * source_scale / target_scale).view(-1, *[1] * (self.weight.dim() - 1))
        return FoldedProjection(weight=self.weight * rows, bias=offset / target_scale)


class QuantLinear(QuantProjection):
    """All-to-all projection of (features,) populations."""

    kind = "dense"

    def __init__(
        self, inputs: int, outputs: int, *, weight_bits: int = 4, batch_norm: bool = True, affine: bool = True
    ) -> None:
        check_range("neurons", (inputs, outputs))
        weight = torch.empty(outputs, inputs)
        nn.init.kaiming_uniform_(weight, a=5**0.5)
        super().__init__(weight, weight_bits=weight_bits, batch_norm=batch_norm, affine=affine)

    def apply_weight(self, bursts: Tensor, weight: Tensor) -> Tensor:
        inputs = self.weight.shape[1]
        if bursts.shape[2:] != (inputs,):
            raise self.misfit(f"({inputs},) neurons", bursts, "Flatten() makes (C*H*W,) of (C, H, W)")
        return nn.functional.linear(bursts, weight)


class QuantConv2d(QuantProjection):
    """Convolution of (C, H, W) populations. In evaluation it unfolds and multiplies, so that its sums are exact.

    Args:
        inputs, outputs: channels; ``groups`` divides both.
        kernel, stride, padding, dilation: one number, or two for rows and columns.
        groups: groups of channels, as in ``torch.nn.Conv2d``; ``inputs`` for a depthwise convolution.
    """

    kind = "conv2d"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: PerAxis,
        *,
        stride: PerAxis = 1,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        weight_bits: int = 4,
        batch_norm: bool = True,
        affine: bool = True,
    ) -> None:
        check_range("neurons", (inputs, outputs))
        for name, value in {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}.items():
            check_range(name, value)
        check_range("groups", groups)
        if inputs % groups or outputs % groups:
            raise UserError(f"groups {groups} do not divide {inputs} and {outputs} channels")
        window = make_window(kernel, stride, padding, dilation, name="QuantConv2d")
        weight = torch.empty(outputs, inputs // groups, *window.kernel)
        nn.init.kaiming_uniform_(weight, a=5**0.5)
        super().__init__(weight, weight_bits=weight_bits, batch_norm=batch_norm, affine=affine)
        self.window, self.groups = window, groups

    def apply_weight(self, bursts: Tensor, weight: Tensor) -> Tensor:
        inputs = self.weight.shape[1] * self.groups
        if bursts.dim() != 5 or bursts.shape[2] != inputs:
            raise self.misfit(f"({inputs}, H, W) neurons", bursts, "convolutions stand before Flatten()")
        images, window = bursts.flatten(0, 1), self.window
        if self.training:
            current = nn.functional.conv2d(
                images, weight, None, window.stride, window.padding, window.dilation, self.groups
            )
        else:
            # Fast convolution algorithms transform their operands and round; a plain sum of products does not.
            columns = nn.functional.unfold(images, window.kernel, window.dilation, window.padding, window.stride)
            grouped = columns.unflatten(1, (self.groups, -1))
            sums = weight.flatten(1).unflatten(0, (self.groups, -1)) @ grouped
            current = sums.flatten(1, 2).unflatten(2, window.windows(*images.shape[2:]))
        return current.unflatten(0, bursts.shape[:2])


def per_channel(values: Tensor, current: Tensor) -> Tensor:
    """(channels,) values shaped to broadcast over (steps, batch, channels, ...)."""
    return values.view(-1, *[1] * (current.dim() - 3))
