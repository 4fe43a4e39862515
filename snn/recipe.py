"""What a training is asked for, as the command line or a recipe file says it (:mod:`snn.command`)."""

import argparse
from dataclasses import dataclass

from hw.errors import UserError
from snn import data
from snn.architecture import ModelOptions
from snn.augment import Augmentation

RANGES: dict[str, tuple[float, float]] = {
    "timesteps": (1, 1024),
    "burst_bits": (1, 8),
    "weight_bits": (1, 8),
    "first_weight_bits": (1, 8),
    "input_bits": (1, 8),
    "hidden": (1, 65536),
    "channels": (1, 4096),
    "float_epochs": (0, 100_000),
    "qat_epochs": (0, 100_000),
    "batch": (2, 65536),
    "learning_rate": (1e-9, 10),
    "qat_learning_rate": (1e-9, 10),
    "weight_decay": (0, 1),
    "label_smoothing": (0, 0.99),
    "convolutions": (1, 64),
    "alpha": (1e-3, 1e3),
    "threshold": (0, 1),
    "shift": (0, 16),
    "rotate": (0, 180),
    "stretch": (0, 0.9),
    "distillation": (0, 1),
    "average": (0, 0.99999),
    "seed": (0, 2**63 - 1),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the outcome of a training besides the model and the data."""

    float_epochs: int = 10
    qat_epochs: int = 30
    batch: int = 256
    learning_rate: float = 2e-3
    qat_learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    flip: bool = False
    shift: int = 0
    rotate: float = 0.0
    stretch: float = 0.0
    distillation: float = 0.5
    average: float = 0.0
    seed: int = 1

    @property
    def epochs(self) -> int:
        return self.float_epochs + self.qat_epochs

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(flip=self.flip, shift=self.shift, rotate=self.rotate, stretch=self.stretch)


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that the options ask for; raises UserError."""
    recipe = Recipe(**{name: getattr(options, name) for name in Recipe.__dataclass_fields__})
    for name, (least, most) in RANGES.items():
        values = getattr(options, name)
        for value in values if isinstance(values, list) else [] if values is None else [values]:
            if not least <= value <= most:
                raise UserError(f"--{name.replace('_', '-')} {value} is outside {least:g} to {most:g}")
    if recipe.epochs < 1:
        raise UserError("training needs at least one epoch, of --float-epochs or --qat-epochs")
    return recipe


def model_options_of(options: argparse.Namespace, images: data.Images) -> ModelOptions:
    """The model that the options ask for, for such images and as many classes as they have."""
    return ModelOptions(
        input_shape=images.shape,
        coding=data.coding_of(options.data),
        classes=int(images.labels.max()) + 1,
        timesteps=options.timesteps,
        burst_bits=options.burst_bits,
        weight_bits=options.weight_bits,
        first_weight_bits=options.first_weight_bits,
        input_bits=options.input_bits,
        hidden=None if options.hidden is None else tuple(options.hidden),
        channels=None if options.channels is None else tuple(options.channels),
        convolutions=tuple(options.convolutions),
        pooling=options.pooling,
        reset=options.reset,
        surrogate=options.surrogate,
        alpha=options.alpha,
        threshold=options.threshold,
        learn_scale=not options.fixed_scale,
        affine=not options.no_affine,
    )
