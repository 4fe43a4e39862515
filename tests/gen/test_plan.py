"""The command line python -m gen.plan."""

import json

import numpy as np
import pytest

from gen import build, plan
from hw.configure import configure
from qblif import golden
from tests.networks import engine_of, random_bursts, random_convolutions, random_plan


def test_table_front_picture_and_figures(digits_checkpoint, tmp_path, capsys):
    picture, figures, saved = tmp_path / "front.png", tmp_path / "plan.out.json", tmp_path / "plan.json"
    arguments = ["--board", "arty_a7", "--ckpt", str(digits_checkpoint), "--target-fps", "300000"]
    outputs = ["--picture", str(picture), "--json", str(figures), "--save", str(saved)]
    assert plan.main([*arguments, *outputs]) == 0
    output = capsys.readouterr().out
    assert "hidden_0" in output
    assert "bottleneck" in output
    assert "Alternatives" in output
    assert picture.read_bytes().startswith(b"\x89PNG")
    content = json.loads(figures.read_text())
    assert content["cycles_expected"] <= 100e6 / 300_000
    assert [row["name"] for row in content["layers"]] == ["hidden_0", "readout", "host link", "self-test"]
    for key in ("lut", "ff", "bram"):
        assert sum(row[key] for row in content["layers"]) == pytest.approx(content["total"][key])
    out = tmp_path / "built"
    plan_option = ["--board", "arty_a7", "--ckpt", str(digits_checkpoint), "--plan", str(saved)]
    assert build.main([*plan_option, "--until", "rtl", "--out", str(out)]) == 0
    assert json.loads((out / "report.json").read_text())["plan_sha256"] == content["plan_sha256"]


def test_exact_cycles_of_real_data(digits_checkpoint, tmp_path, capsys):
    figures = tmp_path / "figures.json"
    arguments = ["--board", "arty_a7", "--ckpt", str(digits_checkpoint), "--data", "digits", "--count", "30"]
    assert plan.main([*arguments, "--json", str(figures)]) == 0
    assert "exact, 30 images" in capsys.readouterr().out
    content = json.loads(figures.read_text())
    assert content["cycles_exact_mean"] == pytest.approx(content["cycles_expected"], rel=0.5)
    assert all(0 < row["busy"] <= 1 for row in content["layers"] if "lanes" in row)


@pytest.mark.parametrize("board", ["icebreaker", "ulx3s_12f", "upduino_v3"])
def test_the_rows_of_every_table_add_up(board, digits_checkpoint, tmp_path, capsys):
    arguments = ["--board", board, "--ckpt", str(digits_checkpoint), "--target-fps", "5000"]
    assert plan.main(arguments) == 0
    table = capsys.readouterr().out.partition("Alternatives")[0]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]
    assert build.main([*arguments, "--until", "network", "--out", str(tmp_path / "out")]) == 0
    page = capsys.readouterr().out.partition("| estimated |")[2]
    listed = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()[2:] if line.count("|") > 2]
    around = ["self-test"] if board == "upduino_v3" else ["host link", "self-test"]
    for found, columns in ((rows, slice(8, -1)), (listed, slice(1, None))):
        assert [row[0] for row in found] == ["hidden_0", "readout", *around, "total"]
        numbers = [[float(cell) for cell in row[columns]] for row in found]
        assert len(numbers[0]) == (3 if board == "ulx3s_12f" else 4)
        for *parts, total in zip(*numbers, strict=True):
            assert sum(parts) == pytest.approx(total)
            assert parts[-1] > 0


def test_user_errors(digits_checkpoint, tmp_path, fails):
    known = ("--board", "arty_a7", "--ckpt", digits_checkpoint)
    assert "--ckpt" in fails(plan.main, "--board", "arty_a7")
    assert "--target-fps" in fails(plan.main, *known, "--target-fps", "-1")
    assert "--target-fps" in fails(plan.main, *known, "--target-fps", "1e11")
    assert "--picture" in fails(plan.main, *known, "--picture", tmp_path / "front.txt")
    assert "nowhere" in fails(plan.main, *known, "--json", tmp_path / "nowhere" / "plan.json")
    assert "--count" in fails(plan.main, *known, "--data", "digits", "--count", 1)
    assert "imagenet" in fails(plan.main, *known, "--data", "imagenet")
    saved = tmp_path / "plan.json"
    assert plan.main([str(word) for word in (*known, "--save", saved)]) == 0


@pytest.mark.parametrize("seed", range(12))
def test_accumulates_are_those_of_the_golden_model(seed):
    network = random_convolutions(seed)
    config = configure(network, random_plan(network, seed))
    bursts = golden.run(network, random_bursts(network, 2, seed)).bursts
    for layer in config.layers:
        projection = next(p for p in network.projections_into(layer.name) if hasattr(p, "weights"))
        engine = engine_of(layer)
        source = bursts[engine.source]
        ours = engine.accumulates(np.asarray(source))
        assert ours == golden.accumulates(projection, network, source)
