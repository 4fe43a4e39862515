"""What the emitted hardware is made of."""

import dataclasses

import pytest
from amaranth.back import rtlil

from gen.design import make_design
from gen.emit.board_top import board_top
from gen.emit.rtl import check_tables, modules, network_verilog
from hw.configure import configure
from hw.top import NetworkTop
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain


@pytest.fixture(scope="module")
def config():
    network = dense_chain(1, sizes=(20, 12, 8, 4), leak=(3, 2))
    return configure(network, plan_for(network))


def folded_config():
    network = dense_chain(1, sizes=(20, 12, 8, 4), leak=(3, 2))
    folded = {"lanes": 6, "cores": 2, "group": 2}
    return configure(
        network, plan_for(network, hidden_0=folded, hidden_1={**folded, "lanes": 3, "cores": 1, "group": 3})
    )


def test_no_multiplier_anywhere(config):
    for shape, taps in ((config, False), (config, True), (folded_config(), False)):
        cells = rtlil.convert(NetworkTop(shape, taps=taps), name="network")
        assert not any(word in cells for word in ("$mul", "$macc", "$div", "$mod"))
        assert "$add" in cells


@pytest.mark.parametrize("board", ["ulx3s_85f", "icebreaker", "arty_a7", "tang_nano_9k"])
def test_no_multiplier_in_the_board_top(board, digits_checkpoint):
    design = make_design(digits_checkpoint, board)
    files = design.board.family.files(design.dev_board, board_top(design), 24.0)
    text = files.get("top.il") or files["top.v"]
    assert "$mul" not in text
    assert " * " not in text.replace("(* ", "").replace(" *)", "").replace("/* ", "").replace(" */", "")


def test_the_same_configuration_gives_the_same_bytes(config):
    assert network_verilog(config) == network_verilog(config)


def test_without_taps_the_layers_are_the_built_ones(config):
    built, tapped = modules(network_verilog(config)), modules(network_verilog(config, taps=True))
    assert set(built) == set(tapped)
    assert len(built) > 10
    # What a tap looks at becomes an output of its module; without taps nothing of them is left.
    assert "tap_" not in built["network"]
    assert "tap_hidden_0" in tapped["network"]
    untapped = [name for name in built if not name.endswith(("_neurons", "_projection", ".scanner", "network"))]
    assert all(strip_counters(built[name]) == strip_counters(tapped[name]) for name in untapped)


def strip_counters(text: str) -> str:
    """The Verilog writer numbers some private names through the whole file."""
    return "\n".join(line for line in text.splitlines() if "$auto$" not in line)


def test_names_are_readable(config):
    text = network_verilog(config)
    for name in ("hidden_0_projection", "scanner", "accumulator_0", "core_0", "membranes", "receptive_field"):
        assert (name in text) == (name != "receptive_field"), name
    assert "$signal" not in text
    assert "U$" not in text
    assert "port$" not in text


def test_a_wrong_weight_in_the_verilog_is_found(config):
    text = network_verilog(config)
    check_tables(text, config)
    first, changed, last = config.stages
    weights = changed.engine.weights.copy()
    weights[2, 3] ^= 1
    projection = dataclasses.replace(changed.engine, weights=weights)
    stages = (first, dataclasses.replace(changed, engines=(projection,)), last)
    with pytest.raises(RuntimeError, match="hidden_1"):
        check_tables(text, dataclasses.replace(config, stages=stages))
