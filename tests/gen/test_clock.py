"""What a build does about a clock that place and route misses, with stand-ins for the tools."""

import dataclasses
import json

import numpy as np
import pytest

from boards.catalogue import CATALOGUE, find_board
from gen import build, design
from gen.emit.board_top import baud_rate, fastest_clock
from gen.frontend.checkpoint import load_checkpoint
from gen.targets import board
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.references import ReferenceVectors
from studies.random_networks import dense_chain
from tests.reference import scalar_run
from tests.searching import found_in

BOARD = "tang_nano_9k"
OSCILLATOR_MHZ = 27
SETTINGS = ("FBDIV_SEL", "IDIV_SEL")
"""Of the board's PLL, which makes 27 * (FBDIV_SEL + 1) / (IDIV_SEL + 1) MHz of its oscillator."""


@pytest.fixture
def tools(monkeypatch):
    """Stand-ins for synthesis, place and route and packer, and a small network in place of the checkpoint's.

    Routing reaches the next of ``tools.reached`` each time; ``tools.clocks`` are those of the synthesised PLLs.
    """

    class Tools:
        def __init__(self):
            self.reached: list[float] = []
            self.clocks: list[float] = []

        def __call__(self, command, folder):
            if command.purpose == "synthesis":
                text = (folder / "top.il").read_text()
                feedback, reference = (int(found_in(rf"parameter \\{name} (\d+)\n", text)[1]) for name in SETTINGS)
                self.clocks.append(OSCILLATOR_MHZ * (feedback + 1) / (reference + 1))
                stat = {"design": {"num_cells_by_type": {"LUT4": 100, "DFF": 50, "SDPB": 4}}}
                (folder / "top.stat.json").write_text(json.dumps(stat))
                (folder / "top.json").write_text(json.dumps({"modules": {"top": {"cells": {}}}}))
            elif command.purpose == "place and route":
                asked = float(command.arguments[command.arguments.index("--freq") + 1])
                assert asked == pytest.approx(self.clocks[-1], abs=0.001)
                reached = self.reached.pop(0)
                timing = {"fmax": {"clk": {"achieved": reached}}, "critical_paths": [], "utilization": {}}
                (folder / "timing.json").write_text(json.dumps(timing))
            else:
                (folder / "top.fs").write_text("bits")

    def small_network(path):
        network = dense_chain(1, sizes=(6, 4, 3))
        samples = np.zeros((1, *network.input.shape), dtype=np.uint8)
        logits = scalar_run(network, encode(samples, network.input)[0]).logits
        vectors = ReferenceVectors(samples=samples, logits=np.array([logits]), labels=np.zeros(1, dtype=np.int64))
        return dataclasses.replace(load_checkpoint(path), activity={}), network, vectors

    stand_in = Tools()
    monkeypatch.setattr(board, "run_tool", stand_in)
    monkeypatch.setattr(design, "read_network", small_network)
    return stand_in


def arguments(checkpoint, out, *more) -> list[str]:
    return ["--board", BOARD, "--ckpt", str(checkpoint), "--out", str(out), *more]


def test_a_clock_that_nobody_asked_for_becomes_slower(tools, digits_checkpoint, tmp_path, capsys):
    tools.reached = [21.3, 21.0]
    out = tmp_path / "out"
    assert build.main(arguments(digits_checkpoint, out)) == 0
    report = json.loads((out / "report.json").read_text())
    plan = json.loads((out / "plan.json").read_text())
    assert tools.clocks[0] == OSCILLATOR_MHZ
    assert 0.9 * 21.3 < tools.clocks[1] <= 0.95 * 21.3
    assert report["clock_mhz"] == plan["clock_mhz"] == pytest.approx(tools.clocks[1])
    assert report["fmax_mhz"] == 21.0
    assert report["missed"] == {"clock_mhz": 27, "fmax_mhz": 21.3}
    told = capsys.readouterr()
    assert f"21.3 of 27 MHz; building again for {plan['clock_mhz']:g} MHz" in told.err
    assert "at the board's 27 MHz timing was not met (21.3 MHz)" in told.out
    expected = plan["clock_mhz"] * 1e6 / report["cycles_expected"]
    assert report["inferences_per_second_expected"] == pytest.approx(expected, rel=0.001)


def test_a_clock_that_is_met_is_kept(tools, digits_checkpoint, tmp_path):
    tools.reached = [27.0]
    assert build.main(arguments(digits_checkpoint, tmp_path / "out")) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["clock_mhz"], report["missed"], len(tools.clocks)) == (27, None, 1)


@pytest.mark.parametrize("wanted", [("--clock-mhz", "27"), ("--clock-mhz", "30")])
def test_a_clock_that_was_asked_for_is_an_error(tools, digits_checkpoint, tmp_path, fails, wanted):
    tools.reached = [21.3]
    line = fails(build.main, *arguments(digits_checkpoint, tmp_path / "out", *wanted))
    advice = float(found_in(r"21\.3 of \d+ MHz; try --clock-mhz ([\d.]+)", line)[1])
    assert 0.9 * 21.3 < advice <= 0.95 * 21.3
    assert not (tmp_path / "out").exists()


def test_it_is_built_again_once(tools, digits_checkpoint, tmp_path, capsys):
    tools.reached = [21.3, 15.0]
    assert build.main(arguments(digits_checkpoint, tmp_path / "out")) == 2
    assert "timing is not met: 15.0 of" in capsys.readouterr().err.splitlines()[-1]
    assert len(tools.clocks) == 2


def test_a_rate_that_the_slower_clock_cannot_reach_is_an_error(tools, digits_checkpoint, tmp_path, fails):
    tools.reached = [13.0]
    line = fails(build.main, *arguments(digits_checkpoint, tmp_path / "out", "--target-fps", "1e6"))
    assert "13.0 of 27 MHz" in line
    assert "--target-fps" in line
    assert len(tools.clocks) == 1


@pytest.mark.parametrize("board", CATALOGUE.values(), ids=lambda board: board.name)
def test_the_fastest_clock_is_one_that_the_board_can_have(board):
    limit = board.default_clock_mhz * 0.83
    clock = fastest_clock(board, limit)
    assert clock is not None
    assert clock <= limit
    assert board.family.clock_mhz(board, clock) == pytest.approx(clock)
    if board.uart is not None:
        baud_rate(board.uart, round(clock * 1e6))
    nearer = [wanted for wanted in range(int(clock) + 2, int(limit)) if can_have(board, wanted) == wanted]
    assert nearer == []


def can_have(board, wanted: int) -> float | None:
    """What the PLL makes of a wanted clock that the serial line can have too."""
    try:
        clock = board.family.clock_mhz(board, wanted)
        if board.uart is not None:
            baud_rate(board.uart, round(clock * 1e6))
    except UserError:
        return None
    return clock


def test_no_clock_is_none():
    assert fastest_clock(find_board("icebreaker"), 0.5) is None
