"""Window engines and unrolled neurons in whole networks, against the scalar statement of the integer form."""

import dataclasses

import numpy as np
import pytest

from hw.plan import Plan
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Readout
from studies.network_builder import NetworkBuilder
from studies.plan_edits import plan_for, windowed
from studies.random_networks import dense_chain
from tests.hw.test_top import check


def with_windows(network: Network, plan: Plan, /, input_group: int = 0, **changes: dict) -> Plan:
    """The plan with window engines for some layers; ``changes`` as in :func:`studies.plan_edits.windowed`."""
    channels = {target.name: target.shape[0] for target in network.targets}
    stages = tuple(
        windowed(stage, channels=channels[stage.name], steps=network.timesteps, **changes[stage.name])
        if stage.name in changes
        else stage
        for stage in plan.stages
    )
    return dataclasses.replace(plan, stages=stages, input_group=input_group or plan.input_group)


PAUSES = [(0.0, 0.0), (0.6, 0.0), (0.0, 0.7), (0.3, 0.3)]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize(
    ("timesteps", "input_group", "hidden_0", "readout"),
    [
        (1, 4, {"lanes": 6, "planes": 2, "slides": False, "cores": 6, "group": 2}, {}),
        (2, 7, {"lanes": 6, "planes": 2, "slides": False, "cores": 2, "group": 4}, {"lanes": 3, "planes": 2, "slides": False}),
        (3, 2, {"lanes": 6, "planes": 2, "slides": False, "cores": 6, "group": 3}, {"lanes": 3, "planes": 2, "slides": False}),
        (2, 20, {"lanes": 6, "planes": 2, "slides": False}, {}),
        (2, 5, {"lanes": 4, "planes": 1, "slides": True}, {"lanes": 2, "planes": 1, "slides": True}),
    ],
)
def test_dense_layers(timesteps, input_group, hidden_0, readout, pauses):
    network = dense_chain(1, sizes=(20, 6, 3), timesteps=timesteps, input_bits=2)
    plan = plan_for(network, hidden_0={"lanes": 2, "cores": 1, "group": 1})
    changes = {"hidden_0": hidden_0} | ({"readout": readout} if readout else {})
    check(network, with_windows(network, plan, input_group, **changes), pauses=pauses)
