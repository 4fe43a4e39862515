"""Whole test sets in shards."""

import json
import shutil
import sys

import pytest

from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold
from qblif import golden
from qblif.network.coding import encode
from sim import cluster, exhaustive, shards
from sim.simulator import BENCHES
from snn.datasets.data import load


@pytest.fixture(scope="module")
def simulations(tmp_path_factory):
    """Simulations that were compiled for one test, for the others."""
    return tmp_path_factory.mktemp("simulations")


@pytest.fixture
def command(digits_checkpoint, tmp_path, simulations):
    folder = tmp_path / "exhaustive"
    shutil.copytree(simulations, folder)
    words = ["--ckpt", str(digits_checkpoint), "--data", "digits", "--count", "50", "--shard", "20", "--workers", "1"]
    yield [*words, "--work-dir", str(folder), "--json", str(tmp_path / "run.json")], folder, tmp_path / "run.json"
    for built in folder.glob("verilator-*"):
        shutil.copytree(built, simulations / built.name, dirs_exist_ok=True)


def test_shards_add_up_and_are_not_done_again(command, digits_checkpoint, capsys):
    words, folder, report_file = command
    assert exhaustive.main(words) == 0
    report = json.loads(report_file.read_text())
    images = load("digits", "test", None).first(50)
    network = fold(load_checkpoint(digits_checkpoint))
    classes = golden.run(network, encode(images.pixels, network.input)).classes.numpy()
    assert (report["images"], report["shards"], report["mismatches"]) == (50, 3, 0)
    assert report["accuracy_rtl"] == (classes == images.labels).mean()
    assert report["prediction_exact"]

    # A shard that is kept counts as it stands, and one that is missing is run.
    kept = sorted(folder.glob("shards-*/*.json"))
    figures = json.loads(kept[0].read_text())
    kept[0].write_text(json.dumps(figures | {"mismatches": 3, "what": "planted"}))
    kept[2].unlink()
    assert exhaustive.main(words) == shards.EXIT_MISMATCH
    assert "planted" in capsys.readouterr().out
    assert sorted(folder.glob("shards-*/*.json")) == kept


@pytest.mark.parametrize("planted", [0, 1])
def test_both_benches_find_the_same(planted, command, monkeypatch):
    """``planted`` is added to one logit of the golden model."""
    right = shards.prepare

    def prepare(design, images):
        inferences = right(design, images)
        inferences.golden.logits[4, 3] += planted
        return inferences

    monkeypatch.setattr(shards, "prepare", prepare)
    found = []
    for bench in BENCHES:
        options = exhaustive.parser().parse_args([*command[0], "--bench", bench])
        figures = shards.run_shard(shards.options_to(options), 20)
        found.append({key: value for key, value in figures.items() if "seconds" not in key})
    assert found[0] == found[1]
    assert (found[0]["images"], found[0]["mismatches"], found[0]["prediction_exact"]) == (20, planted, True)
    assert found[0]["what"].startswith("readout: inference 4, class 3: " if planted else "")


@pytest.mark.parametrize("options", [["--shard", "0"], ["--workers", "0"], ["--scheduler", "nowhere.invalid:1"]])
def test_user_errors(command, options, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    assert exhaustive.main([*command[0], *options]) == 2
    *steps, last = capsys.readouterr().err.splitlines()
    assert last.startswith("error: ")
    assert not [line for line in steps if "error" in line]


def test_the_library_is_optional(command, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert exhaustive.main([*command[0], "--workers", "2"]) == 2
    assert "qblif[cluster]" in capsys.readouterr().err
    assert exhaustive.main([*command[0], "--workers", "1"]) == 0
