"""Bitstreams for Xilinx 7, with stand-ins for the tools that are as strict as the real ones."""

import io
import json
import os
import shutil
import subprocess
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from boards.catalogue import CATALOGUE, find_board
from boards.families import openxc7
from boards.families.openxc7_checks import check_pins
from boards.families.xilinx_ram import RAMB, check_halves, halves_in_fasm
from gen import build, building
from gen.design import make_design
from gen.report import make_report
from gen.targets import board
from qblif.errors import UserError
from tests.boards import stand_ins

OPTIONS = ("--board", "arty_a7", "--target-fps", "10000")
EXCERPT = """\
RIOB33_X43Y75.IOB_Y0.LVCMOS25_LVCMOS33_LVTTL.IN
RIOB33_X43Y75.IOB_Y0.LVCMOS12_LVCMOS15_LVCMOS18_LVCMOS25_LVCMOS33_LVDS_25_LVTTL_SSTL135_SSTL15_TMDS_33.IN_ONLY
RIOB33_X43Y75.IOB_Y0.PULLTYPE.NONE
LIOB33_X0Y111.IOB_Y1.LVCMOS33_LVTTL.DRIVE.I12_I8
LIOB33_X0Y111.IOB_Y1.LVCMOS12_LVCMOS15_LVCMOS18_LVCMOS25_LVCMOS33_LVTTL_SSTL135_SSTL15.SLEW.SLOW
LIOB33_X0Y111.IOB_Y1.PULLTYPE.NONE
"""
"""Two pins of an Arty A7 in a FASM file that nextpnr-xilinx 0.8.2 wrote: E3, an input, and D10, an output."""
TWO_PINS = """\
set_property LOC E3 [get_ports clock]
set_property IOSTANDARD LVCMOS33 [get_ports clock]
set_property LOC D10 [get_ports tx]
set_property IOSTANDARD LVCMOS33 [get_ports tx]
"""


def forget_installs(patch, root: Path) -> None:
    """Nothing is installed but what a test installs into ``root``/bin."""
    patch.setenv("PATH", os.pathsep.join([str(root / "bin"), "/usr/bin", "/bin"]))
    for name in ("CHIPDB_DIR", "DB_DIR", "PRJXRAY_DB_DIR", "ARTIX7_CHIPDB", "SPARTAN7_CHIPDB", "APIO_PACKAGES"):
        patch.delenv(name, raising=False)
    for name in ("NEXTPNR_XILINX_CHIPDB_DIR", *openxc7.PREFIX_VARIABLES):
        patch.delenv(name, raising=False)
    # Another home would cost yosys its cache.
    patch.setenv("APIO_HOME", str(root / "apio"))
    patch.setattr(openxc7, "PREFIXES", ())


@pytest.fixture(autouse=True)
def bare_machine(tmp_path, monkeypatch):
    forget_installs(monkeypatch, tmp_path)


@pytest.fixture
def databases(tmp_path, monkeypatch):
    """Both databases, where the variables say."""
    stand_ins.make_chip_database(tmp_path / "chips", "xc7a35tcsg324")
    stand_ins.make_chip_database(tmp_path / "chips", "chipdb-xc7a50t")
    stand_ins.make_database(tmp_path / "database")
    monkeypatch.setenv("CHIPDB_DIR", str(tmp_path / "chips"))
    monkeypatch.setenv("DB_DIR", str(tmp_path / "database"))


@pytest.fixture(scope="module")
def built(digits_checkpoint, tmp_path_factory):
    """A build with openXC7, from the checkpoint to the bitstream; ``said`` is what it printed."""
    root = tmp_path_factory.mktemp("openxc7")
    out = root / "arty_a7"
    stand_ins.install(root, *stand_ins.OPEN_TOOLS)
    stand_ins.make_chip_database(root / "chipdb", "xc7a35tcsg324")
    stand_ins.make_database(root / "prjxray-db")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as said:
        forget_installs(patch, root)
        code = build.main([*OPTIONS, "--ckpt", str(digits_checkpoint), "--out", str(out)])
    report = json.loads((out / "report.json").read_text()) if code == 0 else {}
    top = json.loads((out / "top.json").read_text())["modules"]["top"]
    cells = {name: cell for name, cell in top["cells"].items() if cell["type"].startswith("RAMB")}
    return SimpleNamespace(
        code=code,
        out=out,
        report=report,
        said=said.getvalue(),
        kinds={cell["type"] for cell in top["cells"].values()},
        block_rams=json.dumps({"modules": {"top": {"ports": top["ports"], "cells": cells}}}),
        design=make_design(digits_checkpoint, "arty_a7", target_fps=10_000),
    )


@pytest.fixture
def run(built, digits_checkpoint, tmp_path, monkeypatch):
    """Make the bitstream of that build's netlist again, without the cells that are not block RAM."""

    def netlist_again(own):
        for name in ("openxc7.sh", "openxc7.xdc"):
            shutil.copyfile(built.out / name, own.folder / name)
        shutil.copytree(built.out / "vivado", own.folder / "vivado")
        (own.folder / "top.json").write_text(built.block_rams)
        own.report = make_report(built.design, 80.0) | {"resources": built.report["resources"]}
        own.memories = [SimpleNamespace(path=path) for path in built.report["read_back"]]

    for name in ("network", "rtl", "synth"):
        monkeypatch.setitem(board.STEPS, name, (name, netlist_again if name == "synth" else lambda _: None))
    monkeypatch.setattr(building, "design_of", lambda _: built.design)

    def start():
        out = tmp_path / "arty_a7"
        code = build.main([*OPTIONS, "--ckpt", str(digits_checkpoint), "--out", str(out)])
        report = json.loads((out / "report.json").read_text()) if code in (0, 3) else None
        return SimpleNamespace(code=code, out=out, report=report)

    return start


def line_of(capsys) -> str:
    """The last line on stderr, which is an error."""
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


def test_from_a_checkpoint_to_a_bitstream(built):
    assert built.code == 0
    assert built.report["bitstream"] == "openxc7.bit"
    assert (built.out / "openxc7.bit").stat().st_size > 1000
    assert built.report["clock_mhz"] == 80
    assert built.report["fmax_mhz"] == 91.37
    assert built.report["fmax_note"] == "hint, not a sign-off"
    for text in (built.said, (built.out / "report.md").read_text()):
        assert "91.4 MHz (hint, not a sign-off)" in text
        assert "read back out of top.fasm, of which the bitstream was made" in text
    assert "device.network.hidden_0_projection.array.weights_0" in built.report["read_back"]
    assert built.report["tools"]["nextpnr-xilinx"] == "0.8.2-25-stand-in"
    assert built.report["tools"]["chip database"].startswith("xc7a35tcsg324.bin (sha256 ")
    assert '"LVCMOS33"' in (built.out / "vivado/top.xdc").read_text()
    assert '"' not in (built.out / "openxc7.xdc").read_text()
    assert not any(kind.startswith("$") for kind in built.kinds)
    assert "RAMB18E1" in built.kinds
    assert "DSP48E1" not in built.kinds


@pytest.mark.usefixtures("databases")
def test_the_newer_command_line(run, tmp_path):
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS, nextpnr="nextpnr_himbaechel")
    built = run()
    assert (built.code, built.report["bitstream"]) == (0, "openxc7.bit")
    assert built.report["fmax_mhz"] == 91.37
    assert built.report["tools"]["nextpnr-xilinx"] == "0.11.1-stand-in"
    assert built.report["tools"]["chip database"].startswith("chipdb-xc7a50t.bin ")


@pytest.mark.usefixtures("databases")
def test_the_newer_program_behind_the_older_options(run, tmp_path):
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS, nextpnr="nextpnr_shim")
    (tmp_path / "chips" / "xc7a35tcsg324.bin").unlink()
    (tmp_path / "chips" / "xc7a35tcsg324.bin").symlink_to("chipdb-xc7a50t.bin")
    built = run()
    assert (built.code, built.report["bitstream"]) == (0, "openxc7.bit")
    assert built.report["tools"]["nextpnr-xilinx"] == "unknown version"


@pytest.mark.usefixtures("databases")
def test_a_clock_that_is_not_reached_is_no_error(run, tmp_path, monkeypatch):
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS)
    monkeypatch.setenv(stand_ins.FMAX, "78.12")
    built = run()
    assert (built.code, built.report["fmax_mhz"]) == (0, 78.12)


@pytest.mark.usefixtures("databases")
def test_the_bitstream_itself_is_read_where_it_can_be(run, tmp_path, monkeypatch, capsys):
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS, "bit2fasm", "bitread")
    built = run()
    assert built.code == 0
    assert built.report["read_back_from"] == "the bitstream"
    assert not (built.out / "unpacked.fasm").exists()
    monkeypatch.setenv(stand_ins.FLAW, "a bit of the bitstream")
    assert run().code == 2
    assert "block RAM in openxc7.bit: 1 of the netlist's" in line_of(capsys)


@pytest.mark.usefixtures("databases")
def test_block_ram_that_differs_is_found(run, tmp_path, monkeypatch, capsys):
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS)
    monkeypatch.setenv(stand_ins.FLAW, "a block RAM bit")
    assert run().code == 2
    line = line_of(capsys)
    assert "block RAM in top.fasm: 1 of the netlist's" in line
    assert "1 are there that the netlist does not have" in line


@pytest.mark.usefixtures("databases")
def test_quotes_in_the_constraints_are_found_as_dead_pins(run, built, tmp_path, capsys):
    """As it was: constraints with Vivado's quotes, which nextpnr-xilinx keeps."""
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS)
    path = built.out / "openxc7.xdc"
    own = path.read_text()
    path.write_text(own.replace("LVCMOS33", '"LVCMOS33"'))
    code = run().code
    path.write_text(own)
    assert code == 2
    line = line_of(capsys)
    assert "would be dead" in line
    assert "LVCMOS33" in line


@pytest.mark.parametrize(
    ("gone", "pin"), [("LVTTL.IN\n", "E3"), ("LVTTL.DRIVE.I12_I8\n", "D10"), ("SSTL15.SLEW.SLOW\n", "D10")]
)
@pytest.mark.usefixtures("databases")
def test_a_dead_pin_is_named(gone, pin, tmp_path):
    pins = tmp_path / "database/artix7/xc7a35tcsg324-1/package_pins.csv"
    directions = {"clock": "input", "tx": "output"}
    check_pins(TWO_PINS, EXCERPT, directions, pins)
    assert gone in EXCERPT
    with pytest.raises(UserError, match=f"pin {pin} "):
        check_pins(TWO_PINS, EXCERPT.replace(gone, "LVTTL.OTHER\n"), directions, pins)
    with pytest.raises(UserError, match="package_pins"):
        check_pins(TWO_PINS.replace("E3", "Z9"), EXCERPT, directions, pins)


@pytest.mark.usefixtures("databases")
def test_a_port_without_constraints_is_named(tmp_path):
    pins = tmp_path / "database/artix7/xc7a35tcsg324-1/package_pins.csv"
    directions = {"clock": "input", "tx": "output"}
    without = TWO_PINS.replace("set_property IOSTANDARD LVCMOS33 [get_ports tx]\n", "")
    for xdc, fasm, port in (("", EXCERPT, "clock"), ("", "", "clock"), (without, EXCERPT, "tx")):
        with pytest.raises(UserError, match=f"port {port} would be dead"):
            check_pins(xdc, fasm, directions, pins)
    with pytest.raises(UserError, match="port reset would be dead"):
        check_pins(TWO_PINS, EXCERPT, {**directions, "reset": "input"}, pins)


def test_what_is_no_pin_constraint_stays_out():
    text = (
        'set_property LOC E3 [get_ports "clock"]\nset_property IOSTANDARD "LVCMOS33" [get_ports "clock"]\n'
        'set_property DRIVE "8" [get_ports "led"]\n# set_property LOC A1 [get_ports "no"]\n'
        "set_property CLOCK_DEDICATED_ROUTE FALSE [get_nets clock]\nset_property CFGBVS VCCO [current_design]\n"
        "    set_property INTERNAL_VREF 0.675 [get_iobanks 34]\ncreate_clock -period 10.0 [get_nets clock]\n"
    )
    assert openxc7.constraints(text) == (
        "set_property LOC E3 [get_ports clock]\nset_property IOSTANDARD LVCMOS33 [get_ports clock]\n"
        "set_property DRIVE 8 [get_ports led]\n"
    )


def test_no_tool_at_all(run, capsys):
    built = run()
    assert built.code == 3
    assert built.report["bitstream"] is None
    needs = "Vivado, or openXC7: nextpnr-xilinx, fasm2frames, xc7frames2bit"
    assert built.report["missing_tools"] == [needs]
    assert built.report["resources"]["dsp"] == 0
    said = capsys.readouterr().err.splitlines()
    assert needs in said[0]
    assert needs in said[-1]
    for name in ("vivado/top.tcl", "vivado/top.xdc", "vivado/build.sh", "openxc7.sh", "openxc7.xdc", "top.json"):
        assert (built.out / name).is_file(), name


@pytest.mark.parametrize("nextpnr", ["nextpnr_xilinx", "nextpnr_himbaechel"])
@pytest.mark.usefixtures("databases")
def test_the_script_does_the_same(nextpnr, run, tmp_path):
    built = run()
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS, nextpnr=nextpnr)
    subprocess.run(["sh", "openxc7.sh"], cwd=built.out, check=True, capture_output=True)
    by_hand = (built.out / "openxc7.bit").read_bytes()
    again = run()
    assert again.code == 0
    assert (again.out / "openxc7.bit").read_bytes() == by_hand


def test_a_database_that_is_missing_is_said_at_once(tmp_path, digits_checkpoint, fails, monkeypatch):
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS)
    monkeypatch.setattr(board, "run_tool", None)
    arguments = [*OPTIONS, "--ckpt", digits_checkpoint, "--out", tmp_path / "out"]
    line = fails(build.main, *arguments)
    assert "xc7a35tcsg324.bin" in line
    assert "CHIPDB_DIR" in line
    # What was taken for the database once: one file for all packages of a device.
    stand_ins.make_chip_database(tmp_path / "chips", "xc7a35t")
    monkeypatch.setenv("CHIPDB_DIR", str(tmp_path / "chips"))
    line = fails(build.main, *arguments)
    assert f"not in {tmp_path / 'chips'}, which CHIPDB_DIR names" in line
    stand_ins.make_chip_database(tmp_path / "chips", "xc7a35tcsg324")
    line = fails(build.main, *arguments)
    assert "artix7/xc7a35tcsg324-1/part.yaml" in line
    assert "DB_DIR" in line
    assert not (tmp_path / "out").exists()


def test_a_tool_that_cannot_run_is_said_at_once(tmp_path, digits_checkpoint, fails):
    folder = stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS)
    (folder / "nextpnr-xilinx").write_text("#!/nowhere/python\n")
    line = fails(build.main, *OPTIONS, "--ckpt", digits_checkpoint, "--out", tmp_path / "out")
    assert "nextpnr-xilinx cannot be run" in line


@pytest.mark.parametrize(
    ("chips", "database", "variables"),
    [
        ("chipdb", "share/nextpnr/external/prjxray-db", {}),
        ("share/nextpnr/xilinx-chipdb", "share/nextpnr/prjxray-db", {}),
        ("home/.local/openxc7/chipdb", "home/.local/openxc7/share/nextpnr/external/prjxray-db", {}),
        ("home/.apio/packages/openxc7/chipdb", "home/.apio/packages/openxc7/share/nextpnr/external/prjxray-db", {}),
        ("apio/openxc7/chipdb", "apio/openxc7/prjxray-db", {"APIO_PACKAGES": "apio"}),
        ("nix/artix7", "nix/db", {"ARTIX7_CHIPDB": "nix/artix7", "PRJXRAY_DB_DIR": "nix/db"}),
        ("nix/c", "nix/external/prjxray-db", {"NEXTPNR_XILINX_CHIPDB_DIR": "nix/c/", "NEXTPNR_XILINX_DIR": "nix"}),
    ],
)  # fmt: skip
def test_databases_are_found_where_installs_put_them(chips, database, variables, tmp_path, monkeypatch):
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, f"{tmp_path}/{value}")
    part = openxc7.part_of(find_board("arty_a7"))
    assert openxc7.setup_fault(part)
    stand_ins.make_chip_database(tmp_path / chips, "xc7a35tcsg324")
    stand_ins.make_database(tmp_path / database)
    setup = openxc7.find_setup(part)
    assert setup.chip == tmp_path / chips / "xc7a35tcsg324.bin"
    assert setup.database == tmp_path / database / "artix7"


def test_packages_of_one_device_have_databases_of_their_own():
    footprints = {name: openxc7.part_of(find_board(name)).footprint for name in ("arty_a7", "cmod_a7_35", "nexys4ddr")}
    assert footprints == {"arty_a7": "xc7a35tcsg324", "cmod_a7_35": "xc7a35tcpg236", "nexys4ddr": "xc7a100tcsg324"}


def listed(capsys, monkeypatch) -> dict[str, str]:
    """What the list of boards says of each."""
    monkeypatch.setenv("COLUMNS", "400")
    assert build.main(["--list-boards"]) == 0
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    return {row[1].strip(): row[-2].strip() for row in rows}


def test_list_of_boards(tmp_path, monkeypatch, capsys):
    xilinx = {name for name, board in CATALOGUE.items() if board.family.name == "xilinx7"}
    vivado_only = {"cmod_a7_15", "cmod_s7"}
    said = listed(capsys, monkeypatch)
    assert all("needs Vivado, or openXC7: nextpnr-xilinx" in said[name] for name in xilinx - vivado_only)
    assert all("needs Vivado (no open database" in said[name] for name in vivado_only)
    stand_ins.install(tmp_path, *stand_ins.OPEN_TOOLS)
    said = listed(capsys, monkeypatch)
    assert "bitstream" not in {said[name] for name in xilinx}
    assert "chip database xc7a35tcsg324.bin" in said["arty_a7"]
    stand_ins.make_chip_database(tmp_path / "chipdb", "xc7a35tcsg324")
    stand_ins.make_database(tmp_path / "prjxray-db")
    said = listed(capsys, monkeypatch)
    assert {name for name in xilinx if said[name] == "bitstream"} == {"arty_a7"}
    assert all("needs Vivado (no open database" in said[name] for name in vivado_only)
    stand_ins.install(tmp_path, "vivado")
    said = listed(capsys, monkeypatch)
    assert {said[name] for name in xilinx} == {"bitstream"}


def test_vivado(run, tmp_path, monkeypatch, capsys):
    stand_ins.install(tmp_path, "vivado")
    built = run()
    assert (built.code, built.report["bitstream"]) == (0, "vivado/top.bit")
    assert built.report["tools"]["vivado"] == "2025.1"
    assert (built.report["read_back"], built.report["read_back_from"]) == ([], None)
    monkeypatch.setenv(stand_ins.VERDICT, "Timing constraints are not met.")
    assert run().code == 2
    assert "timing is not met" in line_of(capsys)


def test_halves_of_block_rams():
    random = np.random.default_rng(3)
    parameters = {
        f"{name}_{row:02X}": "".join(random.choice(["0", "1"], 256))
        for name, rows in (("INIT", 128), ("INITP", 16))
        for row in range(rows)
    }
    small = {name: digits for name, digits in parameters.items() if int(name[-2:], 16) < (64 if name[4] == "_" else 8)}
    cells = {
        "big": {"type": "RAMB36E1", "parameters": parameters},
        "small": {"type": "RAMB18E1", "parameters": small},
    }
    text = "\n".join(line for half, rows in stand_ins.halves(cells).items() for line in stand_ins.row_lines(half, rows))
    halves = [*RAMB(2).in_halves(parameters), *RAMB(1).in_halves(small)]
    empty = np.zeros(18 * 1024, dtype=np.uint8)
    assert check_halves(text, [*halves, empty], "the test") == 3
    assert check_halves(text, halves[::-1], "the test") == 3
    with pytest.raises(UserError, match="1 of the netlist's 4"):
        check_halves(text, [*halves, halves[0]], "the test")
    with pytest.raises(UserError, match="0 of the netlist's 2 initialised halves are missing, and 1 are there"):
        check_halves(text, halves[1:], "the test")


def test_forms_of_fasm():
    place = "BRAM_R_X5Y0.RAMB18_Y0"
    forms = ("01[7:4] = 4'b1010", "3F[255] = 1", "02[3:0] = 4'hC", "03[1:0] = 2'b0_1")
    others = [f"{place}.INITP_07[0]", f"{place}.IN_USE", "CLBLL_L_X2Y1.SLICEL_X0.ALUT.INIT[63:0] = 64'b1"]
    text = "\n".join([*(f"{place}.INIT_{form}" for form in forms), *others])
    (held,) = halves_in_fasm(text).values()
    assert np.flatnonzero(held).tolist() == [256 + 5, 256 + 7, 512 + 2, 512 + 3, 768, 64 * 256 - 1, 71 * 256]
    for wrong in ("INIT_40[0]", "INIT_00[256]", "INIT_00[1:0] = 3'b111", "INITP_08[0]"):
        with pytest.raises(UserError, match="no block RAM has"):
            halves_in_fasm(f"{place}.{wrong}\n")
