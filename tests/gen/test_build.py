import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boards.board import Resources
from boards.families.ice40 import UP5K
from gen import build
from gen.fit import over_budget
from hw.plan import load_plan
from qblif.network.file import load_network
from qblif.progress import REPORTER

KEYS = {
    "board", "part", "clock_mhz", "fmax_mhz", "resources", "budget", "layers", "plan_sha256", "cycles_expected",
    "accuracy", "tools", "checkpoint_sha256", "network_sha256", "bitstream", "missing_tools",
}  # fmt: skip


def test_until_rtl(digits_checkpoint, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    assert (
        build.main(["--board", "ulx3s_12f", "--ckpt", str(digits_checkpoint), "--out", str(out), "--until", "rtl"]) == 0
    )
    report = json.loads((out / "report.json").read_text())
    assert set(report) >= KEYS
    assert report["plan_sha256"] == load_plan(out / "plan.json").sha256
    assert report["bitstream"] is None
    assert [(row["inputs"], row["channels"]) for row in report["layers"] if "lanes" in row] == [(64, 32), (32, 10)]
    network, references = load_network(out / "network.safetensors")
    assert len(references.logits) == 16
    assert "module network(" in (out / "network.v").read_text()
    assert "ulx3s_12f" in (out / "report.md").read_text()
    assert network.timesteps == 4

    monkeypatch.setattr(REPORTER, "slow_seconds", 0.0)
    capsys.readouterr()
    again = tmp_path / "again"
    arguments = ["--board", "ulx3s_12f", "--ckpt", str(digits_checkpoint), "--out", str(again), "--until", "rtl"]
    assert build.main([*arguments, "--plan", str(out / "plan.json")]) == 0
    output = capsys.readouterr()
    assert output.out.rstrip() == (again / "report.md").read_text().rstrip()
    steps = [line.rsplit(",", 1)[0] for line in output.err.splitlines() if re.fullmatch(r".*, \d+ s", line)]
    assert steps == ["plan", "ulx3s_12f: integer network", "ulx3s_12f: plan and Verilog"]
    for name in ("network.v", "network.safetensors", "plan.json", "report.json"):
        assert (out / name).read_bytes() == (again / name).read_bytes(), name


@pytest.mark.parametrize("until", ["rtl", pytest.param("synth", marks=pytest.mark.slow)])
def test_the_files_are_a_function_of_the_checkpoint_alone(until, zoo, tmp_path):
    """Two processes whose sets are in another order write the same bytes, down to the netlist's."""
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "gen.build", "--board", "ulx3s_12f", "--until", until]
        command += ["--ckpt", str(zoo / "digits_mlp.pt"), "--out", str(tmp_path / seed)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
    files = {path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*") if path.is_file()}
    assert files == {path.relative_to(tmp_path / "2") for path in (tmp_path / "2").rglob("*") if path.is_file()}
    assert {Path("network.v"), Path("plan.json"), Path("report.json")} <= files
    assert (Path("top.json") in files) == (until == "synth")
    differing = [file for file in files if (tmp_path / "1" / file).read_bytes() != (tmp_path / "2" / file).read_bytes()]
    assert not [file for file in differing if file.suffix != ".log"]


@pytest.mark.slow
def test_the_command_that_a_user_types_first(fashion_checkpoint, tmp_path):
    """Board and checkpoint alone: once 33,000 LUTs, fifteen minutes, and a clock that was missed."""
    out = tmp_path / "out"
    assert build.main(["--board", "ulx3s_85f", "--ckpt", str(fashion_checkpoint), "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["fmax_mhz"] >= report["clock_mhz"] == 80
    assert (out / report["bitstream"]).is_file()


@pytest.mark.slow
def test_digits_on_an_icebreaker_to_the_bitstream(digits_checkpoint, tmp_path):
    out = tmp_path / "icebreaker"
    arguments = ["--board", "icebreaker", "--ckpt", str(digits_checkpoint), "--target-fps", "20000", "--out", str(out)]
    assert build.main(arguments) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["fmax_mhz"] >= report["clock_mhz"]
    assert report["resources"]["dsp"] == 0
    placed = re.findall(r"ICESTORM_LC: +(\d+)/", (out / "nextpnr.log").read_text())
    used = report["resources"]
    assert {str(used["cells"])} == set(placed)
    assert used["lut"] < used["cells"] < used["lut"] + used["ff"]
    assert report["estimated"]["cells"] == pytest.approx(used["cells"], rel=0.15)
    assert f"| logic cells | {used['cells']:g} |" in (out / "report.md").read_text()
    assert (out / report["bitstream"]).stat().st_size > 100_000
    in_block_ram = {one.name for one in load_plan(out / "plan.json").stages if one.tables().get("weights") == "block"}
    weights = [path.split(".")[2] for path in report["read_back"] if ".array.weights_" in path]
    assert in_block_ram == {projection.removesuffix("_projection") for projection in weights}
    assert "device.link.answerer.identity" in report["read_back"]
    assert in_block_ram.isdisjoint(report["not_read_back"])
    assert [path.name for path in tmp_path.iterdir()] == ["icebreaker"]


def test_a_float_checkpoint_is_rounded_and_says_so(tmp_path, capsys):
    from snn import train

    path, out = tmp_path / "float.pt", tmp_path / "out"
    quick = ["--data", "digits", "--hidden", "8", "--float-epochs", "2", "--qat-epochs", "0", "--batch", "64"]
    assert train.main([*quick, "--out", str(path)]) == 0
    arguments = ["--board", "ulx3s_12f", "--ckpt", str(path), "--out", str(out), "--until", "rtl"]
    assert build.main(arguments) == 0
    assert "rounded" in capsys.readouterr().err
    assert json.loads((out / "report.json").read_text())["rounded_from_floats"]


def test_user_errors(digits_checkpoint, fashion_checkpoint, tmp_path, fails):
    good = ["--ckpt", digits_checkpoint, "--until", "rtl"]
    assert "arty_z7000" in fails(build.main, "--board", "arty_z7000", *good)
    assert "--board" in fails(build.main, "--ckpt", digits_checkpoint)
    for clock in ("0", "-5", "nan", "5000"):
        assert "MHz" in fails(build.main, "--board", "ulx3s_85f", "--clock-mhz", clock, *good)
    line = fails(build.main, "--board", "icebreaker", "--ckpt", fashion_checkpoint, "--out", tmp_path / "big")
    assert "its weights are 406,528 bits, and all that the chip could keep them in holds 207,360; take" in line
    (tmp_path / "file").write_text("")
    assert "file" in fails(build.main, "--board", "ulx3s_12f", *good, "--out", tmp_path / "file" / "out")
    assert "file" in fails(build.main, "--board", "ulx3s_12f", *good, "--out", tmp_path / "file")


@pytest.mark.parametrize("out", [".", "", "x/..", "..", "../mine", "/"])
def test_a_folder_of_the_user_is_never_replaced(out, digits_checkpoint, tmp_path, fails, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    monkeypatch.chdir(mine)
    fails(build.main, "--board", "ulx3s_12f", "--ckpt", digits_checkpoint, "--until", "network", "--out", out)
    assert (mine / "thesis.tex").read_text() == "years of work"


def test_a_plan_cannot_narrow_what_was_proved(digits_checkpoint, tmp_path, fails, capsys):
    out = tmp_path / "out"
    arguments = ["--board", "ulx3s_12f", "--ckpt", digits_checkpoint, "--until", "network", "--out"]
    base = ["--board", "ulx3s_12f", "--ckpt", str(digits_checkpoint)]
    assert build.main([*base, "--until", "rtl", "--out", str(out)]) == 0
    capsys.readouterr()
    plan = json.loads((out / "plan.json").read_text())
    path = tmp_path / "plan.json"
    wide = dict.fromkeys(("bias", "current", "summed", "synaptic", "potential", "membrane"), 30) | {"exponent": 6}
    for change, expected in (
        (lambda stages: stages[0].update(widths={**wide, "accumulator": 5}), "width of accumulator must be at least"),
        (lambda stages: stages[0]["neurons"].update(cores=3), "do not divide each other"),
        (lambda stages: stages[0]["engines"][0].update(lanes=31), "do not divide each other"),
        (lambda stages: stages[0]["engines"][0].update(folds=7), "does not cover"),
        (lambda stages: stages[0]["engines"].append(stages[0]["engines"][0]), "2 engines"),
        (lambda stages: stages[1].update(neurons=stages[0]["neurons"]), "readout: 'neurons' is not known"),
        (lambda stages: stages.reverse(), "not those of this network"),
    ):
        changed = json.loads(json.dumps(plan))
        change(changed["stages"])
        path.write_text(json.dumps(changed))
        assert expected in fails(build.main, *arguments, tmp_path / "other", "--plan", path)
    line = fails(build.main, *arguments, tmp_path / "other", "--plan", out / "plan.json", "--clock-mhz", "50")
    assert "--clock-mhz" in line


def running_in(folder: Path) -> list[str]:
    """The processes whose current folder is inside ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
    return found


@pytest.mark.parametrize(("before", "number"), [(False, signal.SIGINT), (True, signal.SIGTERM)])
def test_interrupted_leaves_nothing_that_looks_finished(digits_checkpoint, tmp_path, before, number):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gen.build", "--board", "ulx3s_12f", "--ckpt", str(digits_checkpoint)]
    if before:
        subprocess.run([*command, "--out", str(out), "--until", "network"], check=True, capture_output=True)
        old = (out / "report.json").read_bytes()
    process = subprocess.Popen(
        [*command, "--out", str(out)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # The log exists before the tool that writes it runs.
    while not (list(tmp_path.glob("out.*.partial/yosys.log")) and running_in(tmp_path)):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert running_in(tmp_path) == []
    assert "Traceback" not in errors
    if before:
        assert (out / "report.json").read_bytes() == old
    else:
        assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if before else [])


def test_over_budget():
    budget = Resources(lut=100, ff=100, bram=4, dsp=2)
    assert over_budget(Resources(lut=100, ff=100, bram=4, dsp=2), budget) == {}
    assert over_budget(Resources(lut=130, ff=100, bram=4.5, dsp=0), budget) == {"lut": 30, "bram": 0.5}
    # What nextpnr-ice40 refused, after minutes, of a design that had "fitted" by its LUTs.
    assert over_budget(Resources(lut=4_257, ff=2_845, bram=20, dsp=0, cells=5_798), UP5K) == {"cells": 518}


def test_list_boards(capsys):
    assert build.main(["--list-boards"]) == 0
    output = capsys.readouterr().out
    assert "icebreaker" in output
