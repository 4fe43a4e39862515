"""Whole networks in a Verilog simulator, through cocotb, against the golden model."""

import dataclasses
import json
import multiprocessing
import re
from pathlib import Path

import numpy as np
import pytest

from boards.tools import find_tool
from gen.design import make_design
from gen.planning.cycles import predict
from hw.configure import configure
from hw.top import flows
from qblif import golden
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Pooling, Readout
from qblif.network.projections import Dense
from qblif.streams import BurstStream
from sim import inferences, run, verification
from sim.coverage import flow_points, recorded
from sim.inferences import FULL_SPEED, Mode, cycle_limit, prepare, simulate
from sim.simulator import BENCHES, build_simulation
from sim.spans import HELD_BACK, MOVING, STARVED, read_spans, spans_path
from sim.timeline import timeline
from snn.datasets.data import load
from studies.plan_edits import plan_for
from tests.networks import population_at, random_bursts, random_convolutions, random_plan, weighted_at

ROUNDS = 10
needs_icarus = pytest.mark.skipif(
    find_tool("iverilog") is None, reason="Icarus Verilog is not installed and no Debian package gives it (make icarus)"
)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory) -> Path:
    """A path with blanks, as a user's may be, though make takes none."""
    return tmp_path_factory.mktemp("sim of tests")


def test_digits_on_verilator(digits_checkpoint, work_dir, tmp_path, capsys):
    path = tmp_path / "run.json"
    arguments = ["--ckpt", str(digits_checkpoint), "--data", "digits", "--count", "40", "--json", str(path)]
    page = tmp_path / "run.html"
    assert run.main([*arguments, "--board", "icebreaker", "--work-dir", str(work_dir), "--html", str(page)]) == 0
    report = json.loads(path.read_text())
    found = np.array(report["confusion"])
    assert found.sum() == 40
    assert found.trace() / 40 == report["accuracy_rtl"]
    assert found.sum(axis=1).tolist() == np.bincount(load("digits", "test", None, 4).first(40).labels).tolist()
    assert "3 inferences, at full speed" in page.read_text()
    assert report["mismatches"] == 0
    assert set(report["runs"]) == {"references", "full speed", "random stalls", "one by one"}
    assert report["accuracy_rtl"] == report["accuracy_golden"]
    assert 0 < report["cycles_mean"] <= report["cycles_max"]
    assert report["cycles_mean"] < report["latency_mean"]
    assert report["plan_sha256"] == make_design(digits_checkpoint, "icebreaker").plan.sha256
    assert "0 mismatches" in capsys.readouterr().out


def test_spans_add_up_to_the_counters(digits_checkpoint, work_dir):
    design = make_design(digits_checkpoint, "icebreaker")
    batch = prepare(design, load("digits", "test", None, 4).first(6))
    simulation = build_simulation(design.config, "verilator", work_dir, waves=False)
    mode = Mode(name="spans", source_gap=60, sink_gap=60, spans=True)
    with simulation.run_folder() as folder:
        outcome = simulate(design.config, simulation, batch, mode, folder)
        for worker, cycles in outcome.worked.items():
            assert (read_spans(spans_path(outcome.folder, f"working_{worker}")) == 1).sum() == cycles
        for flow in flows(design.config):
            states = read_spans(spans_path(outcome.folder, f"flow_{flow}"))
            counted = [int(count) for count in (outcome.folder / f"flow_{flow}.log").read_text().split()]
            assert [(states == state).sum() for state in (MOVING, HELD_BACK, STARVED)] == counted
        line = timeline(design.config, design.network, outcome)
    for stage, row in zip(design.config.stages, line["stages"], strict=True):
        assert len(row["works"]) == len(row["held_back"]) == len(line["stages"][0]["works"])
        if stage.output is not None:
            bursts = batch.golden.bursts[stage.name].numpy()
            assert row["raster"]["fired"] == (bursts > 0).sum()
            assert row["raster"]["sent"] == bursts.size
            silent = (bursts == 0).all(axis=(0, 1, 3, 4))
            rows = [set(one) <= {"0", "."} for one in row["raster"]["lines"]]
            assert rows == silent.tolist()


@needs_icarus
@pytest.mark.icarus
def test_digits_on_icarus(digits_checkpoint, work_dir, tmp_path):
    path = tmp_path / "run.json"
    arguments = ["--ckpt", str(digits_checkpoint), "--data", "digits", "--count", "5", "--simulator", "icarus"]
    assert run.main([*arguments, "--work-dir", str(work_dir), "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert (report["mismatches"], report["simulator"]) == (0, "icarus")


def neuron_named(mismatch: str, stream: BurstStream) -> int:
    """The neuron that a mismatch of bursts or membranes names."""
    named = {axis: int(index) for axis, index in re.findall(r"(neuron|fold|[^,:]*beat) (\d+)", mismatch)}
    if "neuron" in named:
        return named["neuron"]
    return (named["fold"] * stream.beats + named[" beat"]) * stream.group + named[" channel of the beat"]


@pytest.mark.parametrize("bench", BENCHES.values())
def test_a_single_wrong_number_is_found_and_named(bench, digits_checkpoint, work_dir):
    """The hardware is built of one network and compared with another that differs in one bias, or one weight."""
    design = make_design(digits_checkpoint, "icebreaker")
    simulation = build_simulation(design.config, "verilator", work_dir, waves=False, bench=bench)
    images = load("digits", "test").first(12)
    population = population_at(design.network, 0)
    bias = population.bias.copy()
    bias[7] += 1
    wrong_bias = dataclasses.replace(design.network, nodes=(dataclasses.replace(population, bias=bias),))
    projection = weighted_at(design.network, 1)
    weights = projection.weights.copy()
    weights[2, 5] ^= 1
    projection = dataclasses.replace(projection, weights=weights)
    wrong_weight = dataclasses.replace(design.network, projections=(design.network.projections[0], projection))

    other = dataclasses.replace(design, network=wrong_bias)
    comparison = simulate(design.config, simulation, prepare(other, images), FULL_SPEED).comparison
    assert comparison.mismatches >= 12
    assert "hidden_0" in comparison.first
    assert neuron_named(comparison.first, design.config.stream("hidden_0")) == 7

    other = dataclasses.replace(design, network=wrong_weight)
    comparison = simulate(design.config, simulation, prepare(other, images), FULL_SPEED).comparison
    assert comparison.mismatches > 0
    assert "class 2" in comparison.first


@pytest.mark.parametrize("bench", BENCHES)
def test_a_mismatch_ends_in_exit_code_1_and_a_waveform(bench, digits_checkpoint, work_dir, monkeypatch, capsys):
    right = verification.prepare

    def wrong(design, images):
        inferences = right(design, images)
        inferences.golden.logits[1, 3] += 1
        return inferences

    monkeypatch.setattr(verification, "prepare", wrong)
    arguments = ["--ckpt", str(digits_checkpoint), "--data", "digits", "--count", "3", "--work-dir", str(work_dir)]
    assert run.main([*arguments, "--board", "icebreaker", "--bench", bench]) == 1
    errors = capsys.readouterr().err
    assert "inference 1, class 3" in errors
    waveform = Path(errors.rsplit("waveform: ", 1)[1].strip())
    assert waveform.suffix in (".vcd", ".fst")
    assert waveform.stat().st_size > 10_000


@pytest.mark.parametrize("bench", BENCHES)
def test_a_hang_ends_in_exit_code_1_and_a_waveform(bench, digits_checkpoint, work_dir, monkeypatch, capsys):
    monkeypatch.setattr(inferences, "cycle_limit", lambda *_: 50)
    arguments = ["--ckpt", str(digits_checkpoint), "--data", "digits", "--count", "3", "--work-dir", str(work_dir)]
    assert run.main([*arguments, "--board", "icebreaker", "--bench", bench]) == 1
    errors = capsys.readouterr().err
    assert "hung" in errors
    assert Path(errors.rsplit("waveform: ", 1)[1].strip()).suffix in (".vcd", ".fst")


def test_user_errors(digits_checkpoint, fashion_checkpoint, tmp_path, fails):
    assert "--count" in fails(run.main, "--ckpt", digits_checkpoint, "--data", "digits", "--count", "0")
    assert "(1, 8, 8)" in fails(run.main, "--ckpt", fashion_checkpoint, "--data", "digits")
    assert "plan.json" in fails(
        run.main, "--ckpt", digits_checkpoint, "--data", "digits", "--plan", tmp_path / "plan.json"
    )


@pytest.mark.parametrize("seed", range(30))
def test_no_network_is_taken_for_one_that_hangs(seed):
    network = random_convolutions(seed)
    config = configure(network, random_plan(network, seed))
    bursts = random_bursts(network, 3, seed, density=1.0)
    known = {name: values.numpy() for name, values in golden.run(network, bursts).bursts.items()}
    assert 2 * int(predict(config, known).finished[-1]) < cycle_limit(config, 3)


def test_a_pooling_alone_may_take_all_the_time():
    network = Network(
        timesteps=1,
        input=InputSpec(shape=(1, 56, 56), coding="direct", bits=1),
        nodes=(Pooling(name="pool", source="input", kind="max", kernel=28),),
        projections=(Dense(source="pool", target="readout", weights=np.ones((2, 4), dtype=np.int64), weight_bits=2),),
        readout=Readout(fraction_bits=4, bias=np.zeros(2, dtype=np.int64), exponent=np.zeros(2, dtype=np.int64)),
    )
    config = configure(network, plan_for(network))
    known = {name: values.numpy() for name, values in golden.run(network, random_bursts(network, 9)).bursts.items()}
    assert int(predict(config, known).finished[-1]) < cycle_limit(config, 9)


def test_what_is_recorded_for_coverage(digits_checkpoint, work_dir):
    """Bursts, membranes, logits as golden computes them, and every beat counted in the stream that it went through."""
    design = make_design(digits_checkpoint, "icebreaker")
    simulation = build_simulation(design.config, "verilator", work_dir, waves=False)
    known = prepare(design, load("digits", "test").first(6))
    waiting = Mode(name="waiting", source_gap=100, sink_wait=5000)
    outcome = simulate(design.config, simulation, known, waiting)
    seen = recorded(design.config, design.network, known.bursts, outcome.folder)
    assert all((seen.bursts[name] == values).all() for name, values in known.golden.bursts.items())
    assert all((seen.membranes[name] == values).all() for name, values in known.golden.membranes.items())
    assert (seen.logits == known.golden.logits).all()
    points = {point.place: point.counts for point in flow_points(design.config, outcome.folder)}
    classes, beats = len(design.network.readout.bias), design.config.input.beats_per_inference
    assert points["results"]["moved"] == 6 * classes
    assert points["bursts"]["moved"] == points["arriving_hidden_0"]["moved"] == 6 * beats
    assert outcome.comparison.class_cycles[0] > 4990
    assert points["results"]["held back"] > 4000
    assert points["bursts"]["starved"] > 0


def simulate_again_and_again(design_of_board: str, checkpoint: Path, folder: Path, first: int) -> None:
    """Build a simulation in ``folder`` and run it ten times on images of one's own; raises when a beat is wrong."""
    design = make_design(checkpoint, design_of_board)
    simulation = build_simulation(design.config, "verilator", folder, waves=False)
    for index in range(ROUNDS):
        images = load("digits", "test").range(first + 2 * index, first + 2 * index + 2)
        with simulation.run_folder() as runs:
            outcome = simulate(design.config, simulation, prepare(design, images), FULL_SPEED, runs)
        assert outcome.comparison.mismatches == 0, outcome.comparison.first


@pytest.mark.slow
def test_two_simulations_at_one_place_never_mix(digits_checkpoint, tmp_path):
    """Both build the same one, and run it at the same time."""
    arguments = [("icebreaker", digits_checkpoint, tmp_path, first) for first in (0, 100)]
    both = [multiprocessing.get_context("spawn").Process(target=simulate_again_and_again, args=a) for a in arguments]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    (simulation,) = tmp_path.iterdir()
    assert not list(simulation.glob("run-*"))
