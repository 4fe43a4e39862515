"""What is derived from network and plan, on examples small enough to be done by hand."""

import dataclasses

import numpy as np
import pytest

from hw.configure import configure
from hw.engines.event.engine import window_config
from hw.stages.population import padded
from qblif.errors import UserError
from qblif.network.projections import Conv2d, Dense
from studies.plan_edits import engine_plan, plan_for
from studies.random_networks import dense_chain
from tests.networks import engine_of, population_at


def test_a_line_buffer_holds_a_window_and_the_rows_that_come_meanwhile():
    layer = engine_plan(plan_for(dense_chain(1)).stages[0])
    source = dataclasses.replace(configure(dense_chain(1), plan_for(dense_chain(1))).input, height=6, width=4)
    weights = np.ones((2, 1, 3, 3), dtype=np.int64)
    wide = Conv2d(source="input", target="conv", weights=weights, weight_bits=2, stride=1, padding=1)
    # Windows of 3 rows; the last one leaves the 2 rows that it sees.
    assert window_config(wide, layer, source).rows_kept == 3 + 2
    # Windows of 3 rows from rows 0 and 3, that leave 3 each.
    steps = dataclasses.replace(wide, stride=3, padding=0)
    assert window_config(steps, layer, source).rows_kept == 3 + 3
    # A dense layer reads one image while the next one comes.
    dense = Dense(source="input", target="dense", weights=np.ones((2, 24), dtype=np.int64), weight_bits=2)
    assert window_config(dense, layer, source).rows_kept == 6 + 6


def test_channels_that_do_not_exist_come_last_and_are_zero():
    assert padded(np.array([5, -3]), 4) == (5, -3, 0, 0)


@pytest.mark.parametrize(("idle", "fine"), [(63, True), (64, False)])
def test_lanes_that_no_neuron_uses_are_few(idle, fine):
    network = dense_chain(1)
    lanes = population_at(network, 0).shape[0] + idle
    plan = plan_for(network, hidden_0={"lanes": lanes, "cores": 1, "group": 1})
    if fine:
        assert engine_of(configure(network, plan).layers[0]).lanes == lanes
        return
    with pytest.raises(UserError, match="leaves them idle"):
        configure(network, plan)
