"""Every family's PLL settings: the frequency they make and the data sheet's limits."""

import math

import numpy as np
import pytest

from boards.catalogue import CATALOGUE, find_board
from boards.families import ecp5, gowin, ice40, xilinx7
from qblif.errors import UserError
from tests.searching import found_in


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


def frequencies(board):
    """Every frequency in MHz that the board's chip can make of its oscillator, from the vendors' data sheets."""
    oscillator = board.oscillator_mhz
    if board.name == "upduino_v3":
        return np.array([6.0, 12.0, 24.0, 48.0])
    if board.family.name == "ice40":
        vco = oscillator * np.arange(1, 129)
        made = np.outer(vco[(vco >= 533) & (vco <= 1066)], 1 / 2.0 ** np.arange(1, 7)).ravel()
        return np.append(made[(made >= 16) & (made <= 275)], oscillator)
    if board.family.name == "gowin":
        reference = np.arange(1, 65)
        reference = reference[oscillator / reference >= 3]
        made = (oscillator / reference[:, None] * np.arange(1, 65)).ravel()
        slowest, fastest, low, high = {
            "tang_nano_9k": (400, 1200, 3.125, 600),
            "tang_primer_20k": (500, 1250, 3.91, 625),
        }[board.name]
        vco = np.outer(made, [2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128])
        possible = ((vco >= slowest) & (vco <= fastest)).any(axis=1)
        return made[possible & (made >= low) & (made <= high)]
    detector, slowest, fastest, high, feedback = {
        "ecp5": (10, 400, 800, 400, np.unique(np.outer(np.arange(1, 81), np.arange(1, 129)))),
        "xilinx7": (19, 800, 1600, 464, np.arange(2, 65))
        if oscillator >= 19
        else (10, 600, 1200, 464, np.arange(2, 65)),
    }[board.family.name]
    reference = np.arange(1, 107)
    vco = (oscillator / reference[oscillator / reference >= detector][:, None] * feedback).ravel()
    made = np.outer(np.unique(vco[(vco >= slowest) & (vco <= fastest)]), 1 / np.arange(1, 129)).ravel()
    return made[made <= high]


NO_CLOCKS = (0.0, -5.0, math.nan, math.inf, -math.inf, 0.5, 3.0, 470.0, 700.0, 900.0, 5000.0)


@pytest.mark.parametrize("board", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_what_the_chip_can_make_is_made_and_nothing_else(board):
    possible, within = frequencies(board), {"ice40": 0.05}.get(board.family.name, 0.02)
    for wanted in (*NO_CLOCKS, *np.geomspace(3.0, 650.0, 11)):
        nearest = np.abs(possible - wanted).min()
        if math.isfinite(wanted) and wanted > 0 and nearest <= within * wanted:
            made = board.family.clock_mhz(board, wanted)
            assert np.abs(possible - made).min() < 1e-6
            assert abs(made - wanted) <= within * wanted
        else:
            with pytest.raises(UserError, match=r"MHz; it makes .* to .* MHz") as refused:
                board.family.clock_mhz(board, wanted)
            lowest, highest = found_in(r"makes ([\d.]+) to ([\d.]+) MHz", str(refused.value)).groups()
            for end in (float(lowest), float(highest)):
                assert board.family.clock_mhz(board, end) == pytest.approx(end, rel=1e-3)
            assert float(highest) == pytest.approx(possible.max(), rel=1e-3)


def test_default_clocks_are_met():
    for board in CATALOGUE.values():
        assert board.family.clock_mhz(board, board.default_clock_mhz) == pytest.approx(board.default_clock_mhz)


def test_without_pll_the_icebreaker_runs_at_its_oscillator():
    board = find_board("icebreaker")
    assert board.family.clock_mhz(board, 12.0) == 12.0
