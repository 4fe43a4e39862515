"""The options of named models, and the parts that the models share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Self

from torch import Tensor, nn

from qblif.errors import UserError
from qblif.network.checks import Shape
from qblif.network.nodes import Coding, InputSpec, Leak
from snn.bursts import Encoder, Flatten
from snn.choices import NEURONS
from snn.decay import Limits
from snn.dynamics import Neuron, NeuronOptions
from snn.layers import ReadoutLayer, SpikingLayer
from snn.neuron import LIF, QBLIF
from snn.projections import QuantConv2d, QuantLinear, QuantProjection
from snn.ranges import check_choice, check_fields
from snn.surrogate import Surrogate

RECURRENT_START = 0.2
"""Share of the usual initial weights with which recurrent projections begin."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options of every model; a checkpoint stores them beside the model's name.

    ``hidden`` and ``channels`` are the model's own if they are None; ``recurrent`` are the places in ``hidden``, from
    0, of the layers that read their own bursts of the previous timestep. ``first_weight_bits`` applies to the
    projection that reads the input and ``weight_bits`` to the others, or to all if the former is None. ``neuron_kind``
    is one of NEURONS, and decides ``burst_bits`` and ``threshold`` if they are None; ``burst_ceiling`` is K if that is
    not 2^b - 1. Leaks are (a, p). A ``stream`` has a result for every timestep.

    Raises:
        UserError: a number is outside its range (:mod:`snn.ranges`), or a choice is unknown.
    """

    input_shape: Shape
    coding: Coding = "direct"
    classes: int = 10
    timesteps: int = 4
    stream: bool = False
    neuron_kind: str = "qblif"
    burst_bits: int | None = None
    burst_ceiling: int | None = None
    weight_bits: int = 4
    first_weight_bits: int | None = None
    input_bits: int = 4
    hidden: tuple[int, ...] | None = None
    recurrent: tuple[int, ...] = ()
    guard_bits: int = 0
    channels: tuple[int, ...] | None = None
    convolutions: tuple[int, ...] = ()
    pooling: Literal["sum", "max"] = "sum"
    leak: tuple[int, int] = (1, 1)
    current_leak: tuple[int, int] | None = None
    learn_leak: bool = False
    membrane_limits: Limits | None = None
    current_limits: Limits | None = None
    readout_leak: tuple[int, int] | None = None
    readout_limits: Limits | None = None
    readout_maximum: bool = False
    theta: float = 1.0
    fires_at: Literal["threshold", "above"] = "threshold"
    reset: Literal["soft", "hard"] = "soft"
    surrogate: str = "relsg_et"
    alpha: float = 2.0
    threshold: float | None = None
    learn_scale: bool = True
    affine: bool = True
    batch_norm: bool = True

    def __post_init__(self) -> None:
        check_fields(self, self.__dataclass_fields__)
        check_choice("pooling", self.pooling, ("sum", "max"))
        check_choice("neuron", self.neuron_kind, NEURONS)

    def sized(self, *, hidden: tuple[int, ...], channels: tuple[int, ...] = ()) -> Self:
        """The same options, with these sizes where none were given."""
        return replace(
            self,
            hidden=hidden if self.hidden is None else self.hidden,
            channels=channels if self.channels is None else self.channels,
        )

    def encoder(self) -> Encoder:
        spec = InputSpec(shape=self.input_shape, coding=self.coding, bits=self.input_bits)
        return Encoder(spec, self.timesteps, mode="stream" if self.stream else "window")

    def neuron(self) -> Neuron:
        options: NeuronOptions = {
            "leak": leak_of(self.leak),
            "current_leak": leak_of(self.current_leak),
            "learn_leak": self.learn_leak,
            "membrane_limits": self.membrane_limits,
            "current_limits": self.current_limits,
            "fires_at": self.fires_at,
            "reset": self.reset,
            "surrogate": Surrogate(name=self.surrogate, alpha=self.alpha),
        }
        usual = NEURONS[self.neuron_kind]
        options["threshold"] = usual["threshold"] if self.threshold is None else self.threshold
        bits = int(usual["burst_bits"]) if self.burst_bits is None else self.burst_bits
        if self.neuron_kind == "lif":
            levels = 2**bits - 1 if self.burst_ceiling is None else self.burst_ceiling
            return LIF(self.theta, levels=levels, **options)
        return QBLIF(bits, burst_ceiling=self.burst_ceiling, learn_scale=self.learn_scale, **options)

    def population(
        self, projection: QuantProjection, *, shortcut: QuantProjection | None = None, recurrent: bool = False
    ) -> SpikingLayer:
        """Neurons behind a projection; ``recurrent`` ones, of a dense projection, read their own bursts."""
        own = None
        if recurrent:
            neurons = len(projection.shift)
            own = QuantLinear(neurons, neurons, weight_bits=self.weight_bits, batch_norm=False, affine=False)
            # Gradients grow from timestep to timestep if the weights are large.
            own.weight.data.mul_(RECURRENT_START)
        return SpikingLayer(projection, self.neuron(), shortcut=shortcut, recurrent=own, guard_bits=self.guard_bits)

    def readout(self, inputs: int) -> ReadoutLayer:
        """The readout behind ``inputs`` neurons."""
        leak = leak_of(self.readout_leak)
        return ReadoutLayer(
            QuantLinear(inputs, self.classes, weight_bits=self.weight_bits, batch_norm=False),
            leak=leak,
            learn_leak=self.learn_leak and leak is not None,
            limits=self.readout_limits,
            maximum=self.readout_maximum,
            per_step=self.stream,
            guard_bits=self.guard_bits,
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
            batch_norm=self.batch_norm,
        )

    def dense(self, inputs: int, outputs: int) -> QuantLinear:
        """A projection into a dense layer."""
        return QuantLinear(
            inputs, outputs, weight_bits=self.weight_bits, affine=self.affine, batch_norm=self.batch_norm
        )

    def convolution(self, inputs: int, outputs: int, *, stride: int = 1) -> SpikingLayer:
        """A 3x3 convolution and its neurons."""
        return self.population(self.kernel(inputs, outputs, 3, stride=stride))


def dense_head(inputs: int, options: ModelOptions) -> tuple[nn.ModuleList, ReadoutLayer]:
    """A population for each entry of ``hidden``, fed by ``inputs`` neurons, and the readout."""
    sizes = (inputs, *(options.hidden or ()))
    if not all(0 <= place < len(sizes) - 1 for place in options.recurrent):
        raise UserError(f"recurrent layers {options.recurrent} are not places among {len(sizes) - 1} hidden layers")
    hidden = nn.ModuleList(
        options.population(
            options.dense(fan_in, neurons),
            recurrent=place in options.recurrent,
        )
        for place, (fan_in, neurons) in enumerate(pairwise(sizes))
    )
    return hidden, options.readout(sizes[-1])


def leak_of(parts: tuple[int, int] | None) -> Leak | None:
    """A leak of (a, p)."""
    return None if parts is None else Leak(multiplier=parts[0], shift=parts[1])


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
