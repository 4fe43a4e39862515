"""One run of the study: training, then all measurements of the network."""

import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold
from qblif import golden
from qblif.network.coding import encode
from snn import checkpoint
from snn.command import parse
from snn.datasets.data import Images, load
from snn.datasets.events import Split
from snn.run import content_of, training_of
from snn.training import Training, resume_file, sole_training, train
from snn.workers import Workers, device_of, processor
from studies.burst.measure import Figures, activity_figures, hardware_figures, scales

CHECKPOINT = "model.pt"
COUNTED = 1000
"""Test images whose bursts and operations are counted."""
PREDICTED = 20
"""Test images whose cycles are predicted."""
BOTH_SPLITS = 2


@lru_cache(maxsize=BOTH_SPLITS)
def images_of(data: str, split: Split, folder: Path | None, timesteps: int) -> Images:
    """A data set, cached for the process's next run."""
    return load(data, split, folder, timesteps)


def perform(
    words: tuple[str, ...], command: str, folder: Path, data_dir: Path | None, device: str, threads: int
) -> Figures:
    """Train and measure, or continue where an interrupted run was; returns the figures.

    The run's state stays until :func:`forget`.

    Args:
        words: options of ``snn.train``.
        command: the command that they amount to.
        folder: folder of this run alone, for the training's files.
        data_dir: where the data set is.
        device: the device that trains, as in :func:`snn.workers.device_of`; the measurements run on the CPU.
        threads: number of threads that torch may use.

    Raises:
        UserError: another process is working on this run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    begin = time.monotonic()
    out = folder / CHECKPOINT
    options = parse([*words, "--out", str(out)])
    with sole_training(out):
        images, test = (images_of(options.data, split, data_dir, options.timesteps) for split in ("train", "test"))
        training = training_of(options, Workers(device=device_of(device, 0)), images, test)
        score = train(training, out, resume=resume_file(out).is_file(), quiet=True)
        figures = {
            "command": command,
            "accuracy": score,
            "images": len(test.labels),
            "trained_with": f"torch {torch.__version__}, {processor(training.workers.device)}",
            "scales": scales(training.tested),
            "weights": sum(p.numel() for p in training.tested.parameters() if p.dim() > 1),
        }
        if training.recipe.qat_epochs:
            checkpoint.save_atomically(content_of(training, options, score), out)
            figures |= integer_figures(training, out)
    return figures | {"threads": threads, "seconds": round(time.monotonic() - begin, 1)}


def forget(folder: Path) -> None:
    """Remove a run's state, once its figures are saved."""
    resume_file(folder / CHECKPOINT).unlink(missing_ok=True)


def integer_figures(training: Training, path: Path) -> Figures:
    """The figures of the integer network; raises ValueError if it is not the network that was trained."""
    network, images = fold(load_checkpoint(path)), training.test.first(COUNTED)
    logits = golden.run(network, encode(images.pixels, network.input)).logits.numpy()
    with torch.no_grad():
        trained = training.tested(torch.from_numpy(images.pixels.copy())).double().numpy()
    if not np.array_equal(trained * 2.0**network.readout.fraction_bits, logits):
        raise ValueError(f"{path}: the golden model prints other logits than the trained network")
    return {
        "activity": activity_figures(network, images),
        "hardware": hardware_figures(path, images.first(PREDICTED)),
    }
