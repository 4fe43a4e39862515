"""Window engines and unrolled neurons in whole networks, against the scalar statement of the integer form."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from hw.configure import configure
from hw.plan import Plan
from qblif.errors import UserError
from qblif.network.graph import Network
from qblif.network.nodes import Leak, Readout
from studies.network_builder import NetworkBuilder
from studies.plan_edits import plan_for, windowed
from studies.random_networks import dense_chain
from tests.gen.planning.test_cycles import check as check_cycles
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
        (
            2,
            7,
            {"lanes": 6, "planes": 2, "slides": False, "cores": 2, "group": 4},
            {"lanes": 3, "planes": 2, "slides": False},
        ),
        (
            3,
            2,
            {"lanes": 6, "planes": 2, "slides": False, "cores": 6, "group": 3},
            {"lanes": 3, "planes": 2, "slides": False},
        ),
        (2, 20, {"lanes": 6, "planes": 2, "slides": False}, {}),
        (2, 5, {"lanes": 4, "planes": 1, "slides": True}, {"lanes": 2, "planes": 1, "slides": True}),
    ],
)
def test_dense_layers(timesteps, input_group, hidden_0, readout, pauses):
    network = dense_chain(1, sizes=(20, 6, 3), timesteps=timesteps, input_bits=2)
    plan = plan_for(network, hidden_0={"lanes": 2, "cores": 1, "group": 1})
    changes = {"hidden_0": hidden_0} | ({"readout": readout} if readout else {})
    plan = with_windows(network, plan, input_group, **changes)
    check(network, plan, pauses=pauses)
    check_cycles(network, plan)


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.4, 0.4)])
@pytest.mark.parametrize(("lanes", "together", "slides"), [(6, 6, False), (6, 3, False), (4, 2, True)])
def test_several_classes_leave_at_once(lanes, together, slides, pauses):
    """Every layer in one pass, so that a result may leave every few cycles."""
    network = dense_chain(5, sizes=(24, 12, 6), input_bits=1)
    plan = plan_for(network, hidden_0={"lanes": 12}, readout={"lanes": lanes, "classes_per_beat": together})
    hidden = {"lanes": 12, "planes": 1, "slides": False, "cores": 12, "group": 36}
    plan = with_windows(network, plan, 8, hidden_0=hidden, readout={"lanes": lanes, "planes": 2, "slides": slides})
    check(network, plan, pauses=pauses, count=6)
    check_cycles(network, plan, count=8)


def convolutions(timesteps: int, coding: str = "direct", **shape: Any) -> Network:
    """Two convolutions with a pooling between them."""
    random = np.random.default_rng(5)

    def neurons(channels: int) -> dict:
        return {
            "fraction_bits": 4,
            "burst_ceiling": 3,
            "leak": Leak(multiplier=1, shift=1),
            "reset": "soft",
            "bias": random.integers(-9, 9, channels),
            "exponent": random.integers(0, 2, channels),
        }

    builder = NetworkBuilder(random=random, shape=(2, 7, 6), neurons=neurons)
    builder.convolve("first", 4, **shape)
    builder.pool("pool", "max", 2)
    builder.convolve("second", 5, 3, padding=1)
    builder.classify(3)
    readout = Readout(fraction_bits=4, bias=random.integers(-9, 9, 3), exponent=np.zeros(3, dtype=np.int64))
    return builder.network(timesteps=timesteps, coding=coding, input_bits=2, readout=readout)


WINDOWS: dict[str, dict[str, Any]] = {
    "padded": {"kernel": 3, "padding": 1},
    "valid": {"kernel": 3},
    "strided": {"kernel": 3, "padding": 1, "stride": 2},
    "one position": {"kernel": 1},
    "dilated": {"kernel": 2, "dilation": 2, "padding": 1},
    "rows and columns": {"kernel": (2, 3), "padding": (0, 2), "stride": (2, 1)},
}


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.4, 0.4)])
@pytest.mark.parametrize(("window", "row_queue"), [*((window, False) for window in WINDOWS), ("padded", True)])
def test_convolutions(window, row_queue, pauses):
    network = convolutions(2, **WINDOWS[window])
    plan = with_windows(
        network,
        plan_for(network, first={"lanes": 4}, second={"lanes": 2, "cores": 1, "group": 1}),
        first={"lanes": 4, "planes": 2, "slides": True, "cores": 4, "group": 8},
        second={"lanes": 2, "planes": 1, "slides": True, "row_queue": row_queue, "cores": 2, "group": 2},
    )
    check(network, plan, pauses=pauses)
    check_cycles(network, plan)


@pytest.mark.parametrize("coding", ["direct", "events"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"lanes": 2, "planes": 1, "slides": True}, {"lanes": 5, "planes": 2, "slides": True}),
        (
            {"lanes": 2, "planes": 1, "slides": True, "cores": 2, "group": 1},
            {"lanes": 3, "planes": 2, "slides": True, "cores": 3, "group": 6},
        ),
        (
            {"lanes": 4, "planes": 2, "slides": True, "cores": 4, "group": 2},
            {"lanes": 5, "planes": 1, "slides": True, "cores": 5, "group": 10},
        ),
    ],
)
def test_lanes_planes_and_cores(first, second, coding):
    network = convolutions(2, coding, kernel=3, padding=1)
    plan = plan_for(network, first={"lanes": first["lanes"]}, second={"lanes": second["lanes"]})
    readout = {"lanes": 3, "planes": 2, "slides": True, "lut_inputs": 4, "table_inputs": 5}
    plan = with_windows(network, plan, first=first, second=second, readout=readout)
    check(network, plan)
    check_cycles(network, plan)


def test_unrolled_neurons_keep_no_states_between_frames():
    network = dense_chain(4, sizes=(9, 6, 4), timesteps=3, coding="events")
    plan = plan_for(network)
    unrolled = windowed(plan.stages[0], channels=6, steps=1, lanes=6, planes=1, slides=True, cores=6, group=6)
    frames = dataclasses.replace(plan, schedule="time_major", stages=(unrolled, *plan.stages[1:]))
    with pytest.raises(UserError, match="hidden_0: unrolled neurons keep no state"):
        configure(network, frames)
