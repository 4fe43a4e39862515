"""Builds that are replaced while others read or write them."""

import dataclasses
import json
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boards.catalogue import find_board
from gen import building, built
from gen.built import built_hardware, one_build
from gen.emit.rtl import network_verilog
from gen.reported import REPORT
from gen.targets import board
from hw.plan import load_plan
from qblif.errors import UserError
from qblif.network.file import load_network, network_sha256, save_network
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain
from tests.gen.emit.test_patch import design_of

PROCESSES = multiprocessing.get_context("spawn")
ROUNDS = 10
FILES = ("network.safetensors", "plan.json", "network.v")


def build_again_and_again(seed: int, out: Path, checkpoint: Path) -> None:
    """Build one network at ``out``, ten times; its Verilog is written ten times, and made once."""
    network = dense_chain(seed)
    design = design_of(network, "icebreaker", plan_for(network, "icebreaker"), checkpoint)
    text = network_verilog(design.config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board, "network_verilog", lambda _: text)
        for _ in range(ROUNDS):
            building.run_build(design, out, "rtl")


def check_one(folder: Path) -> str:
    """Raise AssertionError unless every file of a build is of one network; returns that network's hash."""
    report = json.loads((folder / REPORT).read_text())
    network, references = load_network(folder / "network.safetensors")
    assert network_sha256(network, references) == report["network_sha256"]
    plan = load_plan(folder / "plan.json")
    assert plan.network_sha256 == report["network_sha256"]
    assert plan.sha256 == report["plan_sha256"]
    return report["network_sha256"]


def test_two_builds_at_one_place_never_mix_and_are_read_whole(digits_checkpoint, tmp_path):
    out = tmp_path / "out"
    writers = [PROCESSES.Process(target=build_again_and_again, args=(n, out, digits_checkpoint)) for n in (1, 2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        time.sleep(0.02)
        if (out / REPORT).is_file():
            with one_build(out, FILES) as copy:
                seen.add(check_one(copy))
                built_hardware(copy)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert check_one(out) in seen
    assert len(seen) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_two_commands_at_one_place(digits_checkpoint, tmp_path):
    """Different boards, so that each file tells whose it is."""
    out, boards = tmp_path / "out", ("ulx3s_12f", "icebreaker")
    command = [sys.executable, "-m", "gen.build", "--ckpt", str(digits_checkpoint), "--until", "rtl", "--out", str(out)]
    for _ in range(ROUNDS):
        both = [subprocess.Popen([*command, "--board", board], stdout=subprocess.DEVNULL) for board in boards]
        assert [one.wait() for one in both] == [0, 0]
        check_one(out)
        assert load_plan(out / "plan.json").board == json.loads((out / REPORT).read_text())["board"]


@pytest.fixture
def built_folder(digits_checkpoint, tmp_path):
    network = dense_chain(1)
    design = design_of(network, "icebreaker", plan_for(network, "icebreaker"), digits_checkpoint)
    building.run_build(design, tmp_path / "out", "rtl")
    return tmp_path / "out"


def test_a_build_that_is_replaced_meanwhile_is_noticed(built_folder, monkeypatch):
    copyfile, copies = built.shutil.copyfile, []

    def replaced(source: Path, target: Path) -> None:
        copies.append(source)
        if len(copies) == 2:
            report = json.loads((built_folder / REPORT).read_text())
            (built_folder / REPORT).write_text(json.dumps(report | {"cycles_expected": 1.0}))
        copyfile(source, target)

    monkeypatch.setattr(built.shutil, "copyfile", replaced)
    with one_build(built_folder, FILES) as copy:
        assert json.loads((copy / REPORT).read_text())["cycles_expected"] == 1.0
    assert len(copies) == 2 * len(FILES)

    def always(source: Path, target: Path) -> None:
        (built_folder / REPORT).write_text(json.dumps({"copy": len(copies)}))
        replaced(source, target)

    monkeypatch.setattr(built.shutil, "copyfile", always)
    with pytest.raises(UserError, match="is being replaced by another build"), one_build(built_folder, FILES):
        pass


def test_files_of_two_builds_are_refused(built_folder):
    plan, report = built_folder / "plan.json", json.loads((built_folder / REPORT).read_text())
    assert built_hardware(built_folder).board == find_board("icebreaker")
    network, references = load_network(built_folder / "network.safetensors")
    save_network(built_folder / "network.safetensors", dataclasses.replace(network, timesteps=5), references)
    with pytest.raises(UserError, match="another network than report"):
        built_hardware(built_folder)
    save_network(built_folder / "network.safetensors", network, references)
    plan.write_text(dataclasses.replace(load_plan(plan), clock_mhz=13.0).to_json())
    with pytest.raises(UserError, match="another plan than report"):
        built_hardware(built_folder)
    for content in ("{}", "[]", "no JSON", json.dumps({**report, "plan_sha256": None})):
        (built_folder / REPORT).write_text(content)
        with pytest.raises(UserError), one_build(built_folder, FILES) as copy:
            built_hardware(copy)
    (built_folder / REPORT).unlink()
    with pytest.raises(UserError, match="not a build folder"), one_build(built_folder, FILES):
        pass


@pytest.mark.parametrize("change", [{"clock_mhz": 999.9}, {"board": "ulx3s_85f"}, {"files": None}, {"files": {}}])
def test_an_edited_report_is_refused(change, built_folder):
    report = json.loads((built_folder / REPORT).read_text())
    for key, value in change.items():
        if value is None:
            del report[key]
        else:
            report[key] = value
    (built_folder / REPORT).write_text(json.dumps(report))
    if change == {"files": {}}:
        (built_folder / "plan.json").write_text("another")
    with pytest.raises(UserError, match="build again"), one_build(built_folder, FILES):
        pass


def test_errors_name_the_build_and_not_its_copy(built_folder):
    with pytest.raises(UserError) as raised, one_build(built_folder, ("plan.json",)) as copy:
        load_network(copy / "network.safetensors")
    assert str(built_folder / "network.safetensors") in str(raised.value)
