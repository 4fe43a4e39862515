"""The tables of heartbeats count what a network says of every class."""

import re

import numpy as np
import pytest
import torch

from snn import train
from snn.checkpoint import load_model
from snn.datasets import data, mitbih
from studies import heartbeats
from studies.heartbeat_tables import confusion_of, table
from tests.snn.datasets.ecg_files import written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("mitbih")
    for seed, name in enumerate(mitbih.DS1):
        written(path, name, seed)
    words = ["--data", "mitbih_fold1", "--data-dir", str(path), "--hidden", "12", "--timesteps", "2"]
    words += ["--float-epochs", "3", "--qat-epochs", "1", "--batch", "16", "--out", str(path / "model.pt")]
    assert train.main(words) == 0
    return path


def test_the_confusion_is_that_of_the_trained_model(folder):
    images = data.load("mitbih_fold2", "test", folder)
    with torch.no_grad():
        said = load_model(folder / "model.pt")(torch.from_numpy(images.pixels.copy())).argmax(1).tolist()
    expected = np.zeros((5, 5), dtype=int)
    for label, answer in zip(images.labels.tolist(), said, strict=True):
        expected[label, answer] += 1
    assert (confusion_of(folder / "model.pt", "mitbih_fold2", folder) == expected).all()
    assert len(set(said)) > 1


def test_a_table_gives_sensitivity_and_predictivity():
    lines = table(
        "some", np.array([[90, 5, 5, 0, 0], [3, 6, 1, 0, 0], [0, 0, 8, 2, 0], [0] * 5, [1, 0, 0, 0, 0]])
    ).splitlines()
    assert lines[0] == "**some**: 85.95% of 121 beats"
    assert lines[4] == "| N | 100 | 90.0% | 95.7% | 90 | 5 | 5 | 0 | 0 |"
    assert lines[5] == "| S | 10 | 60.0% | 54.5% | 3 | 6 | 1 | 0 | 0 |"
    assert lines[7].startswith("| F | 0 | none | 0.0% |")
    assert lines[8].startswith("| Q | 1 | 0.0% | none |")
    assert {line.count("|") for line in lines[2:]} == {10}


def test_several_pairs_are_added_up(folder, capsys):
    pairs = [word for fold in (1, 2) for word in ("--pair", str(folder / "model.pt"), f"mitbih_fold{fold}")]
    assert heartbeats.main(["--data-dir", str(folder), *pairs]) == 0
    titles = re.findall(r"\*\*(.*)\*\*: .* of (.*) beats", capsys.readouterr().out)
    assert titles == [("model, mitbih_fold1", "42"), ("model, mitbih_fold2", "42"), ("all together", "84")]


def test_other_data_and_other_networks_are_refused(folder, capsys):
    for ckpt, name, reason in (
        ("model.pt", "digits", "no heartbeats"),
        ("digits_mlp", "mitbih_fold1", "is not a network for"),
    ):
        path = folder / ckpt if ckpt == "model.pt" else ckpt
        assert heartbeats.main(["--data-dir", str(folder), "--pair", str(path), name]) == 2
        assert reason in capsys.readouterr().err
