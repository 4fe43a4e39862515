"""Named models. Each is an ordinary ``nn.Module`` over :mod:`snn.layers`; add an entry to MODELS to add a model."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from qblif.errors import UserError
from qblif.network.nodes import Leak
from qblif.reading import shown
from snn.architecture import ModelOptions, Staged
from snn.bursts import MaxPool2d, SumPool2d
from snn.datasets import data
from snn.projections import QuantProjection
from snn.residual import resnet, resnet18, resnet19, resnet20
from snn.values import Width


def mlp(options: ModelOptions) -> Staged:
    """Fully connected: input, one population for each entry of ``hidden``, readout."""
    return Staged(options.sized(hidden=(128,)), [], options.input_shape)


def cnn(options: ModelOptions) -> Staged:
    """For each entry of ``channels`` a stage of 3x3 convolutions and 2x2 pooling, then fully connected layers.

    ``convolutions`` gives the number of convolutions in each stage; if it is empty, each has one.
    """
    options = options.sized(channels=(16, 32), hidden=(128,))
    channels = options.channels or ()
    inputs, height, width = options.input_shape
    depths = options.convolutions or (1,) * len(channels)
    if len(depths) != len(channels):
        raise UserError(f"--convolutions names {len(depths)} stages, --channels {len(channels)}")
    stages = []
    for outputs, depth in zip(channels, depths, strict=True):
        convolutions = [options.convolution(inputs if index == 0 else outputs, outputs) for index in range(depth)]
        pool = SumPool2d(2) if options.pooling == "sum" else MaxPool2d(2)
        stages.append(nn.Sequential(*convolutions, pool))
        inputs, height, width = outputs, height // 2, width // 2
    if not height * width:
        raise UserError(f"{len(channels)} poolings leave nothing of {options.input_shape}; take fewer --channels")
    return Staged(options, stages, (inputs, height, width))


def vgg_small(options: ModelOptions) -> Staged:
    """Stages of two 3x3 convolutions and 2x2 max pooling, then the readout (VGG-Small of quantized networks)."""
    options = options.sized(channels=(128, 256, 512), hidden=())
    return cnn(replace(options, convolutions=(2,) * len(options.channels or ()), pooling="max"))


LARGEST_OPTION = 2**16
"""Neurons in a layer; every other number is smaller."""
MOST_CONVOLUTIONS = 64
"""Convolutions in one stage."""
LONGEST_OPTION = 64
"""Entries in a list of layers or stages."""

MODELS: dict[str, Callable[[ModelOptions], nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "vgg_small": vgg_small,
    "resnet": resnet,
    "resnet18": resnet18,
    "resnet19": resnet19,
    "resnet20": resnet20,
}


def make_model(name: str, options: ModelOptions) -> nn.Module:
    """The model called ``name``; raises UserError for a name that is not in MODELS."""
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}; there are {', '.join(sorted(MODELS))}")
    model = MODELS[name](options)
    if options.first_weight_bits is not None:
        first = next(module for module in model.modules() if isinstance(module, QuantProjection))
        first.weight_bits = options.first_weight_bits
    return model


def options_from(stored: dict[str, Any]) -> ModelOptions:
    """Options in the form that a checkpoint stores (lists for tuples).

    Raises:
        ValueError, TypeError: a number or the length of a list is not possible for a model.
    """
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    for key, value in values.items():
        parts = value if isinstance(value, tuple) else (value,)
        most = MOST_CONVOLUTIONS if key == "convolutions" else LARGEST_OPTION
        numbers = [part for part in parts if isinstance(part, int | float)]
        known = all(part is None or isinstance(part, int | float | str) for part in parts)
        if not known or len(parts) > LONGEST_OPTION or not all(-most <= number <= most for number in numbers):
            raise ValueError(f"the model's {shown(key)} is not possible")
    return ModelOptions(**values)


def model_options_of(options: argparse.Namespace, images: data.Images) -> ModelOptions:
    """The model options that the command line describes, for the shape and the number of classes of ``images``."""
    hidden = options.hidden
    return ModelOptions(
        input_shape=images.shape,
        coding=data.coding_of(options.data, options.data_dir),
        classes=int(images.labels.max()) + 1,
        timesteps=images.timesteps or options.timesteps,
        stream=options.stream,
        neuron_kind=options.neuron,
        burst_bits=options.burst_bits,
        burst_ceiling=options.burst_ceiling,
        weight_bits=options.weight_bits,
        first_weight_bits=options.first_weight_bits,
        input_bits=options.input_bits,
        hidden=None if hidden is None else tuple(int(width) for width in hidden),
        recurrent=tuple(place for place, width in enumerate(hidden or ()) if isinstance(width, Width)),
        guard_bits=options.guard_bits,
        channels=None if options.channels is None else tuple(options.channels),
        convolutions=tuple(options.convolutions),
        pooling=options.pooling,
        leak=(options.leak.multiplier, options.leak.shift),
        current_leak=fraction(options.current_leak),
        learn_leak=options.learn_leak,
        membrane_limits=pair(options.membrane_limits),
        current_limits=pair(options.current_limits),
        readout_leak=fraction(options.readout_leak),
        readout_limits=pair(options.readout_limits),
        readout_maximum=options.readout_maximum,
        theta=options.theta,
        fires_at=options.fires_at,
        reset=options.reset,
        surrogate=options.surrogate,
        alpha=options.alpha,
        threshold=options.threshold,
        learn_scale=not options.fixed_scale,
        affine=not options.no_affine,
        batch_norm=not options.no_batch_norm,
    )


def fraction(leak: Leak | None) -> tuple[int, int] | None:
    """A leak as (a, p)."""
    return None if leak is None else (leak.multiplier, leak.shift)


def pair(limits: list[float] | None) -> tuple[float, float] | None:
    """The two limits of an option."""
    return None if limits is None else (limits[0], limits[1])
