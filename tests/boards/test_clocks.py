"""Every family's PLL settings: the frequency they make and the data sheet's limits."""

import pytest

from boards.catalogue import CATALOGUE, find_board
from boards.families import ecp5, ice40, xilinx7
from hw.errors import UserError


@pytest.mark.parametrize("wanted", [12.5, 25.0, 48.0, 62.5, 80.0, 100.0, 133.0])
def test_ecp5(wanted):
    found = ecp5.solve_dividers(25.0, wanted)
    vco = 25.0 / found.reference * found.feedback * found.feedback_output
    assert 400 <= vco <= 800
    assert 25.0 / found.reference >= 10
    assert found.mhz == pytest.approx(vco / found.output)
    assert found.mhz == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("wanted", [16.5, 24.0, 30.0, 48.0, 100.0])
def test_ice40(wanted):
    found = ice40.solve_dividers(12.0, wanted)
    vco = 12.0 * (found.feedback + 1)
    assert 533 <= vco <= 1066
    assert found.mhz == pytest.approx(vco / 2**found.output)
    assert found.mhz == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("wanted", [25.0, 66.0, 100.0, 125.0, 200.0])
def test_xilinx7(wanted):
    found = xilinx7.solve_dividers(100.0, wanted)
    vco = 100.0 / found.reference * found.feedback
    assert 800 <= vco <= 1600
    assert found.mhz == pytest.approx(vco / found.output)
    assert found.mhz == pytest.approx(wanted, rel=0.02)


def test_impossible_clocks_are_refused():
    for board in CATALOGUE.values():
        with pytest.raises(UserError, match="MHz"):
            board.family.clock_mhz(board, 900.0)


def test_default_clocks_are_met():
    for board in CATALOGUE.values():
        assert board.family.clock_mhz(board, board.default_clock_mhz) == pytest.approx(board.default_clock_mhz)


def test_without_pll_the_icebreaker_runs_at_its_oscillator():
    board = find_board("icebreaker")
    assert board.family.clock_mhz(board, 12.0) == 12.0
