"""What ``python -m examples.soc`` does."""

import argparse
import json
from pathlib import Path
from typing import Any

import litex.soc.cores.cpu.vexriscv as cpu
import litex.soc.software as litex_software
from litex.soc.integration import export
from litex.soc.integration.common import get_mem_data

from boards.board import UNAMBIGUOUS_NAMES, Board
from boards.catalogue import find_board
from examples.soc.console import differences, expected_lines, measured
from examples.soc.software import SOURCES, compile_firmware, find_compiler, images_header
from examples.soc.system import NAME, NetworkSoC, board_soc, simulated_soc
from gen.building import check_replaceable
from gen.design import Design, make_design
from gen.emit.core import MODULE, core_config, core_verilog
from gen.emit.toolrun import run_tool
from gen.package.contents import Contents
from gen.package.software import software_files
from gen.reported import REPORT
from gen.targets.target import TimingError
from qblif.errors import UserError
from qblif.files import whole_folder
from qblif.progress import step
from sim.cpp_bench import CPP_BENCH, cpp_sources
from sim.simulator import SimulationError, build_sources

CONSOLE, EXPECTED = "console.txt", "expected.txt"
MOST_CYCLES = 2_000_000
"""Of the simulation, for each image; more means that the system hangs."""
EXIT_DIFFERENT = 1
SYNTHESIS = f"""\
read_verilog {{sources}}
{UNAMBIGUOUS_NAMES}
{{mapping}}
synth_ecp5 -top {NAME}
# Not refused by -assert: VexRiscv has wires that nothing drives.
check
tee -q -o {NAME}.stat.json stat -json -top {NAME}
write_json {NAME}.json
"""


def design_of(options: argparse.Namespace) -> Design:
    """The core's design; raises UserError unless its samples are images of which there are enough."""
    design = make_design(
        options.ckpt,
        find_board(options.board),
        clock_mhz=options.clock_mhz,
        target_fps=options.target_fps,
        target="wishbone",
    )
    if design.network.input.coding != "direct" or len(design.references.samples) < options.count:
        raise UserError(f"--ckpt {options.ckpt} has no {options.count} reference inputs that are images")
    return design


def write_software(design: Design, soc: NetworkSoC, count: int, folder: Path) -> list[int]:
    """Write all headers, compile the firmware and return the words of the ROM."""
    generated = folder / "generated"
    generated.mkdir()
    headers = {
        "csr.h": export.get_csr_header(soc.csr_regions, soc.constants, csr_base=soc.mem_regions["csr"].origin),
        "mem.h": export.get_mem_header(soc.mem_regions),
        "soc.h": export.get_soc_header(soc.constants),
        "regions.ld": export.get_linker_regions(soc.mem_regions),
        "output_format.ld": export.get_linker_output_format(soc.cpu),
    }
    for name, text in headers.items():
        (generated / name).write_text(text)
    contents = Contents(design=design, config=core_config(design), report={}, latency=0)
    for name, text in software_files(contents).items():
        (folder / Path(name).name).write_text(text)
    references = design.references
    (folder / "images.h").write_text(images_header(design, references.samples[:count], references.labels[:count]))
    ours, theirs = Path(litex_software.__path__[0]), Path(cpu.__file__).parent
    binary = compile_firmware(
        [theirs / "crt0.S", SOURCES / "main.c", folder / f"{MODULE}_driver.c"],
        [folder, ours / "include", theirs],
        ours / "bios" / "linker.ld",
        soc.cpu.gcc_flags,
        folder,
    )
    words: list[int] = get_mem_data(str(binary), endianness="little")
    return words


def complete_soc(options: argparse.Namespace, design: Design, folder: Path) -> NetworkSoC:
    """The system with its firmware; all of its Verilog but its top is then in ``folder``."""
    config, clock_hz = core_config(design), design.plan.clock_mhz * 1e6
    board = design.dev_board
    with step("SoC and firmware"):
        soc = simulated_soc(config, clock_hz) if options.action == "simulate" else board_soc(board, config, clock_hz)
        soc.finalize()
        words = write_software(design, soc, options.count, folder)
        soc.init_rom("rom", words, auto_size=False)
        (folder / f"{MODULE}.v").write_text(core_verilog(config))
        for source, *_ in soc.platform.sources:
            (folder / Path(source).name).write_text(Path(source).read_text())
    return soc


def simulate(soc: NetworkSoC, count: int, folder: Path) -> str:
    """Run the system until the firmware is done; returns what its console printed. Raises SimulationError."""
    verilog = soc.platform.get_verilog(soc.get_fragment(), name=NAME)
    # The header's comments hold the date, and would hide that a simulation is built already.
    top = "\n".join(line for line in verilog.main_source.splitlines() if not line.startswith("//"))
    sources = {path.name: path.read_text() for path in folder.glob("*.v")}
    sources |= {"testbench.v": Path(__file__).with_name("testbench.v").read_text(), f"{NAME}.v": top, **cpp_sources()}
    simulation = build_sources(sources, "verilator", folder / "simulation", waves=False, bench=CPP_BENCH)
    for name, content in verilog.data_files.items():
        (folder / name).write_text(content)
    with step("simulation"):
        simulation.run({"console": CONSOLE, "limit": count * MOST_CYCLES}, folder / "simulation.log")
    return (folder / CONSOLE).read_text()


def build(soc: NetworkSoC, board: Board, clock_mhz: float, folder: Path) -> dict[str, Any]:
    """Synthesise, place and route; returns resources and timing. Raises UserError."""
    family = board.family
    others = [path.name for path in sorted(folder.glob("*.v"))]
    soc.build(build_dir=str(folder), build_name=NAME, run=False)
    (folder / f"{NAME}.ys").write_text(
        SYNTHESIS.format(sources=" ".join([f"{NAME}.v", *others]), mapping=family.lut.mapping)
    )
    with step("synthesis"):
        run_tool(family.synthesis(NAME), folder)
    for tool in family.implementation(board, clock_mhz):
        with step(tool.purpose):
            run_tool(tool, folder)
    cells = json.loads((folder / f"{NAME}.stat.json").read_text())["design"]["num_cells_by_type"]
    fmax = family.fmax_mhz(folder)
    if fmax is None or fmax < clock_mhz:
        raise TimingError(board, clock_mhz, fmax or 0.0)
    return {"resources": vars(family.resources(cells)), "fmax_mhz": fmax}


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for; returns the exit code. Raises UserError."""
    find_compiler()
    out = options.out.resolve()
    check_replaceable(out)
    with step("plan"):
        design = design_of(options)
    expected = expected_lines(design, options.count)
    report: dict[str, Any] = {"action": options.action, "network": design.sha256, "clock_mhz": design.plan.clock_mhz}
    with whole_folder(out, keep_failed=True) as folder:
        (folder / EXPECTED).write_text("\n".join([*expected, "done", ""]))
        soc = complete_soc(options, design, folder)
        wrong = []
        if options.action == "simulate":
            try:
                console = simulate(soc, options.count, folder)
            except SimulationError as error:
                raise UserError(str(error)) from error
            wrong = differences(console, expected)
            cycles = measured(console)
            report |= {
                "equal": options.count - len(wrong),
                "prepare_cycles": [prepare for prepare, _ in cycles],
                "answer_cycles": [answer for _, answer in cycles],
            }
            print(console, end="")
            print(*wrong, f"{options.count - len(wrong)} of {options.count} images as training printed them", sep="\n")
        else:
            report |= build(soc, design.dev_board, design.plan.clock_mhz, folder)
            print(json.dumps(report, indent=2))
        (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n")
        check_replaceable(out)
    return EXIT_DIFFERENT if wrong else 0
