"""The resource model against synthesis."""

import statistics

import pytest

from gen.planning.resources import constants
from studies import resource_fit as resources


@pytest.fixture(scope="module")
def everything():
    return resources.measured_specimens()


@pytest.fixture(scope="module")
def measured(everything):
    return [(specimen, row) for specimen, row in everything if row["shipped"]]


def test_shipped_networks_were_measured_on_both_families(measured):
    found = {(row["family"], row["name"]) for _, row in measured}
    for family in ("xilinx7", "ecp5"):
        assert len([name for kind, name in found if kind == family]) >= 6


def test_block_rams_are_counted_exactly(measured):
    for specimen, row in measured:
        assert resources.counted_brams(specimen) == row["bram"], (row["family"], row["name"])
        assert row["dsp"] == 0


@pytest.mark.parametrize("resource", ["lut", "ff"])
def test_the_model_is_within_its_tolerance(measured, everything, resource):
    """For every shipped network, and for kinds of layers that the fit has not seen."""
    held_out = [(specimen, row) for specimen, row in everything if row["name"] in resources.HELD_OUT]
    assert len(held_out) == 2 * len(resources.HELD_OUT)
    for specimen, row in [*measured, *held_out]:
        costs = constants(row["family"])[resource]
        ratio = resources.predicted(costs, specimen) / row[resource]
        assert abs(ratio - 1) <= resources.TOLERANCE, (row["family"], row["name"], ratio)


@pytest.mark.parametrize("family", ["xilinx7", "ecp5"])
def test_the_committed_constants_are_those_that_fit_gives(family, everything):
    rows = [(specimen, row) for specimen, row in everything if row["family"] == family]
    for resource in ("lut", "ff"):
        assert resources.fit(resources.fitted(rows), resource) == pytest.approx(constants(family)[resource], rel=1e-3)


@pytest.mark.parametrize("resource", ["lut", "ff"])
@pytest.mark.parametrize("family", ["xilinx7", "ecp5"])
def test_designs_that_the_fit_has_not_seen(family, resource, everything):
    """What to expect of a new network: every design in turn, under a fit to all the others."""
    rows = [(specimen, row) for specimen, row in everything if row["family"] == family]
    errors = []
    for left_out in rows:
        costs = resources.fit([other for other in resources.fitted(rows) if other is not left_out], resource)
        errors.append(abs(resources.predicted(costs, left_out[0]) / left_out[1][resource] - 1))
    assert max(errors) <= 0.2
    assert statistics.median(errors) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("family", ["xilinx7", "ecp5"])
def test_a_measurement_is_repeatable(family):
    specimen, row = next((specimen, row) for specimen, row in resources.measured_specimens() if row["family"] == family)
    again = resources.measure(specimen)
    assert {key: again[key] for key in ("lut", "ff", "bram", "dsp")} == {
        key: row[key] for key in ("lut", "ff", "bram", "dsp")
    }
