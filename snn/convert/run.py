"""What ``python -m snn.convert`` does."""

import argparse

import numpy as np

from qblif.errors import UserError
from qblif.network.checks import Shape
from qblif.progress import step
from snn.convert.assembly import Feed, assemble
from snn.convert.command import RANDOM, parser
from snn.convert.model import Converted
from snn.convert.nir.file import read_nir
from snn.convert.pipeline import convert, fine_tuning
from snn.convert.sources import feed_for, nir_network
from snn.datasets import data
from snn.datasets.data import Images
from snn.recipe import Recipe
from snn.results import write_results
from snn.training import sole_training

RANDOM_SAMPLES = 64
RANDOM_SPIKES = 0.25
"""The share of ones among random spikes."""
NOT_OF_THE_TRAINING = ("out", "resume", "samples", "data_dir")
"""Options without effect on what is trained."""


def random_spikes(shape: Shape, timesteps: int, seed: int) -> Images:
    """Spikes of no meaning, all of class 0."""
    spikes = np.random.default_rng(seed).random((RANDOM_SAMPLES, timesteps, *shape)) < RANDOM_SPIKES
    return Images(pixels=spikes.astype(np.uint8), labels=np.zeros(RANDOM_SAMPLES, dtype=np.int64))


def samples_of(name: str, split: data.Split, options: argparse.Namespace, shape: Shape) -> Images:
    """A data set's samples, or random ones; raises UserError unless they have the network's ``shape``."""
    if name == RANDOM:
        return random_spikes(shape, options.timesteps, options.seed + (split == "test"))
    images = data.load(name, split, options.data_dir, options.timesteps or 1)
    if images.shape != shape:
        raise UserError(f"the samples of {name} have shape {images.shape}, and the network takes {shape}")
    if images.timesteps not in (None, options.timesteps or images.timesteps):
        raise UserError(f"the recordings of {name} have {images.timesteps} timesteps, not {options.timesteps}")
    return images


def feed_of(options: argparse.Namespace, images: Images) -> Feed:
    """What the options and the samples say about the input; raises UserError."""
    coding = "events" if options.calibrate == RANDOM else data.coding_of(options.calibrate, options.data_dir)
    timesteps = images.timesteps or options.timesteps
    if timesteps is None:
        raise UserError(f"how many timesteps does the network see each sample of {options.calibrate}? add --timesteps")
    return feed_for(
        coding=coding,
        timesteps=timesteps,
        bits=options.input_bits,
        mean=options.mean,
        deviation=options.deviation,
    )


def recipe_of(options: argparse.Namespace, floats: Converted) -> Recipe | None:
    """The training that the options ask for."""
    if not options.fine_tune:
        return None
    return fine_tuning(
        floats,
        epochs=options.fine_tune,
        learning_rate=options.learning_rate,
        batch=options.batch,
        seed=options.seed,
    )


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for; returns the exit code. Raises UserError."""
    graph = nir_network(
        read_nir(options.source),
        dt=options.dt,
        reset=options.reset,
        rule=options.rule,
        firing=options.firing,
        integration=options.integration.replace("-", " "),
        ceiling=options.ceiling,
        tolerance=options.tolerance,
    )
    with step(f"reading {options.calibrate}"):
        images, test = (samples_of(options.calibrate, split, options, graph.shape) for split in ("train", "test"))
    floats = assemble(
        graph,
        feed_of(options, images),
        answer=options.answer,
        weight_bits=options.weight_bits,
        guard_bits=options.guard_bits,
        tolerance=options.tolerance,
    )
    if options.data not in (None, options.calibrate):
        images = samples_of(options.data, "train", options, graph.shape)
    with sole_training(options.out):
        result = convert(
            floats,
            images,
            test.first(options.samples),
            recipe=recipe_of(options, floats),
            out=options.out,
            resume=options.resume,
            command=parser().command(options, without=NOT_OF_THE_TRAINING),
        )
        record = result.report() | {"training": result.content["training"]}
        write_results(result.content, record, options.out)
    if options.calibrate == RANDOM:
        print("note: spikes at random chose and measured the integers; --calibrate names a data set")
    print("\n".join(result.lines(labelled=options.calibrate != RANDOM)))
    print(f"{options.out}: {result.content['kind']} checkpoint")
    return 0
