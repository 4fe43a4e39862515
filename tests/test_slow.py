"""What takes minutes: place and route of the big network, and long simulations. make test-slow."""

import json

import pytest

from gen import build
from sim import run
from studies import demo
from tests.sim.test_run import needs_icarus

pytestmark = pytest.mark.slow


def test_fashion_mnist_on_a_ulx3s(fashion_checkpoint, tmp_path):
    out = tmp_path / "ulx3s"
    assert build.main(["--board", "ulx3s_85f", "--ckpt", str(fashion_checkpoint), "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["fmax_mhz"] >= report["clock_mhz"] >= 80
    assert report["resources"]["dsp"] == 0
    assert (out / report["bitstream"]).is_file()


def test_fashion_mnist_fits_an_arty(fashion_checkpoint, tmp_path):
    out = tmp_path / "arty"
    assert (
        build.main(["--board", "arty_a7", "--ckpt", str(fashion_checkpoint), "--out", str(out), "--until", "synth"])
        == 0
    )
    report = json.loads((out / "report.json").read_text())
    assert report["resources"]["dsp"] == 0
    assert all(report["resources"][key] <= report["budget"][key] for key in report["budget"])


@pytest.mark.parametrize(
    ("simulator", "count"), [("verilator", 200), pytest.param("icarus", 5, marks=[needs_icarus, pytest.mark.icarus])]
)
def test_fashion_mnist_every_beat(fashion_checkpoint, tmp_path, simulator, count):
    path = tmp_path / "run.json"
    arguments = ["--ckpt", str(fashion_checkpoint), "--data", "fashion_mnist", "--count", str(count)]
    assert run.main([*arguments, "--simulator", simulator, "--work-dir", str(tmp_path), "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert report["mismatches"] == 0
    if count >= 200:
        assert report["cycles_mean"] <= 900
        assert report["lanes_busy"]["hidden_0"] >= 0.85


def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert demo.main(["--count", "20"]) == 0
    output = capsys.readouterr().out
    assert "top.bit" in output
    assert "0 mismatches on 20 images" in output
