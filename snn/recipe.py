"""The settings of a training, as the command line or a recipe file gives them (:mod:`snn.command`)."""

import argparse
from dataclasses import dataclass

from qblif.errors import UserError
from qblif.network.nodes import Leak
from snn.architecture import ModelOptions
from snn.augment import Augmentation
from snn.datasets import data
from snn.ranges import RANGES, check_fields, check_range
from snn.values import Width


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the outcome of a training besides the model and the data.

    Raises:
        UserError: a number is outside its range (:mod:`snn.ranges`), or there is no epoch.
    """

    float_epochs: int = 10
    qat_epochs: int = 30
    batch: int = 256
    learning_rate: float = 2e-3
    qat_learning_rate: float = 1e-3
    truncate: int = 0
    clip: float = 0.0
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    temperature: float = 1.0
    flip: bool = False
    shift: int = 0
    rotate: float = 0.0
    stretch: float = 0.0
    distillation: float = 0.5
    average: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        check_fields(self, self.__dataclass_fields__)
        if self.epochs < 1:
            raise UserError("training needs at least one epoch, of --float-epochs or --qat-epochs")

    @property
    def epochs(self) -> int:
        return self.float_epochs + self.qat_epochs

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(flip=self.flip, shift=self.shift, rotate=self.rotate, stretch=self.stretch)


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that the options describe; raises UserError."""
    for name, value in vars(options).items():
        if name in RANGES and value is not None:
            check_range(name, value, f"--{name.replace('_', '-')}")
    return Recipe(**{name: getattr(options, name) for name in Recipe.__dataclass_fields__})


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
