"""Expected work from the mean activity, counted by hand."""

import pytest

from gen.planning.activity import KnownActivity, expected_accumulates
from hw.configure import configure
from studies.plan_edits import plan_for
from tests.hw.test_rows_ahead import around


def expectation(network, planes):
    return KnownActivity(network=network, activity={"input": [planes]})


def test_a_convolution_adds_what_every_window_sees():
    network = around(4, 4, 2)
    entry = configure(network, plan_for(network)).layers[0]
    # 16 windows of 3x3 places, 2 planes of each always set, into 2 channels; padding is not left out.
    assert expected_accumulates(entry, expectation(network, 32.0)) == 16 * 9 * 2 * 2
    assert expected_accumulates(entry, expectation(network, 8.0)) == 16 * 9 * 2 * 2 / 4


@pytest.mark.parametrize(("columns", "cycles"), [(4, 2), (2, 3)])
def test_a_pooling_takes_a_cycle_more_for_two_beats_only_where_the_source_has_hardly_any_columns(columns, cycles):
    network = around(4, columns, 2)
    config = configure(network, plan_for(network, inner={"lanes": 2, "cores": 1, "group": 2}))
    pooling = next(stage for stage in config.stages if stage.name == "pooled")
    assert pooling.expected_cycles(KnownActivity(network=network, activity={})).neurons == 4 * columns * cycles
