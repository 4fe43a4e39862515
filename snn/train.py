"""Command line: train a QB-LIF network, first in floats, then on its own integers.

python -m snn.train --data fashion_mnist --model mlp --out model.pt
"""

import argparse
import csv
import json
import pickle
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

from hw.errors import UserError, check_output_file, command_line
from snn import checkpoint, data, quantization
from snn.augment import Augmentation
from snn.bursts import Encoder
from snn.models import MODELS, ModelOptions, make_model
from snn.neuron import QBLIF

RANGES: dict[str, tuple[float, float]] = {
    "timesteps": (1, 1024),
    "burst_bits": (1, 8),
    "weight_bits": (1, 8),
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
    "shift": (0, 16),
    "rotate": (0, 180),
    "stretch": (0, 0.9),
    "distillation": (0, 1),
    "seed": (0, 2**63 - 1),
}
RESUMED_STATE = ("recipe", "model", "optimizer", "schedule", "epoch", "random")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the outcome of a training besides the model and the data."""

    float_epochs: int
    qat_epochs: int
    batch: int
    learning_rate: float
    qat_learning_rate: float
    weight_decay: float
    label_smoothing: float
    flip: bool
    shift: int
    rotate: float
    stretch: float
    distillation: float
    seed: int

    @property
    def epochs(self) -> int:
        return self.float_epochs + self.qat_epochs

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(flip=self.flip, shift=self.shift, rotate=self.rotate, stretch=self.stretch)


def parser() -> argparse.ArgumentParser:
    """The command line of ``python -m snn.train``."""
    result = argparse.ArgumentParser(
        prog="python -m snn.train",
        description="Train a QB-LIF network: a float phase, then quantization-aware training on the integer form "
        "that the hardware computes. The checkpoint carries the integers; gen.build turns it into hardware.",
        epilog="Ctrl-C is safe: after every epoch OUT.resume is saved, and --resume goes on from it.",
    )
    add = result.add_argument
    add("--data", required=True, help=f"data set: {', '.join(sorted(data.LOADERS))}")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--model", default="mlp", help=f"model: {', '.join(sorted(MODELS))} (default mlp)")
    add(
        "--out",
        type=Path,
        required=True,
        help="checkpoint to write; beside it a .csv log of every epoch and a .json record of the run",
    )
    add("--hidden", type=int, nargs="*", default=[128], help="neurons of each hidden dense layer (default 128)")
    add("--channels", type=int, nargs="*", default=[16, 32], help="channels of each stage (cnn, resnet; default 16 32)")
    add("--convolutions", type=int, nargs="*", default=[], help="convolutions of each stage (cnn; default one in each)")
    add("--pooling", choices=("sum", "max"), default="sum", help="2x2 pooling behind each stage (cnn; default sum)")
    add("--timesteps", type=int, default=4, help="T (default 4)")
    add("--burst-bits", type=int, default=2, help="b; a burst counts to 2^b - 1 (default 2)")
    add("--weight-bits", type=int, default=4, help="signed bits of a weight (default 4)")
    add("--input-bits", type=int, default=4, help="bits of an input burst (default 4)")
    add("--reset", choices=("soft", "hard"), default="soft", help="what a burst leaves of the membrane")
    add("--fixed-scale", action="store_true", help="keep each layer's first-batch scale instead of learning it")
    add("--float-epochs", type=int, default=10, help="epochs in floats (default 10)")
    add("--qat-epochs", type=int, default=30, help="epochs on the integer form; 0 writes a float checkpoint")
    add("--batch", type=int, default=256, help="images a step (default 256)")
    add("--learning-rate", type=float, default=2e-3, help="peak of the float phase (default 2e-3)")
    add("--qat-learning-rate", type=float, default=1e-3, help="peak of the integer phase (default 1e-3)")
    add("--weight-decay", type=float, default=1e-4, help="on weights only (default 1e-4)")
    add("--label-smoothing", type=float, default=0.05, help="cross-entropy label smoothing (default 0.05)")
    add("--flip", action="store_true", help="augment: mirror training images left to right at random")
    add("--shift", type=int, default=0, help="augment: shift training images by up to so many pixels (default 0)")
    add("--rotate", type=float, default=0.0, help="augment: turn them by up to so many degrees (default 0)")
    add("--stretch", type=float, default=0.0, help="augment: stretch or shrink them by up to this share (default 0)")
    add("--teacher", type=Path, help="checkpoint of a trained network to learn from as well")
    add(
        "--distillation",
        type=float,
        default=0.5,
        help="with --teacher: share of the loss that follows the teacher's answers (default 0.5)",
    )
    add(
        "--like",
        type=Path,
        help="checkpoint of the same architecture whose fraction bits are kept, so that gen.build --patch can put this "
        "network into its hardware",
    )
    add("--seed", type=int, default=1, help="seed of weights and order (default 1)")
    add("--resume", action="store_true", help="go on from OUT.resume")
    return result


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the command line asks for; raises UserError."""
    recipe = Recipe(**{name: getattr(arguments, name) for name in Recipe.__dataclass_fields__})
    for name, (least, most) in RANGES.items():
        values = getattr(arguments, name)
        for value in values if isinstance(values, list) else [values]:
            if not least <= value <= most:
                raise UserError(f"--{name.replace('_', '-')} {value} is outside {least:g} to {most:g}")
    if recipe.epochs < 1:
        raise UserError("training needs at least one epoch, of --float-epochs or --qat-epochs")
    return recipe


def command_of(options: argparse.Namespace) -> str:
    """The command that repeats this training, without where this machine keeps its data."""
    words = ["python", "-m", "snn.train"]
    for action in parser()._actions:
        value = getattr(options, action.dest, None)
        if value == action.default or action.dest in ("data_dir", "resume", "help"):
            continue
        words.append(action.option_strings[0])
        if value is not True:
            words += [str(part) for part in value] if isinstance(value, list) else [str(value)]
    return shlex.join(words)


class Training:
    """One training run: model, optimizer and where it stands. The phase follows from the epoch alone."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        images: data.Images,
        test: data.Images,
        teacher: nn.Module | None = None,
        like: nn.Module | None = None,
    ) -> None:
        self.model, self.recipe, self.images, self.test, self.teacher = model, recipe, images, test, teacher
        self.fraction_bits = None if like is None else quantization.fraction_bits_of(like)
        if self.fraction_bits is not None:
            if self.fraction_bits.keys() != quantization.fraction_bits_of(model).keys():
                raise UserError("--like is a checkpoint of another architecture")
            if -1 in self.fraction_bits.values():
                raise UserError("--like is a float checkpoint, which has no fraction bits yet")
        self.pixels, self.labels = torch.from_numpy(images.pixels.copy()), torch.from_numpy(images.labels.copy())
        self.random = torch.Generator().manual_seed(recipe.seed)
        self.epoch = 0
        self.optimizer, self.schedule = self._optimizer(recipe.learning_rate, recipe.float_epochs)

    def _optimizer(self, rate: float, epochs: int) -> tuple[torch.optim.Optimizer, Any]:
        rho = {neuron.rho for neuron in self.model.modules() if isinstance(neuron, QBLIF)}
        weights = [p for p in self.model.parameters() if p.dim() > 1]
        others = [p for p in self.model.parameters() if p.dim() <= 1 and p not in rho]
        optimizer = torch.optim.AdamW(
            [
                {"params": weights, "weight_decay": self.recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
                {"params": list(rho), "weight_decay": 0.0},
            ],
            lr=rate,
        )
        steps = max(1, epochs * (len(self.images.labels) // self.recipe.batch))
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def run_epoch(self) -> float:
        """One pass over the training images; returns the mean loss."""
        recipe = self.recipe
        if self.epoch == recipe.float_epochs:
            quantization.begin(self.model, self.pixels[: recipe.batch], self.fraction_bits)
            self.optimizer, self.schedule = self._optimizer(recipe.qat_learning_rate, recipe.qat_epochs)
        self.model.train()
        total = torch.zeros(())
        batches = len(self.labels) // recipe.batch
        order = torch.randperm(len(self.labels), generator=self.random)[: batches * recipe.batch]
        for chosen in order.split(recipe.batch):
            loss = self._loss(recipe.augmentation(self.pixels[chosen], self.random), self.labels[chosen])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            total += loss.detach()
        if not torch.isfinite(total):
            raise UserError("training diverged (the loss is not finite); lower --learning-rate")
        self.epoch += 1
        return float(total / batches)

    def _loss(self, samples: Tensor, labels: Tensor) -> Tensor:
        logits = mean_logits(self.model, samples)
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        if self.teacher is None:
            return loss
        share = self.recipe.distillation
        with torch.no_grad():
            answers = mean_logits(self.teacher, samples).softmax(dim=1)
        return (1 - share) * loss + share * nn.functional.cross_entropy(logits, answers)

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` needs to go on as if nothing had happened."""
        parts = (self.model.state_dict(), self.optimizer.state_dict(), self.schedule.state_dict())
        return dict(zip(RESUMED_STATE, (asdict(self.recipe), *parts, self.epoch, self.random.get_state()), strict=True))

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`; raises UserError if it is that of another recipe."""
        if state["recipe"] != asdict(self.recipe):
            raise UserError("the interrupted training had another recipe; repeat its options, or leave out --resume")
        self.epoch = state["epoch"]
        if self.epoch > self.recipe.float_epochs:
            self.optimizer, self.schedule = self._optimizer(self.recipe.qat_learning_rate, self.recipe.qat_epochs)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.random.set_state(state["random"])


def mean_logits(model: nn.Module, samples: Tensor) -> Tensor:
    """The model's logits, (batch, classes), as a mean over its timesteps."""
    timesteps = next(module.timesteps for module in model.modules() if isinstance(module, Encoder))
    logits: Tensor = model(samples) / timesteps
    return logits


@torch.no_grad()
def accuracy(model: nn.Module, images: data.Images) -> float:
    """Fraction of ``images`` whose first largest logit is the label's."""
    model.eval()
    right = 0
    for start in range(0, len(images.labels), 1000):
        pixels = torch.from_numpy(images.pixels[start : start + 1000].copy())
        right += int((model(pixels).argmax(1).numpy() == images.labels[start : start + 1000]).sum())
    return right / len(images.labels)


def train(training: Training, out: Path, resume: bool) -> float:
    """Run the epochs that are left, log each to OUT.csv, and return the last test accuracy."""
    resumed, log = out.with_name(out.name + ".resume"), out.with_suffix(".csv")
    if resume:
        try:
            training.restore(torch.load(resumed, weights_only=True))
        except (OSError, EOFError, KeyError, TypeError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
            raise UserError(f"cannot resume from {resumed}: {error}") from error
    score = accuracy(training.model, training.test) if training.epoch else 0.0
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        log.open("a" if training.epoch else "w", newline="") as file,
    ):
        writer = csv.writer(file)
        if not training.epoch:
            writer.writerow(("epoch", "phase", "loss", "test_accuracy"))
        task = progress.add_task("epochs", total=training.recipe.epochs, completed=training.epoch)
        while training.epoch < training.recipe.epochs:
            phase = "float" if training.epoch < training.recipe.float_epochs else "integer"
            loss = training.run_epoch()
            score = accuracy(training.model, training.test)
            writer.writerow((training.epoch, phase, f"{loss:.4f}", f"{score:.4f}"))
            file.flush()
            checkpoint.save_atomically(training.state(), resumed)
            text = f"epochs ({phase}): loss {loss:.3f}, test accuracy {score:.2%}"
            progress.update(task, completed=training.epoch, description=text)
    resumed.unlink(missing_ok=True)
    return score


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    recipe = recipe_of(options)
    check_output_file(options.out, "--out")
    if options.out.suffix in (".csv", ".json") or options.out.name == "":
        raise UserError(
            f"--out {options.out}: that suffix is the log's or the record's; name the checkpoint model.pt, say"
        )
    images, test = (data.load(options.data, split, options.data_dir) for split in ("train", "test"))
    torch.manual_seed(recipe.seed)
    model_options = ModelOptions(
        input_shape=images.pixels.shape[1:],
        classes=int(images.labels.max()) + 1,
        timesteps=options.timesteps,
        burst_bits=options.burst_bits,
        weight_bits=options.weight_bits,
        input_bits=options.input_bits,
        hidden=tuple(options.hidden),
        channels=tuple(options.channels),
        convolutions=tuple(options.convolutions),
        pooling=options.pooling,
        reset=options.reset,
        learn_scale=not options.fixed_scale,
    )
    if recipe.batch > len(images.labels):
        raise UserError(f"--batch {recipe.batch} is more than the {len(images.labels)} training images")
    model = make_model(options.model, model_options)
    teacher = None if options.teacher is None else checkpoint.load_model(options.teacher)
    like = None if options.like is None else checkpoint.load_model(options.like)
    training = Training(model, recipe, images, test, teacher, like)
    score = train(training, options.out, options.resume)
    if recipe.qat_epochs == 0:
        print("note: no integer phase was asked for; gen.build will round this float network")
    content = checkpoint.describe(model, torch.from_numpy(test.pixels[:16].copy()), torch.from_numpy(test.labels[:16]))
    content["model"] = checkpoint.model_section(options.model, model_options)
    content["activity"] = checkpoint.activity(model, training.pixels)
    content["training"] = record = {
        "command": command_of(options),
        "data": options.data,
        "seed": recipe.seed,
        "test_accuracy": score,
        "test_images": len(test.labels),
        "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
    }
    checkpoint.save_atomically(content, options.out)
    options.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    print(f"{options.out}: {content['kind']} checkpoint, test accuracy {score:.2%} of {len(test.labels)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
