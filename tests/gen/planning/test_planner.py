import dataclasses
import json
import math

import pytest

from boards.catalogue import find_board
from gen.design import make_design
from gen.planning.activity import KnownActivity, expected_cycles
from gen.planning.candidates import evaluate_plan
from gen.planning.plans import alternatives, make_plan
from gen.planning.search import SHARE_OF_BOARD
from hw.configure import configure
from hw.plan import load_plan
from qblif.errors import UserError
from qblif.zoo import ZOO
from studies.plan_edits import altered, engine_plan, plan_for
from studies.random_networks import dense_chain
from tests.networks import engine_of, random_convolutions


def test_the_same_network_gets_the_same_plan():
    one, other = (plan_for(dense_chain(1)) for _ in range(2))
    assert one == other
    assert one.sha256 == other.sha256
    assert dataclasses.replace(one, clock_mhz=50.0).sha256 != one.sha256


@pytest.mark.parametrize("make", [dense_chain, random_convolutions])
def test_saved_and_loaded(tmp_path, make):
    plan = plan_for(make(8))
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    assert load_plan(path) == plan


def test_fields_that_came_later_are_written_only_where_they_say_something(tmp_path):
    plan, path = plan_for(dense_chain(1)), tmp_path / "plan.json"
    assert "classes_per_beat" not in plan.to_json()
    assert "lut_inputs" not in plan.to_json()
    changes = {"lanes": 5, "classes_per_beat": 5, "weight_memory": "logic", "lut_inputs": 6}
    wide = plan_for(dense_chain(1), readout=changes)
    path.write_text(wide.to_json())
    assert load_plan(path) == wide
    assert wide.to_json().count('"classes_per_beat": 5') == wide.to_json().count('"lut_inputs": 6') == 1


@pytest.mark.parametrize(
    ("changes", "schedule", "reason"),
    [
        ({"classes_per_beat": 2}, "position_major", "5 lanes and 5 classes cannot leave in beats of 2 classes"),
        ({"classes_per_beat": 5}, "time_major", "a time-major readout sends one class per beat"),
        ({"weight_memory": "logic", "lut_inputs": 5}, "position_major", "no chip has LUTs of 5 inputs"),
    ],
)
def test_plans_that_cannot_be_built_are_refused(changes, schedule, reason):
    network = dense_chain(1)
    plan = make_plan(network, find_board("arty_a7"), 100.0, "", {}, schedule=schedule)
    stages = [altered(one, lanes=5, folds=1, **changes) if one.name == "readout" else one for one in plan.stages]
    with pytest.raises(UserError, match=f"layer readout: {reason}"):
        configure(network, dataclasses.replace(plan, stages=tuple(stages)))


def test_an_objective_may_send_all_classes_at_once():
    network, board = dense_chain(1, sizes=(64, 20, 10), input_bits=1), find_board("arty_a7")
    plan = make_plan(network, board, 100.0, "", {}, objective="fps")
    found = evaluate_plan(network, board, plan, {})
    assert found.config.readout.classes_per_beat > 1
    assert found.slowest < 10


WIDTHS = ("bias", "exponent", "accumulator", "current", "potential", "membrane")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("stages"),
        lambda c: c.update(version=c["version"] - 1),
        lambda c: c.update(version=c["version"] + 1),
        lambda c: c.update(version=float(c["version"])),
        lambda c: c["stages"][0]["engines"][0].pop("lanes"),
        lambda c: c["stages"][0].update(colour="red"),
        lambda c: c["stages"][0]["engines"][0].update(colour="red"),
        lambda c: c["stages"][0]["engines"][0].update(lanes="many"),
        lambda c: c["stages"][0]["engines"][0].update(lanes=0),
        lambda c: c["stages"][0]["engines"][0].update(type="steam"),
        lambda c: c["stages"][0]["engines"][0].pop("type"),
        lambda c: c["stages"][0].update(engines=None),
        lambda c: c["stages"][0].update(engines=[]),
        lambda c: c["stages"][0].update(type="readout"),
        lambda c: c["stages"][0].update(type="oven"),
        lambda c: c["stages"][0].update(type=["population"]),
        lambda c: c["stages"][0].update(widths={"bias": 4}),
        lambda c: c["stages"][0].update(widths=dict.fromkeys(WIDTHS, 63)),
        lambda c: c["stages"][0].update(widths=dict.fromkeys(WIDTHS, 0)),
        lambda c: c["stages"][0].update(widths=dict.fromkeys(WIDTHS, 8.0)),
        lambda c: c.update(input_group=-1),
        lambda c: c["stages"].append({"type": "pooling", "name": "pool", "memory": "paper"}),
        lambda c: c["stages"].append({"type": "pooling", "name": "pool", "memory": "logic"}),
        lambda c: c.update(clock_mhz=True),
        lambda c: c.update(clock_mhz=float("nan")),
        lambda c: c.update(board=None),
        lambda c: c.update(stages=c["stages"] * 20_000),
        lambda c: c.update(stages={}),
        lambda c: c["stages"][0]["engines"][0].update(lanes=True),
        lambda c: c["stages"][0]["engines"][0].update(lanes=8.0),
        lambda c: c["stages"][0]["engines"][0].update(lanes=10**4000),
        lambda c: c["stages"][0].update(name=["hidden_0"]),
        lambda c: c["stages"][0]["engines"][0].update(weight_memory=["block"]),
        lambda c: c["stages"][0]["engines"][0].update(weight_memory="distributed"),
        lambda c: c["stages"][0]["neurons"].update(membrane_memory="logic"),
    ],
)
def test_damaged_plans_are_refused(tmp_path, change):
    content = json.loads(plan_for(dense_chain(1)).to_json())
    change(content)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"plan\.json"):
        load_plan(path)


@pytest.mark.parametrize("text", ["[" * 10**5, "1e999", '{"version": 3, "version": 3}', "\ud800", "null", "[]"])
def test_what_is_not_a_plan_is_refused(text, tmp_path):
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"plan\.json"):
        load_plan(path)


@pytest.mark.parametrize("neurons", [1, 3, 7, 10, 31, 75, 127, 128])
def test_lanes_cover_the_neurons_with_few_to_spare(neurons):
    network = dense_chain(1, sizes=(20, neurons, 10))
    plan = plan_for(network)
    layer = engine_plan(plan.stage("hidden_0"))
    assert neurons <= layer.lanes * layer.folds < neurons + 4 * layer.folds
    configure(network, plan)


def test_without_a_wanted_rate_the_plan_stays_in_its_share_of_the_board():
    network = dense_chain(1, sizes=(64, 200, 10))
    slow = None
    for name in ("icebreaker", "ulx3s_12f", "ulx3s_85f"):
        board = find_board(name)
        plan = make_plan(network, board, 24.0, "", {})
        found = evaluate_plan(network, board, plan, {})
        assert not found.excess(board, SHARE_OF_BOARD)
        assert slow is None or found.slowest <= slow
        slow = found.slowest


def test_without_a_wanted_rate_the_plan_is_easy_to_route():
    board = find_board("ulx3s_85f")
    network = dense_chain(1, sizes=(300, 200, 10))
    found = evaluate_plan(network, board, make_plan(network, board, 80.0, "", {}), {})
    assert 0.7 * board.family.easy_luts < found.total("lut") <= board.family.easy_luts
    faster = evaluate_plan(network, board, make_plan(network, board, 80.0, "", {}, 80e6 / found.slowest * 1.1), {})
    assert faster.total("lut") > board.family.easy_luts
    assert not faster.excess(board, SHARE_OF_BOARD)


def test_a_network_that_is_never_easy_to_route_has_a_plan(monkeypatch):
    monkeypatch.setattr("boards.families.nextpnr.NextpnrFamily.easy_luts", 100)
    board, network = find_board("ulx3s_85f"), dense_chain(1, sizes=(20, 10, 4))
    found = evaluate_plan(network, board, make_plan(network, board, 80.0, "", {}), {})
    slowest = evaluate_plan(network, board, make_plan(network, board, 80.0, "", {}, 1.0), {})
    assert 100 < slowest.total("lut") <= found.total("lut") <= 1.5 * slowest.total("lut")
    assert found.slowest < slowest.slowest / 2


@pytest.mark.parametrize("fps", [1e4, 5e4, 2e5])
def test_a_wanted_rate_is_reached_by_a_smaller_design(fps):
    network, board = dense_chain(1, sizes=(100, 60, 10)), find_board("arty_a7")
    fastest = evaluate_plan(network, board, make_plan(network, board, 100.0, "", {}), {})
    wanted = evaluate_plan(network, board, make_plan(network, board, 100.0, "", {}, fps), {})
    assert wanted.slowest <= 100e6 / fps
    assert wanted.total("lut") < fastest.total("lut")


def test_a_rate_out_of_reach_names_the_layer():
    with pytest.raises(UserError, match=r"layer (hidden_0|readout) cannot .* --target-fps"):
        make_plan(dense_chain(1, sizes=(100, 60, 10)), find_board("arty_a7"), 100.0, "", {}, 9e7)


def cycles_of(network, config, activity):
    return expected_cycles(config, KnownActivity(network=network, activity=activity))


def test_expected_cycles_follow_the_activity():
    network = dense_chain(1, sizes=(64, 8, 4), timesteps=3)
    config = configure(network, plan_for(network, hidden_0={}, readout={}))
    quiet = cycles_of(network, config, {"input": [10.0], "hidden_0": [1.0, 1.0, 1.0]})
    busy = cycles_of(network, config, {"input": [100.0], "hidden_0": [8.0, 8.0, 8.0]})
    assert math.isclose(busy["hidden_0"].array, 100, rel_tol=0.1)
    assert quiet["hidden_0"].array < 70
    assert busy["readout"].array > quiet["readout"].array


@pytest.mark.parametrize("seed", range(8))
def test_alternatives_are_a_pareto_front(seed):
    network, board = random_convolutions(seed), find_board("arty_a7")
    front = alternatives(network, board, 100.0, "", {})
    measures = [(one.slowest, one.total("lut"), one.total("bram")) for one in front]
    for ours in measures:
        assert not any(theirs != ours and all(a <= b for a, b in zip(theirs, ours, strict=True)) for theirs in measures)
    for one in front:
        assert configure(network, one.plan).stages


@pytest.mark.parametrize("neurons", [9, 11, 17, 18, 99])
def test_every_network_gets_a_plan(neurons):
    network = dense_chain(1, sizes=(16, neurons, neurons, neurons, 9))
    board = find_board("icebreaker")
    roomy = dataclasses.replace(board, uart=None, budget=dataclasses.replace(board.budget, lut=3_000, bram=10_000))
    configure(network, make_plan(network, roomy, 24.0, "", {}))


def test_no_table_of_weights_is_deep_where_the_network_fits_without():
    """cifar10_cnn on a ULX3S-85F missed 80 MHz with tables of 9,216 words: 66.4 MHz."""
    board = find_board("ulx3s_85f")
    deepest = board.family.deepest_table
    for checkpoint in ("cifar10_cnn", "fashion_mnist_cnn252k"):
        design = make_design(ZOO / f"{checkpoint}.pt", board.name)
        layers = configure(design.network, design.plan).layers
        engines = [engine_of(layer) for layer in layers]
        tables = [engine.rows for engine in engines if engine.weight_memory == "block"]
        assert tables
        assert max(tables) <= deepest


def test_a_network_that_fits_only_in_deep_tables_gets_them(monkeypatch):
    board, network = find_board("ulx3s_85f"), dense_chain(1, sizes=(300, 40, 4))
    monkeypatch.setattr("boards.families.ecp5.ECP5.deepest_table", 400)

    def deepest(luts: int) -> int:
        smaller = dataclasses.replace(board, budget=dataclasses.replace(board.budget, lut=luts))
        found = evaluate_plan(network, smaller, make_plan(network, smaller, 80.0, "", {}), {})
        assert found.total("lut") <= luts
        return max(engine_of(layer).rows for layer in found.config.layers)

    assert deepest(5_000) <= 400 < deepest(2_600)
