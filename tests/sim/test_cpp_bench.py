"""The C++ bench against cocotb: the same logs, and faults of the hardware found where they are."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gen.design import make_design
from sim import run, simulator
from sim.inferences import FULL_SPEED, ONE_BY_ONE, STALLED, Mode, prepare, simulate
from sim.simulator import BENCHES, build_simulation
from snn.datasets.data import load

WAITING = Mode(name="waiting", source_gap=50, sink_gap=150, sink_wait=3000)
COUNT = 12
WRONG_BEAT = 37


@pytest.fixture(scope="module")
def design(digits_checkpoint):
    return make_design(digits_checkpoint, "icebreaker")


@pytest.fixture(scope="module")
def inferences(design):
    return prepare(design, load("digits", "test").first(COUNT))


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("simulations")


@pytest.mark.parametrize("mode", [FULL_SPEED, STALLED, ONE_BY_ONE, WAITING], ids=lambda mode: mode.name)
def test_cocotb_records_the_same(mode, design, inferences, work_dir):
    """Every byte of every log: beats, states and results with their cycles, and all counters."""
    built = build_simulation(design.config, "verilator", work_dir, waves=False)
    outcomes = [
        simulate(design.config, dataclasses.replace(built, bench=bench), inferences, mode) for bench in BENCHES.values()
    ]
    cocotb, cpp = (
        {path.name: path.read_bytes() for path in outcome.folder.glob("*.log") if path.name != "simulation.log"}
        for outcome in outcomes
    )
    assert len(cpp) > 10
    assert len(cpp["results.log"].splitlines()) == COUNT * len(design.network.readout.bias) + 1
    assert cocotb == cpp
    assert [outcome.comparison.mismatches for outcome in outcomes] == [0, 0]


def test_a_folder_below_the_current_one(design, inferences, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    built = build_simulation(design.config, "verilator", Path("below"), waves=False, bench=BENCHES["cpp"])
    assert simulate(design.config, built, inferences, FULL_SPEED).comparison.mismatches == 0


@pytest.mark.parametrize("bench", BENCHES.values())
def test_a_single_wrong_bit_of_a_beat_is_found(bench, design, inferences, work_dir, monkeypatch):
    right = simulator.testbench_verilog

    def wrong(config, *, taps):
        text = right(config, taps=taps)
        assert text.count(payload) == 1
        return text.replace(payload, f".payload(tap_hidden_0 ^ (tap_hidden_0_recorder.seen == {WRONG_BEAT}))")

    payload = ".payload(tap_hidden_0)"
    monkeypatch.setattr(simulator, "testbench_verilog", wrong)
    built = build_simulation(design.config, "verilator", work_dir, waves=False, bench=bench)
    found = simulate(design.config, built, inferences, FULL_SPEED).comparison
    stream = design.config.stream("hidden_0")
    inference, beat = divmod(WRONG_BEAT, stream.beats_per_inference)
    fold, step, part = np.unravel_index(beat, (stream.folds, stream.steps, stream.beats))
    place = f"inference {inference}, row 0, column 0, fold {fold}, timestep {step}, beat {part}, channel of the beat 0"
    burst = int(
        inferences.golden.bursts["hidden_0"][inference, step].flatten()[(fold * stream.beats + part) * stream.group]
    )
    assert (found.mismatches, found.first_inference) == (1, inference)
    assert found.first == f"bursts of hidden_0: {place}: expected {burst}, got {burst ^ 1}"


@pytest.mark.parametrize("options", [["--simulator", "icarus"], ["--waves"]])
def test_what_the_bench_cannot_do(options, digits_checkpoint, tmp_path, fails):
    words = ["--ckpt", digits_checkpoint, "--data", "digits", "--work-dir", tmp_path, "--bench", "cpp"]
    assert "--bench cocotb" in fails(run.main, *words, *options)
