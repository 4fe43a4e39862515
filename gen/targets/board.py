"""A development board: netlist, bitstream, and other weights for a bitstream."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from boards.board import Board
from boards.families.nextpnr import TIMING
from gen.design import Design
from gen.emit.block_rams import NETLIST, fill_tables, find_tables, place_tables, read_back
from gen.emit.board_top import board_top
from gen.emit.memory_images import RTLIL, memory_images, with_placeholders
from gen.emit.patch import built_report, patch_files
from gen.emit.rtl import check_tables, network_verilog
from gen.emit.toolrun import run_tool
from gen.facts.netlist import floorplan, used_by_part, utilisation
from gen.fit import check_fit, used_resources
from gen.report import HINT
from gen.targets.target import (
    Build,
    Step,
    Target,
    TimingError,
    check_weights,
    find_late_alternatives,
    save_plan,
    stage_names,
    step_network,
)
from qblif.errors import EXIT_NO_BITSTREAM_TOOL, UserError
from qblif.files import write_files


def step_rtl(build: Build) -> None:
    """Save plan and Verilog; read back the plan, and every weight from the Verilog and from the memory words."""
    design = build.design
    save_plan(build)
    text = network_verilog(design.config)
    (build.folder / "network.v").write_text(text)
    check_tables(text, design.config)
    check_weights(design)


def step_synthesis(build: Build) -> None:
    """Synthesise the board's top and compare its needs with the board."""
    design = build.design
    family = design.board.family
    write_files(build.folder, board_files(design))
    run_tool(family.synthesis("top"), build.folder)
    if family.block_ram_format is not None:
        build.memories = fill_tables(
            build.folder, family.block_ram_format, memory_images(design), placeholders=design.patchable
        )
    elif family.block_ram_kinds:
        build.memories = find_tables(
            (build.folder / NETLIST).read_text(), family.block_ram_kinds, memory_images(design)
        )
    find_late_alternatives(build)
    used = used_resources(design, build.folder)
    build.report["resources"] = used.counts
    build.report["used_by_part"] = used_by_part(build.folder / NETLIST, stage_names(design), family)
    check_fit(design, used)


def board_files(design: Design) -> dict[str, str]:
    """The files of the board's top; in a patchable design the tables hold placeholders."""
    files = design.board.family.files(design.dev_board, board_top(design), design.plan.clock_mhz)
    if design.patchable:
        files[RTLIL] = with_placeholders(files[RTLIL], memory_images(design))
    return files


def step_bitstream(build: Build) -> None:
    """Place, route and pack, if the tools for it are installed; timing must be met unless Fmax is only a hint."""
    board, family = build.design.dev_board, build.design.board.family
    build.report["missing_tools"] = family.missing_tools(board)
    if build.report["missing_tools"]:
        return
    build.report["tools"] |= family.tool_versions(board)
    clock = build.design.plan.clock_mhz
    for command in family.implementation(board, clock):
        run_tool(command, build.folder)
    build.report["fmax_mhz"] = fmax = family.fmax_mhz(build.folder)
    build.report["utilisation"] = utilisation(build.folder / TIMING)
    if family.placed is not None:
        build.report["floorplan"] = floorplan(build.folder / family.placed, stage_names(build.design))
    build.report["critical_paths"] = [dataclasses.asdict(path) for path in family.critical_paths(build.folder)]
    if family.fmax_is_hint():
        build.report["fmax_note"] = HINT
    elif fmax is not None and fmax < clock:
        raise TimingError(board, clock, fmax)
    if family.block_ram_format is not None:
        build.memories = place_tables(build.folder, family.block_ram_format, build.memories)
    check_bitstream(build)


def check_bitstream(build: Build) -> None:
    """Read the bitstream back if possible: every table in block RAM must hold the words of the network's table."""
    design, family = build.design, build.design.board.family
    bitstream = family.bitstream()
    if not (build.folder / bitstream).is_file():
        raise RuntimeError(f"the tools ended well but left no {bitstream}")
    if family.block_ram_format is not None:
        read_back(build.folder, bitstream, family.block_ram_format, build.memories, memory_images(design))
        build.report["read_back_from"] = "the bitstream"
    else:
        build.report["read_back_from"] = family.check_products(design.dev_board, build.folder)
    if build.report["read_back_from"]:
        build.report["read_back"] = [memory.path for memory in build.memories]
        build.report["not_read_back"] = [
            stage.name
            for stage in design.plan.stages
            if any(style != "block" for table, style in stage.tables().items() if table != "constants")
        ]
    build.report["bitstream"] = bitstream


def step_patch(build: Build) -> None:
    """Put the network's tables into the placed and routed design of an earlier build, and pack it."""
    design, family = build.design, build.design.board.family
    assert build.patched is not None
    assert family.block_ram_format is not None
    (build.folder / "plan.json").write_text(design.plan.to_json())
    build.report |= built_report(build.patched)
    build.memories = patch_files(build.patched, build.folder, family.block_ram_format, memory_images(design))
    run_tool(family.implementation(design.dev_board, design.plan.clock_mhz)[-1], build.folder)
    check_bitstream(build)


STEPS: dict[str, Step] = {
    "network": ("integer network", step_network),
    "rtl": ("plan and Verilog", step_rtl),
    "synth": ("synthesis", step_synthesis),
    "bitstream": ("place, route and bitstream", step_bitstream),
}
PATCH_STEPS: dict[str, Step] = {
    "network": STEPS["network"],
    "patch": ("other weights and bitstream", step_patch),
}


class BoardTarget(Target):
    """The bitstream of a board."""

    steps = STEPS
    patch_steps = PATCH_STEPS

    def check(self, design: Design) -> None:
        check_tools(design.dev_board)

    def ending(self, report: dict[str, Any], out: Path) -> int:
        if report["bitstream"] is not None:
            return 0
        missing = ", ".join(report["missing_tools"])
        print(f"no bitstream, which needs {missing}; {out} holds everything that they need", file=sys.stderr)
        return EXIT_NO_BITSTREAM_TOOL


def check_tools(board: Board) -> None:
    """Say at once if the tools for a bitstream are missing; raises UserError if they are set up wrongly."""
    if missing := board.family.missing_tools(board):
        print(f"note: there will be no bitstream, which needs {', '.join(missing)}", file=sys.stderr)
    elif fault := board.family.setup_fault(board):
        raise UserError(f"{fault}; --until synth goes as far as the netlist")
