"""The shipped networks do what is said of them, on all test images."""

import contextlib
import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold
from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.projections import Skip
from snn.checkpoint import load_model
from snn.command import parse
from snn.datasets.data import Images, load
from tests.networks import population_at, weighted_at

SHIPPED = {
    "digits_mlp": ("digits", 0.95),
    "digits_resnet": ("digits", 0.98),
    "fashion_mnist_mlp": ("fashion_mnist", 0.885),
    "fashion_mnist_cnn": ("fashion_mnist", 0.92),
    "fashion_mnist_cnn252k": ("fashion_mnist", 0.93),
    "mnist_mlp75": ("mnist", 0.982),
    "mnist_mlp128": ("mnist", 0.986),
    "cifar10_cnn": ("cifar10", 0.84),
    "nmnist_cnn": ("nmnist", 0.9),
    "mitbih_patients": ("mitbih", 0.92),
    "mitbih_random": ("mitbih_random", 0.985),
}
LARGE = ("fashion_mnist_cnn252k", "cifar10_cnn")
LONG = ("fashion_mnist_cnn", *LARGE)


def images_of(data: str, timesteps: int) -> Images:
    """The test set, from where it can be had or from the folder that QBLIF_DATA names."""
    folder = os.environ.get("QBLIF_DATA")
    for place in [None, *([Path(folder)] if folder else [])]:
        with contextlib.suppress(UserError):
            return load(data, "test", place, timesteps)
    pytest.skip(f"no {data} here; QBLIF_DATA may name a folder that holds it")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in SHIPPED])
def test_trained_model_and_golden_print_the_same_logits_on_every_test_image(name, zoo):
    data, least = SHIPPED[name]
    path = zoo / f"{name}.pt"
    network, model = fold(load_checkpoint(path)), load_model(path)
    images = images_of(data, network.timesteps)
    grid = 2.0**network.readout.fraction_bits
    right = 0
    for start in range(0, len(images.labels), 500):
        pixels = images.pixels[start : start + 500]
        result = golden.run(network, encode(pixels, network.input))
        with torch.no_grad():
            logits = model(torch.from_numpy(pixels.copy())).double() * grid
        assert (logits == result.logits).all()
        right += int((result.classes.numpy() == images.labels[start : start + 500]).sum())
    accuracy = right / len(images.labels)
    assert accuracy >= least
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["test_accuracy"] == pytest.approx(accuracy)
    assert record["test_images"] == len(images.labels)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_recipe_file_is_the_recorded_command(name, zoo):
    record = json.loads((zoo / f"{name}.json").read_text())
    words = shlex.split(record["command"])
    recorded, out = parse(words[3:]), words[words.index("--out") + 1]
    assert out == f"snn/zoo/{name}.pt"
    assert recorded.seed == record["seed"]
    recorded.recipe = recipe = zoo / f"{name}.toml"
    assert parse(["--recipe", str(recipe), "--out", out]) == recorded


@pytest.mark.parametrize("name", [name for name in SHIPPED if "cnn" in name or "resnet" in name])
def test_convolutional_networks_are_small(name, zoo):
    network = fold(load_checkpoint(zoo / f"{name}.pt"))
    weights = [projection for projection in network.projections if not isinstance(projection, Skip)]
    assert all(projection.weight_bits <= 4 for projection in weights)
    assert sum(projection.weights.size for projection in weights) < (500_000 if name in LARGE else 150_000)


def test_fashion_mnist_is_the_network_that_was_asked_for(fashion_checkpoint):
    network = fold(load_checkpoint(fashion_checkpoint))
    assert len(network.projections) == 2
    first, second = weighted_at(network, 0), weighted_at(network, 1)
    assert [p.weights.shape for p in (first, second)] == [(128, 784), (10, 128)]
    assert [p.weight_bits for p in (first, second)] == [4, 4]
    assert (network.timesteps, population_at(network, 0).burst_ceiling, network.input.bits) == (4, 3, 4)
    assert np.abs(first.weights).max() == 8
