"""Training of networks over time, from a data set in a file to the accuracy of every timestep."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gen.frontend.origin import read_network
from qblif import golden
from qblif.network.coding import encode
from qblif.network.nodes import Leak
from qblif.network.projections import Dense
from sim import golden as sim_golden
from snn import run, train
from snn.architecture import ModelOptions
from snn.checkpoint import load_model
from snn.command import command_of, parse
from snn.models import make_model
from tests.networks import population_at

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = 8
SHORT = ["--float-epochs", "2", "--qat-epochs", "2", "--batch", "8"]
STREAM = [
    *("--stream", "--hidden", "7r", "5", "--leak", "3/4", "--current-leak", "7/8", "--current-limits", "-2.5", "6"),
    *("--membrane-limits", "-3", "3.5", "--readout-leak", "15/16", "--guard-bits", "3", "--clip", "1"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with small data sets: every timestep is one of three classes, by the last channel that was active."""
    random = np.random.default_rng(4)
    arrays: dict[str, Any] = {}
    for split, count in (("train", 32), ("test", 20)):
        samples = (random.random((count, STEPS, 3, 1, 1)) < 0.3).astype(np.uint8)
        labels = np.zeros((count, STEPS), dtype=np.int64)
        for number, step in np.ndindex(count, STEPS):
            active = np.flatnonzero(samples[number, step])
            labels[number, step] = active[-1] if len(active) else labels[number, step - 1] if step else 0
        arrays |= {f"samples_{split}": samples * 255, f"labels_{split}": labels}
    np.savez(tmp_path / "each.npz", **arrays)
    last = {name: values[:, -1] for name, values in arrays.items() if "labels" in name}
    np.savez(tmp_path / "last.npz", **(arrays | last))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(data: str, *words: str, out: str = "model.pt") -> dict[str, Any]:
    """The checkpoint of a short training."""
    assert train.main(["--data", data, *SHORT, *words, "--out", out]) == 0
    content: dict[str, Any] = torch.load(out, weights_only=True)
    return content


def test_every_option_arrives_in_the_integers(folder):
    content = trained("npz:each.npz", *STREAM)
    _, network, vectors = read_network(folder / "model.pt")
    assert (network.mode, network.timesteps, network.input.coding) == ("stream", STEPS, "frames")
    first, second = population_at(network, 0), population_at(network, 1)
    for neurons in (first, second):
        unit = 2**neurons.fraction_bits
        assert (neurons.leak, neurons.current_leak) == (Leak(multiplier=3, shift=2), Leak(multiplier=7, shift=3))
        assert neurons.membrane_limits == (-3 * unit, 7 * unit // 2)
        assert neurons.current_limits == (-5 * unit // 2, 6 * unit)
    assert network.readout.leak == Leak(multiplier=15, shift=4)
    own = [one for one in network.projections if one.recurrent]
    assert [(one.source, one.target) for one in own] == [(first.name, first.name)]
    assert isinstance(own[0], Dense)
    assert own[0].weights.shape == (7, 7)
    with np.load(folder / "each.npz") as file:
        samples, labels = file["samples_test"], file["labels_test"]
    assert vectors.labels.tolist() == labels[:16, -1].tolist()

    result = golden.run(network, encode(samples, network.input))
    with torch.no_grad():
        logits = load_model(folder / "model.pt")(torch.from_numpy(samples))
    assert (logits.double() * 2.0**network.readout.fraction_bits == result.sums.transpose(0, 1).double()).all()
    share = float((result.sums.numpy().argmax(axis=2) == labels).mean())
    assert content["training"]["test_accuracy"] == pytest.approx(share)
    words = ["--ckpt", "model.pt", "--data", "npz:each.npz", "--json", "golden.json"]
    assert sim_golden.main(words) == 0
    assert json.loads((folder / "golden.json").read_text())["accuracy"] == pytest.approx(share)


def test_every_option_of_the_lif_family_arrives_in_the_integers(folder):
    options = ["--neuron", "lif", "--theta", "0.5", "--fires-at", "above", "--reset", "hard", "--readout-maximum"]
    trained("npz:last.npz", *options, "--readout-limits", "-20", "20.5", "--hidden", "6")
    _, network, _ = read_network(folder / "model.pt")
    neurons, readout = population_at(network, 0), network.readout
    assert (network.mode, network.timesteps) == ("window", STEPS)
    assert (neurons.burst_ceiling, neurons.rounding, neurons.reset) == (1, -1, "hard")
    unit = 2**readout.fraction_bits
    assert (readout.maximum, readout.limits, readout.leak) == (True, (-20 * unit, 41 * unit // 2), None)
    assert torch.load("model.pt", weights_only=True)["layers"][0]["scale"] == 0.5


def test_learned_leaks_have_moved(folder):
    trained("npz:each.npz", *STREAM, "--learn-leak", "--learning-rate", "0.3", "--qat-learning-rate", "0.3")
    _, network, _ = read_network(folder / "model.pt")
    neurons = population_at(network, 0)
    assert neurons.current_leak is not None
    assert network.readout.leak is not None
    found = [(leak.multiplier, leak.shift) for leak in (neurons.leak, neurons.current_leak, network.readout.leak)]
    assert not set(found) & {(3, 2), (7, 3), (15, 4)}
    assert all(shift <= 8 for _, shift in found)


@pytest.mark.usefixtures("folder")
def test_pieces_as_long_as_the_recordings_are_the_whole_and_shorter_ones_are_not():
    states = [
        trained("npz:each.npz", *STREAM, *words)["state"]
        for words in ([], ["--truncate", str(STEPS)], ["--truncate", "3"])
    ]
    whole, long, short = states
    assert all(torch.equal(value, long[name]) for name, value in whole.items())
    assert not all(torch.equal(value, short[name]) for name, value in whole.items())


@pytest.mark.usefixtures("folder")
def test_an_interrupted_training_in_pieces_ends_where_an_unbroken_one_does(monkeypatch):
    words = [*STREAM, "--truncate", "3", "--learn-leak"]
    whole = trained("npz:each.npz", *words, out="whole.pt")
    run_epoch = run.Training.run_epoch

    def interrupted(self):
        if self.epoch == 3:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(run.Training, "run_epoch", interrupted)
    assert train.main(["--data", "npz:each.npz", *SHORT, *words, "--out", "model.pt"]) == 130
    monkeypatch.setattr(run.Training, "run_epoch", run_epoch)
    broken = trained("npz:each.npz", *words, "--resume")
    assert all(torch.equal(value, broken["state"][name]) for name, value in whole["state"].items())


def test_two_processes_train_leaks_that_the_integer_phase_leaves_alone(folder):
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "snn.train"]
    words += ["--data", "npz:each.npz", *SHORT, *STREAM, "--learn-leak", "--truncate", "3", "--out", "model.pt"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert read_network(folder / "model.pt")[1].mode == "stream"


def test_a_stream_with_one_label_learns_from_its_last_result(folder):
    content = trained("npz:last.npz", *STREAM)
    _, network, vectors = read_network(folder / "model.pt")
    with np.load(folder / "last.npz") as file:
        samples, labels = file["samples_test"], file["labels_test"]
    classes = golden.run(network, encode(samples, network.input)).classes.numpy()
    assert content["training"]["test_accuracy"] == pytest.approx(float((classes == labels).mean()))
    assert vectors.labels.tolist() == labels[:16].tolist()


REFUSED = {
    "take --stream": ["--data", "npz:each.npz"],
    "--truncate needs a label for every timestep": ["--data", "npz:last.npz", "--truncate", "3"],
    "not direct": ["--data", "digits", "--stream"],
    "without end in a network without an end of time": ["--data", "npz:each.npz", "--stream"],
    "there is no file": ["--data", "npz:none.npz"],
    "36x": ["--data", "digits", "--hidden", "36x"],
    "--hidden 0r is outside": ["--data", "digits", "--hidden", "0r"],
    "--theta 0.0 ": ["--data", "digits", "--theta", "0"],
    "--guard-bits 17 ": ["--data", "digits", "--guard-bits", "17"],
    "--truncate -1 ": ["--data", "digits", "--truncate", "-1"],
    "--clip nan ": ["--data", "digits", "--clip", "nan"],
    "membrane_limits 1 and 2 are not": ["--data", "digits", "--membrane-limits", "1", "2"],
    "--current-limits": ["--data", "digits", "--current-limits", "3"],
    "but no leak of one": ["--data", "digits", "--current-limits", "-1", "1"],
    "--neuron": ["--data", "digits", "--neuron", "izhikevich"],
    "--current-leak": ["--data", "digits", "--current-leak", "1.5"],
}


@pytest.mark.parametrize("line", list(REFUSED))
def test_refused_before_it_is_trained(line, folder, fails, monkeypatch):
    monkeypatch.setattr(run, "train", None)
    before = set(folder.iterdir())
    assert line in fails(train.main, *REFUSED[line], *SHORT, "--out", "model.pt")
    assert set(folder.iterdir()) == before


@pytest.mark.usefixtures("folder")
def test_a_network_with_one_result_is_not_held_against_labels_of_timesteps(fails, capsys):
    trained("npz:last.npz", "--hidden", "6")
    capsys.readouterr()
    words = ["--ckpt", "model.pt", "--data"]
    assert "a result only at the end" in fails(sim_golden.main, *words, "npz:each.npz")
    with np.load("last.npz") as file:
        shorter = {name: values[:, :-1] if "samples" in name else values for name, values in file.items()}
    np.savez("shorter.npz", **shorter)
    assert "have 7 timesteps, and the network takes 8" in fails(sim_golden.main, *words, "npz:shorter.npz")


def test_a_recipe_says_the_same(folder):
    (folder / "recipe.toml").write_text(
        'data = "npz:each.npz"\nstream = true\nhidden = ["7r", 5]\nleak = 0.75\ncurrent_leak = "7/8"\nguard_bits = 3\n'
        'current_limits = [-2.5, 6]\nmembrane_limits = [-3, 3.5]\nreadout_leak = "15/16"\nclip = 1\n'
    )
    written = parse(["--recipe", "recipe.toml", "--out", "x.pt"])
    said = parse(["--data", "npz:each.npz", *STREAM, "--out", "x.pt"])
    assert command_of(written) == command_of(said)
    assert "--hidden 7r 5" in command_of(said)
    assert parse(shlex.split(command_of(said))[3:]) == said


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("hidden = [true]", "hidden is not"),
        ("channels = ['4r']", "a list of whole numbers"),
        ("membrane_limits = ['a', 1]", "a list of numbers"),
        ("membrane_limits = [1]", "membrane"),
        ("hidden = ['r']", "'r' is not a number of neurons"),
    ],
)
def test_recipes_that_are_none(content, line, folder, fails):
    (folder / "recipe.toml").write_text(content)
    assert line in fails(train.main, "--recipe", "recipe.toml", "--data", "digits", "--out", "x.pt")


def test_the_defaults_of_a_kind_of_neuron_are_its_own():
    def neuron(**options: Any) -> Any:
        model: Any = make_model("mlp", ModelOptions(input_shape=(1, 4, 4), hidden=(4,), **options))
        return model.hidden[0].neuron

    lif, qblif = neuron(neuron_kind="lif"), neuron()
    assert (lif.burst_ceiling, lif.threshold) == (1, 1.0)
    assert (qblif.burst_ceiling, qblif.threshold) == (3, 0.5)
    levels = neuron(neuron_kind="lif", burst_bits=3, threshold=0.5)
    assert (levels.burst_ceiling, levels.threshold) == (7, 0.5)
