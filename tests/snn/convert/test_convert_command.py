"""The command line: a NIR file becomes a checkpoint that gen.plan reads, or one line says why not."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from gen.design import make_design
from snn.convert.__main__ import main

nir = pytest.importorskip("nir")


def network(threshold: float = 1.0, bias: float = 0.0):
    """64-12-10 with LIF neurons."""
    random = np.random.default_rng(4)

    def lif(count):
        values = {"tau": 4e-3, "r": 4.0, "v_leak": 0.0, "v_threshold": threshold, "v_reset": 0.0}
        return nir.LIF(**{name: np.full(count, value) for name, value in values.items()})

    nodes = {
        "input": nir.Input(input_type={"input": np.array([1, 8, 8])}),
        "flat": nir.Flatten(input_type={"input": np.array([1, 8, 8])}, start_dim=0, end_dim=-1),
        "fc1": nir.Affine(random.normal(0, 0.3, (12, 64)), np.full(12, bias)),
        "lif1": lif(12),
        "fc2": nir.Linear(random.normal(0, 0.5, (10, 12))),
        "lif2": lif(10),
        "output": nir.Output(output_type={"output": np.array([10])}),
    }
    return nir.NIRGraph(nodes=nodes, edges=list(pairwise(nodes)))


@pytest.fixture
def file(tmp_path):
    nir.write(tmp_path / "net.nir", network())
    return tmp_path / "net.nir"


def words(file, out, *more: str) -> list[str]:
    return ["--from", str(file), "--dt", "1e-3", "--reset", "soft", "--timesteps", "4", "--out", str(out), *more]


def test_a_file_becomes_a_checkpoint(file, tmp_path, capsys):
    out = tmp_path / "model.pt"
    assert main(words(file, out, "--calibrate", "digits", "--samples", "100")) == 0
    printed = capsys.readouterr().out
    assert "note: dt 0.001 s, rule euler" in printed
    assert "accuracy" in printed
    report = json.loads(out.with_suffix(".json").read_text())
    assert report["rounded"]["labels"] == 100
    assert [layer["name"] for layer in report["rounded"]["layers"]] == ["lif1", "lif2"]
    assert all(
        layer["decisions"] == 100 * 4 * count
        for layer, count in zip(report["rounded"]["layers"], (12, 10), strict=True)
    )
    assert report["trained"] is None
    design = make_design(out, "icebreaker")
    assert design.origin.kind == "qat"
    assert [(one.name, one.leak.multiplier, one.leak.shift) for one in design.network.populations] == [
        ("lif1", 3, 2),
        ("lif2", 3, 2),
    ]


def test_integers_are_trained_further(file, tmp_path, capsys):
    out = tmp_path / "model.pt"
    options = ["--calibrate", "digits", "--weight-bits", "3", "--fine-tune", "8", "--learning-rate", "1e-2"]
    assert main(words(file, out, *options)) == 0
    report = json.loads(out.with_suffix(".json").read_text())
    assert report["trained"]["integer_right"] > report["rounded"]["integer_right"] + 50
    assert report["training"]["command"].startswith("python -m snn.convert --from ")
    assert "--weight-bits 3 --fine-tune 8 --learning-rate 0.01" in report["training"]["command"].replace(
        "--guard-bits 4 ", ""
    )
    assert report["training"]["test_accuracy"] == report["trained"]["integer_right"] / report["trained"]["labels"]
    assert "trained: accuracy" in capsys.readouterr().out
    assert not out.with_suffix(".pt.resume").exists()
    content = torch.load(out, weights_only=True)
    largest = max(int(part["weights"].abs().max()) for layer in content["layers"] for part in layer["projections"])
    assert largest <= 4
    again = tmp_path / "again.pt"
    assert main(words(file, again, *options)) == 0
    assert again.read_bytes() == out.read_bytes()


def test_without_data_spikes_are_random(file, tmp_path, capsys):
    out = tmp_path / "model.pt"
    assert main(["--from", str(file), "--dt", "1e-3", "--reset", "hard", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "note: spikes at random" in printed
    assert "decisions differ" in printed
    assert "accuracy" not in printed
    assert make_design(out, "icebreaker").network.input.coding == "events"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--calibrate", "digits", "--timesteps", "0"], "--timesteps"),
        (["--calibrate", "nothing"], "unknown data set"),
        (["--calibrate", "fashion_mnist"], "shape"),
        (["--calibrate", "digits", "--dt", "-1"], "--dt"),
        (["--calibrate", "digits", "--dt", "5e-3"], "tau"),
        (["--calibrate", "digits", "--weight-bits", "1"], "--weight-bits"),
        (["--calibrate", "digits", "--ceiling", "0"], "--ceiling"),
        (["--calibrate", "digits", "--answer", "membrane"], "fires"),
        (["--calibrate", "digits", "--mean", "0.1", "0.2"], "means"),
        (["--calibrate", "digits", "--deviation", "0"], "deviations above 0"),
        (["--calibrate", "digits", "--tolerance", "2"], "--tolerance"),
        (["--calibrate", "digits", "--samples", "0"], "--samples"),
        (["--calibrate", "random", "--fine-tune", "1"], "--data"),
        (["--calibrate", "digits", "--out", "/nowhere/model.pt"], "/nowhere"),
        (["--calibrate", "digits", "--out", "model.json"], "the record's"),
    ],
)
def test_errors_are_one_line(options, message, file, tmp_path, fails):
    out = tmp_path / "model.pt"
    assert message in fails(main, *words(file, out), *options)
    assert not out.exists()
    assert not out.with_suffix(".json").exists()


def test_files_that_are_not_there_or_are_damaged(file, tmp_path, fails):
    out = tmp_path / "model.pt"
    options = ["--calibrate", "digits"]
    assert "missing.nir" in fails(main, *words(tmp_path / "missing.nir", out), *options)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    assert "damaged" in fails(main, *words(file, out), *options)
    nir.write(file, network(bias=float("nan")))
    assert "fc1" in fails(main, *words(file, out), *options)
    nir.write(file, network(threshold=-1.0))
    assert "lif1" in fails(main, *words(file, out), *options)
    nir.write(file, network())
    assert "--dt" in fails(main, "--from", file, "--reset", "soft", "--timesteps", 4, "--out", out, *options)
