"""What the originals share: training on Fashion-MNIST, the accuracy, and the file of a trained network."""

import math
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qblif.archive import load_archive
from qblif.errors import UserError
from qblif.progress import step
from qblif.reading import MEBIBYTE, brief
from snn.augment import Augmentation
from snn.checkpoint import MALFORMED, save_atomically
from snn.datasets.data import Images

MOST_BYTES = 64 * MEBIBYTE
TEST_BATCH = 250


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: Adam, a learning rate of one cycle, images mirrored at random.

    Attributes:
        learning_rate: the highest of the cycle.
    """

    epochs: int
    batch: int
    learning_rate: float
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Original:
    """A network as a user of its framework would write it.

    Attributes:
        framework: name of the package.
        options: arguments of ``build``.
        build: makes the network; its weights are those of the framework's initialization.
        scores: of images (B, 1, 28, 28) from 0 to 1, one number per class, (B, 10); the greatest is the answer.
        loss: of images and labels.
        recipe: how it is trained.
    """

    framework: str
    options: dict[str, Any]
    build: Callable[..., nn.Module]
    scores: Callable[[nn.Module, Tensor], Tensor]
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]
    recipe: Recipe

    def with_recipe(self, **changes: Any) -> "Original":
        """The same network, trained otherwise; arguments that are None change nothing."""
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, recipe=replace(self.recipe, **given))


def tensors(images: Images) -> tuple[Tensor, Tensor]:
    """Pixels as bytes, and labels."""
    return torch.from_numpy(images.pixels.copy()), torch.from_numpy(images.labels.copy())


def train(original: Original, images: Images) -> nn.Module:
    """A trained network, in evaluation mode; raises UserError if it cannot be trained so."""
    recipe = original.recipe
    batches = len(images.labels) // recipe.batch
    if not batches:
        raise UserError(f"--batch {recipe.batch} is more than the {len(images.labels)} training images")
    torch.manual_seed(recipe.seed)
    random, mirror = torch.Generator().manual_seed(recipe.seed), Augmentation(flip=True)
    network = original.build(**original.options)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.epochs * batches)
    pixels, labels = tensors(images)
    for epoch in range(recipe.epochs):
        total = 0.0
        with step(f"epoch {epoch + 1} of {recipe.epochs}", batches) as running:
            order = torch.randperm(len(labels), generator=random)[: batches * recipe.batch]
            for chosen in order.split(recipe.batch):
                loss = original.loss(network, mirror(pixels[chosen], random) / 255, labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
                running.advance()
                running.describe(f"loss {total / running.done:.4f}")
        if not math.isfinite(total):
            raise UserError("training diverged (the loss is not finite); lower --learning-rate")
    return network.eval()


@torch.no_grad()
def accuracy(original: Original, network: nn.Module, images: Images) -> float:
    """The share of images whose class has the greatest score; the first class of equal ones is the answer."""
    pixels, labels = tensors(images)
    network.eval()
    right = 0
    with step("test", len(labels)) as running:
        for some, answers in zip(pixels.split(TEST_BATCH), labels.split(TEST_BATCH), strict=True):
            right += int((original.scores(network, some / 255).argmax(1) == answers).sum())
            running.advance(len(answers))
    return right / len(labels)


def command_of(original: Original) -> str:
    """The command that repeats a training, without where the data are and where the result goes."""
    given = [word for name, value in asdict(original.recipe).items() for word in (f"--{name.replace('_', '-')}", value)]
    return shlex.join(map(str, ["python", "-m", "studies.originals", original.framework, *given]))


def save(original: Original, network: nn.Module, test_accuracy: float, path: Path) -> None:
    """Write a trained network, loadable with ``weights_only=True``; raises UserError."""
    content = {
        "framework": original.framework,
        "state": network.state_dict(),
        "options": {"network": original.options, "training": asdict(original.recipe)},
        "test_accuracy": test_accuracy,
        "command": command_of(original),
        "versions": {name: version(name) for name in (original.framework, "torch")},
    }
    save_atomically(content, path)


def load(original: Original, path: Path) -> nn.Module:
    """The network of a file that :func:`save` wrote, in evaluation mode; raises UserError."""
    content, _ = load_archive(path, "network", MOST_BYTES)
    try:
        if content["framework"] != original.framework:
            raise ValueError(f"its network is one of {content['framework']}, not of {original.framework}")
        network = original.build(**content["options"]["network"])
        network.load_state_dict(content["state"])
    except MALFORMED as error:
        raise UserError(f"{path} is not a {original.framework} network of studies.originals: {brief(error)}") from error
    return network.eval()
