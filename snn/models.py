"""Named models. Each is an ordinary ``nn.Module`` over :mod:`snn.layers`; add one by adding an entry to MODELS."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn

from hw.errors import UserError
from hw.network import InputSpec, Leak, Shape
from snn.bursts import Bursts, Encoder, Flatten, MaxPool2d, SumPool2d
from snn.layers import QuantConv2d, QuantLinear, Readout, SpikingLayer
from snn.neuron import QBLIF


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What every model can be made with; a checkpoint stores these beside the model's name."""

    input_shape: Shape
    classes: int = 10
    timesteps: int = 4
    burst_bits: int = 2
    weight_bits: int = 4
    input_bits: int = 4
    hidden: tuple[int, ...] = (128,)
    channels: tuple[int, ...] = (16, 32)
    convolutions: tuple[int, ...] = ()
    pooling: Literal["sum", "max"] = "sum"
    leak: tuple[int, int] = (1, 1)
    reset: Literal["soft", "hard"] = "soft"
    alpha: float = 2.0
    learn_scale: bool = True

    def encoder(self) -> Encoder:
        spec = InputSpec(shape=self.input_shape, coding="direct", bits=self.input_bits)
        return Encoder(spec, self.timesteps)

    def neuron(self) -> QBLIF:
        return QBLIF(
            self.burst_bits,
            leak=Leak(multiplier=self.leak[0], shift=self.leak[1]),
            reset=self.reset,
            alpha=self.alpha,
            learn_scale=self.learn_scale,
        )

    def convolution(self, inputs: int, outputs: int, *, stride: int = 1) -> SpikingLayer:
        """A 3x3 convolution that keeps height and width (divided by ``stride``), and its neurons."""
        projection = QuantConv2d(inputs, outputs, 3, stride=stride, padding=1, weight_bits=self.weight_bits)
        return SpikingLayer(projection, self.neuron())


def dense_head(inputs: int, options: ModelOptions) -> tuple[nn.ModuleList, Readout]:
    """A population for each entry of ``hidden`` behind ``inputs`` neurons, and the readout."""
    sizes = (inputs, *options.hidden)
    bits = options.weight_bits
    hidden = nn.ModuleList(
        SpikingLayer(QuantLinear(fan_in, neurons, weight_bits=bits), options.neuron())
        for fan_in, neurons in pairwise(sizes)
    )
    return hidden, Readout(QuantLinear(sizes[-1], options.classes, weight_bits=bits, batch_norm=False))


class MLP(nn.Module):
    """Fully connected: input, one population for each entry of ``hidden``, readout."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.encoder = options.encoder()
        self.flatten = Flatten()
        channels, height, width = options.input_shape
        self.hidden, self.readout = dense_head(channels * height * width, options)

    def forward(self, samples: Tensor) -> Tensor:
        """Logits (batch, classes) of raw samples: uint8 (batch, C, H, W)."""
        bursts = self.flatten(self.encoder(samples))
        for layer in self.hidden:
            bursts = layer(bursts)
        return self.readout(bursts)


class Staged(nn.Module):
    """Convolutional stages and an MLP head behind them.

    Args:
        options: what every model is made with.
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
        """Logits (batch, classes) of raw samples: uint8 (batch, C, H, W)."""
        bursts = self.encoder(samples)
        for stage in self.stages:
            bursts = stage(bursts)
        bursts = self.flatten(bursts)
        for layer in self.hidden:
            bursts = layer(bursts)
        return self.readout(bursts)


def cnn(options: ModelOptions) -> Staged:
    """For each entry of ``channels`` a stage of 3x3 convolutions and 2x2 pooling, then an MLP head.

    ``convolutions`` says how many convolutions each stage has; one where it is empty.
    """
    inputs, height, width = options.input_shape
    depths = options.convolutions or (1,) * len(options.channels)
    if len(depths) != len(options.channels):
        raise UserError(f"--convolutions names {len(depths)} stages, --channels {len(options.channels)}")
    stages = []
    for outputs, depth in zip(options.channels, depths, strict=True):
        convolutions = [options.convolution(inputs if index == 0 else outputs, outputs) for index in range(depth)]
        pool = SumPool2d(2) if options.pooling == "sum" else MaxPool2d(2)
        stages.append(nn.Sequential(*convolutions, pool))
        inputs, height, width = outputs, height // 2, width // 2
    if not height * width:
        raise UserError(
            f"{len(options.channels)} poolings leave nothing of {options.input_shape}; take fewer --channels"
        )
    return Staged(options, stages, (inputs, height, width))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; what comes in is added to the second one's membranes with its own integer weight."""

    def __init__(self, channels: int, options: ModelOptions) -> None:
        super().__init__()
        self.first = options.convolution(channels, channels)
        self.second = options.convolution(channels, channels)

    def forward(self, bursts: Bursts) -> Bursts:
        """Bursts of the same shape."""
        return self.second(self.first(bursts), bursts)


def resnet(options: ModelOptions) -> Staged:
    """For each entry of ``channels`` a 3x3 convolution (stride 2 from the second on) and a residual block, then an
    MLP head."""
    inputs, height, width = options.input_shape
    stages = []
    for index, outputs in enumerate(options.channels):
        stride = 1 if index == 0 else 2
        entry = options.convolution(inputs, outputs, stride=stride)
        stages.append(nn.Sequential(entry, ResidualBlock(outputs, options)))
        inputs, height, width = outputs, -(-height // stride), -(-width // stride)
    return Staged(options, stages, (inputs, height, width))


MODELS: dict[str, Callable[[ModelOptions], nn.Module]] = {"mlp": MLP, "cnn": cnn, "resnet": resnet}


def make_model(name: str, options: ModelOptions) -> nn.Module:
    """The model called ``name``; raises UserError for a name that is not in MODELS."""
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}; there are {', '.join(sorted(MODELS))}")
    return MODELS[name](options)


def options_from(stored: dict[str, Any]) -> ModelOptions:
    """Options as a checkpoint stores them (lists for tuples)."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    return ModelOptions(**values)
