"""The options of named models, and the parts that the models share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Self

from torch import Tensor, nn

from qblif.network.checks import Shape
from qblif.network.nodes import InputSpec, Leak
from snn.bursts import Encoder, Flatten
from snn.layers import ReadoutLayer, SpikingLayer
from snn.neuron import QBLIF
from snn.projections import QuantConv2d, QuantLinear
from snn.ranges import check_choice, check_fields
from snn.surrogate import Surrogate


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options of every model; a checkpoint stores them beside the model's name.

    ``hidden`` and ``channels`` are the model's own if they are None. ``first_weight_bits`` applies to the projection
    that reads the input and ``weight_bits`` to the others, or to all if the former is None. ``burst_ceiling`` is K if
    that is not 2^b - 1; ``leak`` is (a, p).

    Raises:
        UserError: a number is outside its range (:mod:`snn.ranges`), or a choice is unknown.
    """

    input_shape: Shape
    coding: Literal["direct", "events"] = "direct"
    classes: int = 10
    timesteps: int = 4
    burst_bits: int = 2
    burst_ceiling: int | None = None
    weight_bits: int = 4
    first_weight_bits: int | None = None
    input_bits: int = 4
    hidden: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    convolutions: tuple[int, ...] = ()
    pooling: Literal["sum", "max"] = "sum"
    leak: tuple[int, int] = (1, 1)
    reset: Literal["soft", "hard"] = "soft"
    surrogate: str = "relsg_et"
    alpha: float = 2.0
    threshold: float = 0.5
    learn_scale: bool = True
    affine: bool = True

    def __post_init__(self) -> None:
        check_fields(self, self.__dataclass_fields__)
        check_choice("pooling", self.pooling, ("sum", "max"))

    def sized(self, *, hidden: tuple[int, ...], channels: tuple[int, ...] = ()) -> Self:
        """The same options, with these sizes where none were given."""
        return replace(
            self,
            hidden=hidden if self.hidden is None else self.hidden,
            channels=channels if self.channels is None else self.channels,
        )

    def encoder(self) -> Encoder:
        spec = InputSpec(shape=self.input_shape, coding=self.coding, bits=self.input_bits)
        return Encoder(spec, self.timesteps)

    def neuron(self) -> QBLIF:
        return QBLIF(
            self.burst_bits,
            burst_ceiling=self.burst_ceiling,
            leak=Leak(multiplier=self.leak[0], shift=self.leak[1]),
            reset=self.reset,
            surrogate=Surrogate(name=self.surrogate, alpha=self.alpha),
            learn_scale=self.learn_scale,
            threshold=self.threshold,
        )

    def kernel(self, inputs: int, outputs: int, size: int, *, stride: int = 1) -> QuantConv2d:
        """A convolution that keeps height and width (divided by ``stride``)."""
        return QuantConv2d(
            inputs,
            outputs,
            size,
            stride=stride,
            padding=size // 2,
            weight_bits=self.weight_bits,
            affine=self.affine,
        )

    def convolution(self, inputs: int, outputs: int, *, stride: int = 1) -> SpikingLayer:
        """A 3x3 convolution and its neurons."""
        return SpikingLayer(self.kernel(inputs, outputs, 3, stride=stride), self.neuron())


def dense_head(inputs: int, options: ModelOptions) -> tuple[nn.ModuleList, ReadoutLayer]:
    """A population for each entry of ``hidden``, fed by ``inputs`` neurons, and the readout."""
    sizes = (inputs, *(options.hidden or ()))
    bits = options.weight_bits
    hidden = nn.ModuleList(
        SpikingLayer(QuantLinear(fan_in, neurons, weight_bits=bits, affine=options.affine), options.neuron())
        for fan_in, neurons in pairwise(sizes)
    )
    return hidden, ReadoutLayer(QuantLinear(sizes[-1], options.classes, weight_bits=bits, batch_norm=False))


class Staged(nn.Module):
    """Convolutional stages, possibly none, followed by fully connected layers.

    Args:
        options: the options of every model.
        stages: from the input on.
        shape: (C, H, W) of the bursts that leave the last stage.
    """

    def __init__(self, options: ModelOptions, stages: Sequence[nn.Module], shape: Shape) -> None:
        super().__init__()
        self.encoder, self.flatten = options.encoder(), Flatten()
        self.stages = nn.ModuleList(stages)
        channels, height, width = shape
        self.hidden, self.readout = dense_head(channels * height * width, options)

    def forward(self, samples: Tensor) -> Tensor:
        """Logits (batch, classes) of raw samples, as :class:`snn.bursts.Encoder` takes them."""
        bursts = self.encoder(samples)
        for stage in self.stages:
            bursts = stage(bursts)
        bursts = self.flatten(bursts)
        for layer in self.hidden:
            bursts = layer(bursts)
        return self.readout(bursts)
