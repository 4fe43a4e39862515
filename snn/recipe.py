"""The settings of a training, as the command line or a recipe file gives them (:mod:`snn.command`)."""

import argparse
from dataclasses import dataclass

from qblif.errors import UserError
from snn.ranges import RANGES, check_fields, check_range


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
    balance: float = 0.0
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


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that the options describe; raises UserError."""
    for name, value in vars(options).items():
        if name in RANGES and value is not None:
            check_range(name, value, f"--{name.replace('_', '-')}")
    return Recipe(**{name: getattr(options, name) for name in Recipe.__dataclass_fields__})
