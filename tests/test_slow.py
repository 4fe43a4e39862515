"""What takes minutes: place and route of the big network, and long simulations. make test-slow."""

import json

import pytest

from gen import build
from sim import run
from studies import demo
from tests.sim.test_run import needs_icarus

pytestmark = pytest.mark.slow


def built(checkpoint, out, board: str, *options: str) -> dict:
    """The report of a build that must succeed, and fit without a DSP."""
    assert build.main(["--board", board, "--ckpt", str(checkpoint), "--out", str(out), *options]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["resources"]["dsp"] == 0
    assert all(report["resources"][key] <= report["budget"][key] for key in report["budget"])
    return report


@pytest.mark.parametrize(
    ("network", "board", "fps"),
    [("fashion_mnist_mlp", "ulx3s_85f", "100000"), ("fashion_mnist_cnn", "ulx3s_45f", "5200")],
)
def test_to_a_bitstream_on_a_ulx3s(network, board, fps, zoo, tmp_path):
    out = tmp_path / board
    report = built(zoo / f"{network}.pt", out, board, "--target-fps", fps)
    assert report["fmax_mhz"] >= report["clock_mhz"] >= 80
    assert (out / report["bitstream"]).is_file()


@pytest.mark.parametrize(
    ("network", "options", "luts"),
    [
        ("mnist_mlp75", ("--target-fps", "680000"), 4000),
        ("mnist_mlp128", ("--target-fps", "680000"), 6000),
        ("fashion_mnist_cnn", ("--target-fps", "4160"), 20_800),
    ],
)
def test_fits_an_arty(network, options, luts, zoo, tmp_path):
    report = built(zoo / f"{network}.pt", tmp_path / "arty", "arty_a7", *options, "--until", "synth")
    assert report["resources"]["lut"] <= luts
    estimated, used = report["estimated"], report["resources"]
    assert all(abs(estimated[key] / used[key] - 1) <= 0.15 for key in ("lut", "ff"))
    assert estimated["bram"] == used["bram"]


@pytest.mark.parametrize(
    ("network", "data", "options", "count"),
    [
        ("fashion_mnist_cnn", "fashion_mnist", ("--board", "ulx3s_45f", "--target-fps", "5200"), 50),
        ("digits_resnet", "digits", ("--target-fps", "20000"), 60),
    ],
)
def test_convolutional_networks_every_beat(network, data, options, count, zoo, tmp_path):
    path = tmp_path / "run.json"
    arguments = ["--ckpt", str(zoo / f"{network}.pt"), "--data", data, "--count", str(count), *options]
    assert run.main([*arguments, "--work-dir", str(tmp_path), "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert report["mismatches"] == 0
    assert report["prediction_exact"]


@pytest.mark.parametrize(
    ("simulator", "count"), [("verilator", 200), pytest.param("icarus", 5, marks=[needs_icarus, pytest.mark.icarus])]
)
def test_fashion_mnist_every_beat(fashion_checkpoint, tmp_path, simulator, count):
    path = tmp_path / "run.json"
    arguments = ["--ckpt", str(fashion_checkpoint), "--data", "fashion_mnist", "--count", str(count)]
    arguments += ["--target-fps", "100000"]
    assert run.main([*arguments, "--simulator", simulator, "--work-dir", str(tmp_path), "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert report["mismatches"] == 0
    assert report["prediction_exact"]
    assert report["cycles_mean"] <= 1000


def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert demo.main(["--count", "20"]) == 0
    output = capsys.readouterr().out
    assert "top.bit" in output
    assert "0 mismatches on 20 images" in output
