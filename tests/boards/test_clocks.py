"""Every family's PLL settings: the frequency they make and the data sheet's limits."""

import pytest

from boards.catalogue import CATALOGUE, find_board
from boards.families import ecp5, gowin, ice40, xilinx7
from hw.errors import UserError


@pytest.mark.parametrize("oscillator", [12.0, 25.0, 48.0, 50.0, 100.0])
@pytest.mark.parametrize("wanted", [12.5, 25.0, 48.0, 62.5, 80.0, 100.0, 133.0])
def test_ecp5(oscillator, wanted):
    found = ecp5.solve_dividers(oscillator, wanted)
    vco = oscillator / found.reference * found.feedback * found.feedback_output
    assert 400 <= vco <= 800
    assert oscillator / found.reference >= 10
    assert found.mhz == pytest.approx(vco / found.output)
    assert found.mhz == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("wanted", [16.5, 24.0, 30.0, 48.0, 100.0])
def test_ice40(wanted):
    found = ice40.solve_dividers(12.0, wanted)
    vco = 12.0 * (found.feedback + 1)
    assert 533 <= vco <= 1066
    assert found.mhz == pytest.approx(vco / 2**found.output)
    assert found.mhz == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize(
    ("oscillator", "cell", "detector", "slowest", "fastest"),
    [(12.0, "MMCME2_BASE", 10, 600, 1200), (100.0, "PLLE2_BASE", 19, 800, 1600)],
)
@pytest.mark.parametrize("wanted", [25.0, 66.0, 100.0, 125.0, 200.0])
def test_xilinx7(oscillator, cell, detector, slowest, fastest, wanted):
    assert xilinx7.primitive_for(oscillator).name == cell
    found = xilinx7.solve_dividers(oscillator, wanted)
    vco = oscillator / found.reference * found.feedback
    assert slowest <= vco <= fastest
    assert oscillator / found.reference >= detector
    assert found.mhz == pytest.approx(vco / found.output)
    assert found.mhz == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(("series", "slowest", "fastest"), [("GW1N", 400, 1200), ("GW2A", 500, 1250)])
@pytest.mark.parametrize("wanted", [13.5, 27.0, 36.0, 48.0, 60.0, 100.0])
def test_gowin(series, slowest, fastest, wanted):
    found = gowin.solve_dividers(27.0, wanted, gowin.LIMITS[series])
    assert found.mhz == pytest.approx(27.0 * found.feedback / found.reference)
    assert found.mhz == pytest.approx(wanted, rel=0.02)
    assert slowest <= found.mhz * found.output <= fastest
    assert 27.0 / found.reference >= 3
    assert found.output in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


@pytest.mark.parametrize(("wanted", "found"), [(48.0, 48.0), (12.1, 12.0), (6.0, 6.0)])
def test_the_upduino_runs_from_inside(wanted, found):
    board = find_board("upduino_v3")
    assert board.family.clock_mhz(board, wanted) == found
    with pytest.raises(UserError, match="6, 12, 24 or 48"):
        board.family.clock_mhz(board, 21.0)


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
