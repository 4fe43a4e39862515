"""One training run, epoch by epoch, resumable: its result depends only on the command, no matter how often and where it
is interrupted, and what is tested in between."""

import csv
import glob
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qblif.archive import check_tensors, flat, load_archive
from qblif.errors import UserError
from qblif.files import PARTIAL, sole_writer, write_whole
from qblif.progress import step
from qblif.reading import MEBIBYTE, MOST_PICKLE, brief
from snn import checkpoint, quantization
from snn.answers import (
    accuracy,
    answered,
    check_labels,
    check_teacher,
    class_weights,
    readout_of,
    span_of,
    timesteps_of,
)
from snn.augment import augmentation_of
from snn.averaging import WeightAverage
from snn.datasets.data import Images
from snn.neuron import QBLIF
from snn.recipe import Recipe
from snn.state import Stateful
from snn.workers import Workers

MOST_STATE = 2048 * MEBIBYTE
"""Bytes of OUT.resume: the model, twice as much for the optimizer, and an average."""


class Training:
    """Model, optimizer and their progress. The phase follows from the epoch alone.

    Args:
        model: in the float form.
        recipe: how to train it.
        images, test: the images or recordings to train with, and those to measure the accuracy on.
        command: the command that repeats the training; the state of another command's training is refused.
        workers: the processes that train; by default only this process, on the CPU.
        teacher: a trained model to learn from as well.
        like: a model of the same architecture whose fraction bits are kept.

    Raises:
        UserError: there are fewer training images than a batch has, no test images, labels or ``recipe.truncate`` that
            the model's results do not suit, or ``teacher`` or ``like`` do not fit the model.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        images: Images,
        test: Images,
        *,
        command: str,
        workers: Workers | None = None,
        teacher: nn.Module | None = None,
        like: nn.Module | None = None,
    ) -> None:
        if recipe.batch > len(images.labels):
            raise UserError(f"--batch {recipe.batch} is more than the {len(images.labels)} training images")
        if not len(test.labels):
            raise UserError("there are no test images")
        check_labels(model, images, truncated=bool(recipe.truncate))
        self.workers = Workers(device=torch.device("cpu")) if workers is None else workers
        device = self.workers.device
        self.model, self.recipe, self.images, self.test = model.to(device), recipe, images, test
        if teacher is not None:
            check_teacher(teacher, model)
        self.teacher = None if teacher is None else teacher.to(device).eval()
        self.fraction_bits = None if like is None else quantization.fraction_bits_of(like)
        if self.fraction_bits is not None:
            if self.fraction_bits.keys() != quantization.fraction_bits_of(model).keys():
                raise UserError("--like is a checkpoint of another architecture")
            if -1 in self.fraction_bits.values():
                raise UserError("--like is a float checkpoint, which has no fraction bits yet")
        self.pixels = torch.from_numpy(images.pixels.copy()).to(device)
        self.labels = torch.from_numpy(images.labels.copy()).to(device)
        self.class_weights = class_weights(self.labels, len(readout_of(model).exponent), recipe.balance)
        self.random = torch.Generator().manual_seed(recipe.seed)
        self.command = command
        self.epoch = 0
        self.saved = 0
        """Epochs in the state that was last written to a file or read from one."""
        self.log: list[tuple[int, str, str, str]] = []
        if self.workers.count > 1:
            # The first batch sets the scales, so it must be the same in all processes.
            with torch.no_grad():
                self.model(self.pixels[: recipe.batch])
        self.parallel = self.workers.parallel(self.model)
        self._begin_phase()

    @property
    def tested(self) -> nn.Module:
        """The model that is tested and written: the average, if one is kept."""
        return self.model if self.average is None else self.average.model

    def _begin_phase(self) -> None:
        """Create optimizer, schedule and average for the phase of the current epoch."""
        recipe, floats = self.recipe, self.epoch < self.recipe.float_epochs
        rate, epochs = (
            (recipe.learning_rate, recipe.float_epochs) if floats else (recipe.qat_learning_rate, recipe.qat_epochs)
        )
        rho = {neuron.rho for neuron in self.model.modules() if isinstance(neuron, QBLIF)}
        weights = [p for p in self.model.parameters() if p.dim() > 1]
        others = [p for p in self.model.parameters() if p.dim() <= 1 and p not in rho]
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            [
                {"params": weights, "weight_decay": recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
                {"params": list(rho), "weight_decay": 0.0},
            ],
            lr=rate,
        )
        pieces = -(-timesteps_of(self.model) // recipe.truncate) if recipe.truncate else 1
        steps = max(1, epochs * (len(self.labels) // recipe.batch) * pieces)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        self.average = WeightAverage(self.model, recipe.average) if recipe.average else None

    def run_epoch(self) -> float:
        """One pass over the training images; returns this process's mean loss."""
        recipe, device = self.recipe, self.workers.device
        # Layers that draw random numbers, such as Dropout, must not depend on which epochs ran in this process.
        chance = np.random.SeedSequence((recipe.seed, self.epoch, self.workers.rank))
        torch.manual_seed(int(chance.generate_state(1, np.uint64)[0]))
        if self.epoch == recipe.float_epochs:
            self.workers.agree(self.model)
            quantization.begin(self.model, self.pixels[: recipe.batch], self.fraction_bits)
            self._begin_phase()
        self.model.train()
        total = torch.zeros((), device=device)
        batches = len(self.labels) // recipe.batch
        order = torch.randperm(len(self.labels), generator=self.random)[: batches * recipe.batch]
        for chosen in order.to(device).split(recipe.batch):
            changed = changed_samples(self.pixels[chosen], augmentation_of(recipe), self.random)
            samples, labels = self.workers.share(changed), self.workers.share(self.labels[chosen])
            total += self._learn(samples, labels) if recipe.truncate == 0 else self._learn_in_pieces(samples, labels)
        if not torch.isfinite(total):
            raise UserError("training diverged (the loss is not finite); lower --learning-rate")
        self.epoch += 1
        return float(total / batches)

    def _learn(self, samples: Tensor, labels: Tensor, run: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """One step of the optimizer; returns the loss."""
        loss = self._loss(samples, labels, run)
        self.optimizer.zero_grad()
        loss.backward()
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.schedule.step()
        if self.average is not None:
            self.average.follow(self.model)
        return loss.detach()

    def _learn_in_pieces(self, samples: Tensor, labels: Tensor) -> Tensor:
        """A step for every piece of the recordings, through which the state goes on; returns the mean loss."""
        run, losses = Stateful(self.model, self.parallel), []
        pieces = (part.split(self.recipe.truncate, dim=1) for part in (samples, labels))
        for some, their in zip(*pieces, strict=True):
            losses.append(self._learn(some, their, run))
            run.detach()
        return torch.stack(losses).mean()

    def _loss(self, samples: Tensor, labels: Tensor, run: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        heat = self.recipe.temperature
        logits, targets = answered((run or self.parallel)(samples) / (span_of(self.model) * heat), labels)
        smoothing, weight = self.recipe.label_smoothing, self.class_weights
        loss = nn.functional.cross_entropy(logits, targets, weight=weight, label_smoothing=smoothing)
        if self.teacher is None:
            return loss
        share = self.recipe.distillation
        with torch.no_grad():
            answers = answered(self.teacher(samples) / (span_of(self.teacher) * heat), labels)[0].softmax(dim=1)
        return (1 - share) * loss + share * nn.functional.cross_entropy(logits, answers)

    def leave(self) -> None:
        """Drop the connection to the other processes; no epoch can follow."""
        self.parallel = self.model

    def state(self) -> dict[str, Any]:
        """The state that :meth:`restore` needs to continue as if there had been no interruption."""
        return {
            "command": self.command,
            "processes": self.workers.count,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "epoch": self.epoch,
            "log": self.log,
            "random": self.random.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state`; raises UserError if the state belongs to another training."""
        if state["command"] != self.command:
            raise UserError(
                f"the interrupted training was {state['command']}; repeat its options, or leave out --resume"
            )
        if state["processes"] != self.workers.count:
            raise UserError(
                f"the interrupted training ran in {state['processes']} processes, not {self.workers.count}; "
                "start as many, or leave out --resume"
            )
        self.check_progress(state["epoch"], state["log"])
        self.epoch = self.saved = state["epoch"]
        self.log = state["log"]
        self.model.load_state_dict(state["model"])
        if self.epoch > self.recipe.float_epochs:
            self._begin_phase()
        self.check_schedule(state["schedule"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, known in self.optimizer.state.items():
            for key, value in known.items():
                if value.shape not in (parameter.shape, ()):
                    raise ValueError(f"{key!r} of the optimizer has shape {tuple(value.shape)}")
        self.schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.restore(state["average"])
        self.random.set_state(state["random"])

    def check_progress(self, epoch: Any, log: Any) -> None:
        """Raise ValueError unless a training can be at this epoch with this log."""
        fine = type(epoch) is int and 0 <= epoch <= self.recipe.epochs and isinstance(log, list) and len(log) <= epoch
        if not fine or not all(
            isinstance(line, tuple) and [type(word) for word in line] == [int, str, str, str] for line in log
        ):
            raise ValueError("its epoch and its log are not those of this training")

    def check_schedule(self, stored: Any) -> None:
        """Raise ValueError unless a schedule's state has the structure of this training's."""
        mine = self.schedule.state_dict()
        if {key: type(value) for key, value in stored.items()} != {key: type(value) for key, value in mine.items()}:
            raise ValueError("its schedule is not that of this training")


def changed_samples(samples: Tensor, change: Callable[[Tensor, torch.Generator], Tensor], random: Any) -> Tensor:
    """Augmented samples, (batch, C, H, W) or (batch, T, C, H, W); all timesteps of a sample are changed alike."""
    return change(samples.flatten(1, -3), random).unflatten(1, samples.shape[1:-2])


def write_log(log: list[tuple[int, str, str, str]], path: Path) -> None:
    """Write every epoch as a line of a CSV file; raises UserError."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("epoch", "phase", "loss", "test_accuracy"))
    writer.writerows(log)
    write_whole(path, text.getvalue())


def resume_file(out: Path) -> Path:
    """OUT.resume, where the training for the checkpoint ``out`` keeps its state."""
    return out.with_name(f"{out.name}.resume")


@contextmanager
def sole_training(out: Path) -> Iterator[None]:
    """Keep other processes from writing ``out`` and the files beside it: log, record and state.

    Partial files of killed processes are removed.

    Raises:
        UserError: another process is writing them, or the folder cannot be written to.
    """
    # model.pt and model.ckpt would share model.csv.
    with sole_writer(out.with_suffix("")):
        for name in (out.name, out.with_suffix(".csv").name, out.with_suffix(".json").name):
            for partial in out.parent.glob(f"{glob.escape(name)}.*{PARTIAL}"):
                partial.unlink(missing_ok=True)
        yield


@contextmanager
def resumable(training: Training) -> Iterator[None]:
    """Say how to continue if the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not training.workers.first:
            raise
        raise type(interrupt)(f"interrupted; {way_on(training)}") from interrupt


def way_on(training: Training) -> str:
    """How to continue after an interruption."""
    if training.saved == 0:
        return "no epoch was complete, so there is nothing to go on from"
    kept = f"{training.saved} of {training.recipe.epochs} epochs are kept"
    return f"{kept}; the same command with --resume continues from there"


@contextmanager
def storing(training: Training) -> Iterator[None]:
    """Say how to continue if the block cannot write its files; raises UserError."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}; {way_on(training)}") from error


def keep_state(training: Training, out: Path) -> None:
    """Write OUT.resume and the log; if that raises UserError, the previous state is still there."""
    with storing(training):
        checkpoint.save_atomically(training.state(), resume_file(out))
        training.saved = training.epoch
        write_log(training.log, out.with_suffix(".csv"))


def most_structure(epochs: int) -> int:
    """Largest size in bytes of a state's structure: its log grows with every epoch."""
    return MOST_PICKLE + 128 * epochs


def restore_state(training: Training, out: Path) -> None:
    """Continue from OUT.resume; the log then holds only its epochs. Raises UserError."""
    resumed = resume_file(out)
    state, packed = load_archive(resumed, "state of a training", MOST_STATE, most_structure(training.recipe.epochs))
    try:
        check_tensors(flat(state, resumed), len(packed), resumed)
        training.restore(state)
    except UserError:
        raise
    except checkpoint.MALFORMED as error:
        raise UserError(f"cannot resume from {resumed}: {brief(error)}; leave out --resume to begin again") from error
    if training.workers.first:
        write_log(training.log, out.with_suffix(".csv"))


def train(training: Training, out: Path, *, resume: bool, quiet: bool = False) -> float:
    """Run the remaining epochs, log each to OUT.csv, and return the last test accuracy.

    Args:
        training: the training to run.
        out: the checkpoint that will be written. OUT.resume keeps the state after every epoch; the caller removes it
            once the checkpoint is there.
        resume: start from OUT.resume.
        quiet: show no progress, and test only after the last epoch.
    """
    if resume:
        restore_state(training, out)
    first = training.workers.first
    score, epochs = 0.0, training.recipe.epochs
    if training.epoch == epochs and first:
        with step("testing", quiet=quiet):
            score = accuracy(training.tested, training.test)
    with step("training", epochs - training.epoch, quiet=quiet or not first) as running:
        while training.epoch < epochs:
            phase = "float" if training.epoch < training.recipe.float_epochs else "integer"
            loss = training.run_epoch()
            if first:
                tested = not quiet or training.epoch == epochs
                score = accuracy(training.tested, training.test) if tested else 0.0
                training.log.append((training.epoch, phase, f"{loss:.4f}", f"{score:.4f}" if tested else ""))
                keep_state(training, out)
                running.describe(
                    f"epoch {training.epoch} of {epochs}, {phase}: loss {loss:.3f}, test accuracy {score:.2%}"
                )
                running.advance()
    training.leave()
    return score
