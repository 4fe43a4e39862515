import dataclasses
import json

import pytest

from boards.catalogue import find_board
from gen.plan import expected_cycles, make_plan
from hw.configuration import configure
from hw.errors import UserError
from hw.plan import load_plan
from tests.networks import plan_for, random_network


def test_the_same_network_gets_the_same_plan():
    one, other = (plan_for(random_network(1)) for _ in range(2))
    assert one == other
    assert one.sha256 == other.sha256
    assert dataclasses.replace(one, clock_mhz=50.0).sha256 != one.sha256


def test_saved_and_loaded(tmp_path):
    plan = plan_for(random_network(1))
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    assert load_plan(path) == plan


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("layers"),
        lambda c: c.update(version=7),
        lambda c: c["layers"][0].pop("lanes"),
        lambda c: c["layers"][0].update(colour="red"),
        lambda c: c["layers"][0].update(lanes="many"),
        lambda c: c["layers"][0].update(lanes=0),
        lambda c: c.update(input_group=-1),
    ],
)
def test_damaged_plans_are_refused(tmp_path, change):
    content = json.loads(plan_for(random_network(1)).to_json())
    change(content)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"plan\.json"):
        load_plan(path)


@pytest.mark.parametrize("neurons", [1, 3, 7, 10, 31, 75, 127, 128])
def test_lanes_cover_the_neurons_with_few_to_spare(neurons):
    network = random_network(1, sizes=(20, neurons, 10))
    plan = plan_for(network)
    layer = plan.layer("hidden_0")
    assert layer.folds == 1
    assert neurons <= layer.lanes <= neurons + 3
    configure(network, plan)


def test_wide_layers_are_folded_on_small_boards():
    network = random_network(1, sizes=(64, 200, 10))
    small = make_plan(network, find_board("icebreaker"), 24.0, "", {})
    large = make_plan(network, find_board("ulx3s_85f"), 80.0, "", {})
    assert small.layer("hidden_0").folds > large.layer("hidden_0").folds == 1
    configure(network, small)


def test_too_much_memory_names_the_layer_and_the_excess():
    network = random_network(1, sizes=(784, 128, 10))
    with pytest.raises(UserError, match=r"too big for icebreaker.*SB_RAM40.*too many.*hidden_0"):
        make_plan(network, find_board("icebreaker"), 24.0, "", {})


def test_expected_cycles_follow_the_activity():
    network = random_network(1, sizes=(20, 8, 4), timesteps=3)
    plan = plan_for(network)
    cycles = expected_cycles(network, plan, {"input": [17.5], "hidden_0": [4.0, 5.0, 0.2]})
    assert cycles["hidden_0"].array == 17.5
    assert cycles["readout"].array == 10.0


@pytest.mark.parametrize("neurons", [9, 11, 17, 18, 99])
def test_folding_always_comes_to_an_end(neurons):
    network = random_network(1, sizes=(16, neurons, neurons, neurons, 9))
    board = find_board("icebreaker")
    roomy = dataclasses.replace(board, budget=dataclasses.replace(board.budget, lut=3_000, bram=10_000))
    try:
        plan = make_plan(network, roomy, 24.0, "", {})
    except UserError:
        return
    configure(network, plan)
