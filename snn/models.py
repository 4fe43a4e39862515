"""Named models. Each is an ordinary ``nn.Module`` over :mod:`snn.layers`; add one by adding an entry to MODELS."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from torch import Tensor, nn

from hw.errors import UserError
from hw.network import InputSpec, Leak, Shape
from snn.bursts import Encoder, Flatten, SumPool2d
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


class CNN(nn.Module):
    """3x3 convolution and 2x2 sum pooling for each entry of ``channels``, then an MLP head."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.encoder = options.encoder()
        self.pool, self.flatten = SumPool2d(2), Flatten()
        inputs, height, width = options.input_shape
        self.convolutions = nn.ModuleList()
        for outputs in options.channels:
            projection = QuantConv2d(inputs, outputs, 3, padding=1, weight_bits=options.weight_bits)
            self.convolutions.append(SpikingLayer(projection, options.neuron()))
            inputs, height, width = outputs, height // 2, width // 2
        if not height * width:
            raise UserError(
                f"{len(options.channels)} poolings leave nothing of {options.input_shape}; take fewer --channels"
            )
        self.hidden, self.readout = dense_head(inputs * height * width, options)

    def forward(self, samples: Tensor) -> Tensor:
        """Logits (batch, classes) of raw samples: uint8 (batch, C, H, W)."""
        bursts = self.encoder(samples)
        for layer in self.convolutions:
            bursts = self.pool(layer(bursts))
        bursts = self.flatten(bursts)
        for layer in self.hidden:
            bursts = layer(bursts)
        return self.readout(bursts)


MODELS: dict[str, Callable[[ModelOptions], nn.Module]] = {"mlp": MLP, "cnn": CNN}


def make_model(name: str, options: ModelOptions) -> nn.Module:
    """The model called ``name``; raises UserError for a name that is not in MODELS."""
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}; there are {', '.join(sorted(MODELS))}")
    return MODELS[name](options)


def options_from(stored: dict[str, Any]) -> ModelOptions:
    """Options as a checkpoint stores them (lists for tuples)."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    return ModelOptions(**values)
