"""What ``python -m gen.build`` does.

A build is an ordered list of steps; each saves its products and checks them by reading them back. Everything is made in
a partial folder of this build, which becomes OUT when everything requested is there, and OUT.failed if a step fails.
"""

import argparse
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from boards.board import Board
from boards.catalogue import CATALOGUE
from boards.families.nextpnr import TIMING
from gen.built import one_build
from gen.design import Design, design_of
from gen.emit.block_rams import NETLIST, MemoryBlocks, fill_tables, find_tables, place_tables, read_back
from gen.emit.board_top import board_top, fastest_clock
from gen.emit.memory_images import RTLIL, memory_images, with_placeholders
from gen.emit.patch import built_report, patch_files, patched_design, patched_files
from gen.emit.rtl import check_tables, network_verilog
from gen.emit.toolrun import run_tool
from gen.facts.netlist import floorplan, used_by_part, utilisation
from gen.fit import check_fit, used_resources
from gen.page.report import report_page
from gen.report import HINT, make_report, markdown
from gen.reported import HTML_PAGE, PAGE, REPORT, file_hashes
from hw.plan import load_plan
from qblif.errors import EXIT_NO_BITSTREAM_TOOL, UserError
from qblif.files import whole_folder
from qblif.network.file import load_network, network_sha256, save_network
from qblif.network.graph import Network
from qblif.network.projections import Skip
from qblif.progress import step

CLOCK_MARGIN = 0.95
"""Share of a reached Fmax at which the same design, placed and routed again, surely meets timing."""


class TimingError(UserError):
    """Place and route reached only ``fmax_mhz`` of ``clock_mhz``; ``slower_mhz`` is a clock within reach, or None."""

    def __init__(self, board: Board, clock_mhz: float, fmax_mhz: float) -> None:
        self.clock_mhz, self.fmax_mhz = clock_mhz, fmax_mhz
        self.slower_mhz = fastest_clock(board, fmax_mhz * CLOCK_MARGIN)
        advice = f"; try --clock-mhz {self.slower_mhz:g}" if self.slower_mhz else ""
        super().__init__(f"timing is not met: {fmax_mhz:.1f} of {clock_mhz:g} MHz{advice}")


@dataclass(kw_only=True)
class Build:
    """The state of the steps: the design, the folder they write to, and the report they fill in.

    ``memories``: where the tables in block RAM are. ``patched``: the build whose hardware is reused. ``missed``: the
    error of the faster clock that was tried before and not met.
    """

    design: Design
    folder: Path
    report: dict[str, Any] = field(default_factory=dict)
    memories: list[MemoryBlocks] = field(default_factory=list)
    patched: Path | None = None
    missed: TimingError | None = None

    def run(self, purpose: str, action: Callable[[], None]) -> None:
        """Run one action and show its progress."""
        with step(f"{self.design.board.name}: {purpose}"):
            action()


def step_network(build: Build) -> None:
    """Save the integer network, read it back and check that the arrays are the same."""
    path = build.folder / "network.safetensors"
    save_network(path, build.design.network, build.design.references)
    network, references = load_network(path)
    if network_sha256(network, references) != build.design.sha256 or not same_weights(network, build.design.network):
        raise RuntimeError("the saved network is not the network that was saved")
    build.report = make_report(build.design, build.design.plan.clock_mhz)
    if build.missed is not None:
        build.report["missed"] = {"clock_mhz": build.missed.clock_mhz, "fmax_mhz": build.missed.fmax_mhz}


def step_rtl(build: Build) -> None:
    """Save plan and Verilog; read back the plan, and every weight from the Verilog and from the memory words."""
    design = build.design
    (build.folder / "plan.json").write_text(design.plan.to_json())
    if load_plan(build.folder / "plan.json") != design.plan:
        raise RuntimeError("the saved plan is not the plan that was saved")
    text = network_verilog(design.config)
    (build.folder / "network.v").write_text(text)
    check_tables(text, design.config)
    for layer in design.config.layers:
        for engine, projection in zip(layer.engines, design.network.weighted_projections(layer.name), strict=True):
            weights = projection.full_weights
            if (engine.stored_weights(weights.shape) != weights).any():
                raise RuntimeError(f"layer {layer.name}: the weight memory does not hold the network's weights")


def step_synthesis(build: Build) -> None:
    """Synthesise the board's top and compare its needs with the board."""
    design = build.design
    family = design.board.family
    for name, text in board_files(design).items():
        path = build.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    run_tool(family.synthesis("top"), build.folder)
    if family.block_ram_format is not None:
        build.memories = fill_tables(
            build.folder, family.block_ram_format, memory_images(design), placeholders=design.patchable
        )
    elif family.block_ram_kinds:
        build.memories = find_tables(
            (build.folder / NETLIST).read_text(), family.block_ram_kinds, memory_images(design)
        )
    used = used_resources(design, build.folder)
    build.report["resources"] = used.counts
    build.report["used_by_part"] = used_by_part(build.folder / NETLIST, stage_names(design), family)
    check_fit(design, used)


def board_files(design: Design) -> dict[str, str]:
    """The files of the board's top; in a patchable design the tables hold placeholders."""
    files = design.board.family.files(design.board, board_top(design), design.plan.clock_mhz)
    if design.patchable:
        files[RTLIL] = with_placeholders(files[RTLIL], memory_images(design))
    return files


def stage_names(design: Design) -> list[str]:
    """The names of the network's layers and poolings, in order."""
    return [stage.name for stage in design.config.stages]


def step_bitstream(build: Build) -> None:
    """Place, route and pack, if the tools for it are installed; timing must be met unless Fmax is only a hint."""
    board, family = build.design.board, build.design.board.family
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
        build.report["read_back_from"] = family.check_products(design.board, build.folder)
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
    run_tool(family.implementation(design.board, design.plan.clock_mhz)[-1], build.folder)
    check_bitstream(build)


STEPS: dict[str, tuple[str, Callable[[Build], None]]] = {
    "network": ("integer network", step_network),
    "rtl": ("plan and Verilog", step_rtl),
    "synth": ("synthesis", step_synthesis),
    "bitstream": ("place, route and bitstream", step_bitstream),
}
PATCH_STEPS: dict[str, tuple[str, Callable[[Build], None]]] = {
    "network": STEPS["network"],
    "patch": ("other weights and bitstream", step_patch),
}


def same_weights(one: Network, other: Network) -> bool:
    """Whether two networks have equal integers in every projection."""
    pairs = zip(one.projections, other.projections, strict=True)
    return all(
        a == b if isinstance(a, Skip) or isinstance(b, Skip) else np.array_equal(a.weights, b.weights) for a, b in pairs
    )


def check_tools(board: Board) -> None:
    """Say at once if the tools for a bitstream are missing; raises UserError if they are set up wrongly."""
    if missing := board.family.missing_tools(board):
        print(f"note: there will be no bitstream, which needs {', '.join(missing)}", file=sys.stderr)
    elif fault := board.family.setup_fault(board):
        raise UserError(f"{fault}; --until synth goes as far as the netlist")


def run_steps(build: Build, until: str) -> None:
    """Run the steps up to ``until``, or the steps that patch a build."""
    for name, (purpose, action) in (PATCH_STEPS if build.patched else STEPS).items():
        build.run(purpose, functools.partial(action, build))
        if name == until:
            break


def slower_design(design: Design, missed: TimingError, cycles: float) -> Design:
    """The same hardware at a clock that it meets; raises ``missed`` if another clock is not allowed or possible, and
    UserError if the slower clock would miss the requested rate."""
    clock = missed.slower_mhz
    if not design.clock_is_free or clock is None:
        raise missed
    rate = clock * 1e6 / cycles
    if design.target_fps is not None and rate < design.target_fps:
        raise UserError(
            f"timing is not met: {missed.fmax_mhz:.1f} of {missed.clock_mhz:g} MHz, and at {clock:g} MHz this design "
            f"does {rate:.0f} inferences per second; try --target-fps {rate:.0f} or --clock-mhz {clock:g}"
        ) from missed
    return dataclasses.replace(design, plan=dataclasses.replace(design.plan, clock_mhz=clock))


def run_build(design: Design, out: Path, until: str, patched: Path | None = None) -> dict[str, Any]:
    """Run the steps up to ``until``, or the steps that patch the build ``patched``, and put their products at ``out``.

    Returns:
        The report, as in ``out/report.json``.

    Raises:
        UserError: ``out`` cannot be written or is not a build folder, or a step failed; ``out`` is left as it was.
    """
    check_replaceable(out)
    if until == "bitstream":
        check_tools(design.board)
    with whole_folder(out, keep_failed=True) as partial:
        build = Build(design=design, folder=partial, patched=patched)
        try:
            run_steps(build, until)
        except TimingError as missed:
            slower = slower_design(design, missed, build.report["cycles_expected"])
            print(
                f"{missed.args[0].partition(';')[0]}; building again for {slower.plan.clock_mhz:g} MHz", file=sys.stderr
            )
            build = Build(design=slower, folder=partial, missed=missed)
            run_steps(build, until)
        build.report["files"] = file_hashes(partial)
        (partial / PAGE).write_text(markdown(build.report))
        (partial / HTML_PAGE).write_text(report_page(build.report))
        (partial / REPORT).write_text(json.dumps(build.report, indent=2) + "\n")
        check_replaceable(out)
    return build.report


LOOKS = 3
"""How often a folder that is not a build is looked at: another process may just be replacing one build by another."""


def check_replaceable(out: Path) -> None:
    """Raise UserError unless ``out`` is free, empty or an earlier build: nothing else is ever replaced."""
    try:
        replaceable = any(is_replaceable(out) for _ in range(LOOKS))
    except OSError as error:
        raise UserError(f"cannot write to --out {out}: {error.strerror}") from error
    if not replaceable or out == Path.cwd() or out in Path.cwd().parents:
        raise UserError(f"--out {out} exists and is not a build folder; name another or remove it")


def is_replaceable(out: Path) -> bool:
    """Whether ``out`` is free, empty or a build right now; raises OSError if it cannot be read."""
    try:
        with os.scandir(out) as entries:
            files = {entry.name: entry.is_file() for entry in entries}
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False
    return not files or files.get(REPORT, False)


def list_boards(console: Console) -> None:
    """Print every board and the last step that its tools can do on this machine."""
    table = Table("board", "part", "clock MHz", "LUT", "BRAM", "here")
    for board in CATALOGUE.values():
        if missing := board.family.missing_tools(board):
            reach = f"synthesis; bitstream needs {', '.join(missing)}"
        else:
            fault = board.family.setup_fault(board)
            reach = f"synthesis; {fault}" if fault else "bitstream"
        bram = f"{board.budget.bram:g} {board.family.bram_unit}"
        table.add_row(board.name, board.part, f"{board.default_clock_mhz:g}", str(board.budget.lut), bram, reach)
    console.print(table)


def patch(options: argparse.Namespace) -> int:
    """Put the weights of ``--ckpt`` into the build ``--patch``; returns the exit code."""
    folder = options.patch.resolve()
    out = folder.with_name(f"{folder.name}-patched") if options.out is None else options.out.resolve()
    with one_build(folder, patched_files(folder)) as built:
        report = run_build(patched_design(built, options.ckpt), out, "bitstream", built)
    print(markdown(report))
    return 0


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for; returns the exit code. Raises UserError."""
    if options.list_boards:
        list_boards(Console())
        return 0
    if options.patch is not None:
        return patch(options)
    with step("plan"):
        design = design_of(options)
    if design.origin.kind == "float":
        print(
            "note: a float checkpoint; its weights are rounded here, train with --qat-epochs to keep accuracy",
            file=sys.stderr,
        )
    out = (Path("build") / options.board if options.out is None else options.out).resolve()
    report = run_build(design, out, options.until)
    print(markdown(report))
    if options.until == "bitstream" and report["bitstream"] is None:
        missing = ", ".join(report["missing_tools"])
        print(f"no bitstream, which needs {missing}; {out} holds everything that they need", file=sys.stderr)
        return EXIT_NO_BITSTREAM_TOOL
    return 0
