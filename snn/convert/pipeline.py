"""From a converted model in floats to a checkpoint with integers, and the report of what that changed."""

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qblif.errors import UserError
from qblif.progress import step
from snn import checkpoint
from snn.convert.comparison import Comparison, compare, quantized
from snn.convert.model import Converted
from snn.convert.rounding import compensate
from snn.datasets.data import Images
from snn.recipe import Recipe
from snn.training import Training, train

COUNTED = 1000
"""Training samples whose activity the planner will use."""
CALIBRATED = 64
"""Training samples on which the model runs when its grids are chosen."""
COMPENSATED = 8000
"""Those on which its layers run when their weights are rounded."""

COUNT_TEMPERATURE = 1 / 8
"""That of the loss for spike counts, whose mean over time is only 0 to 1."""


def fine_tuning(
    floats: Converted,
    *,
    epochs: int,
    learning_rate: float,
    batch: int = 128,
    seed: int = 1,
    flip: bool = False,
    distillation: float = 0.5,
) -> Recipe:
    """A training of the integers that suits a converted model; arguments as in :class:`snn.recipe.Recipe`."""
    return Recipe(
        float_epochs=0,
        qat_epochs=epochs,
        batch=batch,
        qat_learning_rate=learning_rate,
        seed=seed,
        flip=flip,
        distillation=distillation,
        label_smoothing=0.0,
        temperature=COUNT_TEMPERATURE if floats.counts else 1.0,
    )


@dataclass(frozen=True, kw_only=True)
class Result:
    """A converted network with integers.

    Attributes:
        model: in the integer form.
        content: the checkpoint.
        rounded: the comparison of the floats with the integers that were rounded.
        trained: that with the integers that were trained further; None if they were not.
    """

    model: Converted
    content: dict[str, Any]
    rounded: Comparison
    trained: Comparison | None

    def report(self) -> dict[str, Any]:
        """Everything that was measured and decided, as plain data."""
        return {
            "notes": list(self.model.notes),
            "rounded": asdict(self.rounded),
            "trained": None if self.trained is None else asdict(self.trained),
        }

    def lines(self, *, labelled: bool = True) -> list[str]:
        """The report as text; without accuracies if the samples are not ``labelled``."""
        lines = [f"note: {note}" for note in self.model.notes]
        for title, found in (("rounded", self.rounded), ("trained", self.trained)):
            if found is None:
                continue
            if labelled:
                right = (f"{count / found.labels:.2%}" for count in (found.float_right, found.integer_right))
                lines.append(
                    "{}: accuracy {} in floats, {} in integers, {:,} answers".format(title, *right, found.labels)
                )
            lines += [
                f"  {layer.name}: {layer.different:,} of {layer.decisions:,} decisions differ "
                f"({layer.different / layer.decisions:.3%})"
                for layer in found.layers
            ]
        return lines


def convert(
    floats: Converted,
    images: Images,
    test: Images,
    *,
    recipe: Recipe | None = None,
    out: Path | None = None,
    resume: bool = False,
    command: str = "",
    quiet: bool = False,
) -> Result:
    """Quantize a model, measure it, and describe it as a checkpoint.

    Args:
        floats: the model as it was converted.
        images: training samples.
        test: samples to measure on; the first become the reference vectors.
        recipe: how to train the integers further; None leaves them as they were rounded.
        out: with ``recipe``: the checkpoint that will be written; OUT.resume and OUT.csv are kept beside it.
        resume: continue from OUT.resume.
        command: what repeats the training; the state of another command's training is refused.
        quiet: show no progress.

    Raises:
        UserError: no integers can represent the network.
    """
    calibrating = torch.from_numpy(images.pixels[:COMPENSATED].copy())
    integers = quantized(floats, calibrating[:CALIBRATED])
    with step("rounding the weights", quiet=quiet):
        compensate(integers, calibrating)
    rounded = compare(floats, integers, test, quiet=quiet)
    trained = None
    if recipe is not None:
        if out is None:
            raise UserError("a training needs a file for its state; name one with out=")
        integers = fine_tuned(
            integers, floats, recipe, images, test, out=out, resume=resume, command=command, quiet=quiet
        )
        trained = compare(floats, integers, test, quiet=quiet)
    last = trained or rounded
    content = described(integers, images, test)
    content["training"] = {
        "command": command,
        "test_accuracy": last.integer_right / last.labels,
        "test_images": last.labels,
        "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
    }
    return Result(model=integers, content=content, rounded=rounded, trained=trained)


def fine_tuned(
    integers: Converted,
    floats: Converted,
    recipe: Recipe,
    images: Images,
    test: Images,
    *,
    out: Path,
    resume: bool,
    command: str,
    quiet: bool,
) -> Converted:
    """The integers after quantization-aware training, in which the float model is the teacher, if there is one."""
    single = copy.deepcopy(integers).float()
    teacher = copy.deepcopy(floats).float() if recipe.distillation else None
    training = Training(single, recipe, images, test, command=command, teacher=teacher)
    train(training, out, resume=resume, quiet=quiet)
    model = training.tested
    assert isinstance(model, Converted)
    return model


def described(model: Converted, images: Images, test: Images) -> dict[str, Any]:
    """The checkpoint of a model in the integer form."""
    spread = max(1, len(images.labels) // COUNTED)
    first = test.first(checkpoint.REFERENCES)
    samples, labels, counted = (
        torch.from_numpy(values.copy()) for values in (first.pixels, first.labels, images.pixels[::spread])
    )
    return checkpoint.describe(model, samples, labels, counted)
