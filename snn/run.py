"""What ``python -m snn.train`` does."""

import argparse
import copy
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from qblif.progress import step
from snn import checkpoint, quantization
from snn.command import command_of
from snn.datasets import data
from snn.datasets.data import Images
from snn.models import make_model, model_options_of
from snn.recipe import recipe_of
from snn.results import write_results
from snn.training import Training, resumable, sole_training, storing, train
from snn.workers import Workers, processor, workers

COUNTED = 5000
"""Training images, spread over the whole set, whose activity the planner will use."""


def training_of(options: argparse.Namespace, processes: Workers, images: Images, test: Images) -> Training:
    """The training that the options describe, at its start; raises UserError."""
    recipe = recipe_of(options)
    torch.manual_seed(recipe.seed)
    model = make_model(options.model, model_options_of(options, images))
    teacher, like = (None if path is None else checkpoint.load_model(path) for path in (options.teacher, options.like))
    command = command_of(options, without=("out",))
    return Training(model, recipe, images, test, command=command, workers=processes, teacher=teacher, like=like)


def rehearse(training: Training) -> None:
    """Describe the network as it is now, so that one without an integer form is refused before it is trained."""
    model, samples = copy.deepcopy(training.model).to("cpu"), training.pixels[: checkpoint.REFERENCES].to("cpu")
    if training.recipe.qat_epochs:
        quantization.begin(model, samples, training.fraction_bits)
    checkpoint.describe(model, samples, training.labels[: checkpoint.REFERENCES].to("cpu"))


def content_of(training: Training, options: argparse.Namespace, score: float) -> dict[str, Any]:
    """The checkpoint of a finished training; raises UserError if no integers can represent the network."""
    model, test = training.tested.to("cpu"), training.test.first(checkpoint.REFERENCES)
    samples, labels = torch.from_numpy(test.pixels.copy()), torch.from_numpy(test.labels.copy())
    counted = training.pixels[:: max(1, len(training.pixels) // COUNTED)].to("cpu")
    content = checkpoint.describe(model, samples, labels, counted)
    content["model"] = checkpoint.model_section(options.model, model_options_of(options, training.images))
    content["training"] = {
        "command": command_of(options),
        "data": options.data,
        "seed": training.recipe.seed,
        "test_accuracy": score,
        "test_images": len(training.test.labels),
        "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
        "device": processor(training.workers.device),
    }
    return content


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for; returns the exit code. Raises UserError."""
    batch = recipe_of(options).batch
    with ExitStack() as held:
        with workers(options.device, batch) as processes:
            if processes.first:
                held.enter_context(sole_training(options.out))
            with step(f"reading {options.data}", quiet=not processes.first):
                images, test = (
                    data.load(options.data, split, options.data_dir, options.timesteps) for split in ("train", "test")
                )
            training = training_of(options, processes, images, test)
            held.enter_context(resumable(training))
            if processes.first:
                with step("looking for the network's integer form"):
                    rehearse(training)
            score = train(training, options.out, resume=options.resume)
            if not processes.first:
                return 0
        if training.recipe.qat_epochs == 0:
            print("note: no integer phase was asked for; gen.build will round this float network")
        with step("counting the activity that the planner goes by"):
            content = content_of(training, options, score)
        with storing(training):
            write_results(content, content["training"], options.out)
    print(f"{options.out}: {content['kind']} checkpoint, test accuracy {score:.2%} of {len(test.labels)}")
    return 0
