"""A core inside somebody's design: Verilog, resources, and everything around it."""

from pathlib import Path
from typing import Any

from gen.design import Design
from gen.emit.core import MODULE, core_config, core_rtlil, core_verilog
from gen.emit.rtl import check_tables
from gen.emit.toolrun import run_tool
from gen.facts.netlist import used_by_part
from gen.fit import check_fit, used_resources
from gen.package.contents import Contents
from gen.package.files import package_files
from gen.package.software import table_files
from gen.planning.activity import KnownActivity
from gen.planning.latency import expected_latency
from gen.targets.target import (
    Build,
    Step,
    Target,
    check_weights,
    find_late_alternatives,
    save_plan,
    stage_names,
    step_network,
)
from qblif.files import write_files

RTL, SYNTHESIS = Path("rtl"), Path("synth")


def step_rtl(build: Build) -> None:
    """Save plan and Verilog; read back the plan, and every weight from the Verilog and from the memory words."""
    save_plan(build)
    text = core_verilog(core_config(build.design))
    (build.folder / RTL).mkdir()
    (build.folder / RTL / f"{MODULE}.v").write_text(text)
    check_tables(text, build.design.config, f"{MODULE}.network")
    check_weights(build.design)


def step_synthesis(build: Build) -> None:
    """Synthesise the core alone and compare its needs with the part."""
    design, family = build.design, build.design.board.family
    folder, config = build.folder / SYNTHESIS, core_config(build.design)
    folder.mkdir()
    source = core_rtlil(config) if family.source_format == "il" else core_verilog(config)
    (folder / f"{MODULE}.{family.source_format}").write_text(source)
    (folder / f"{MODULE}.ys").write_text(family.synthesis_script(MODULE))
    run_tool(family.synthesis(MODULE), folder)
    find_late_alternatives(build)
    used = used_resources(design, folder, MODULE)
    build.report["resources"] = used.counts
    build.report["used_by_part"] = used_by_part(folder / f"{MODULE}.json", stage_names(design), family)
    check_fit(design, used)


def step_package(build: Build) -> None:
    """Write what surrounds the Verilog."""
    design = build.design
    expectation = KnownActivity(
        network=design.network, activity=design.origin.activity, inputs=design.inputs, schedule=design.plan.schedule
    )
    latency = expected_latency(design.config, expectation)
    build.report["latency_cycles_expected"] = latency
    contents = Contents(design=design, config=core_config(design), report=build.report, latency=latency)
    write_files(build.folder, package_files(contents))


def step_tables(build: Build) -> None:
    """Write the tables of another network, which a host puts into the running core of an earlier build."""
    save_plan(build)
    write_files(build.folder, table_files(build.design))


STEPS: dict[str, Step] = {
    "network": ("integer network", step_network),
    "rtl": ("plan and Verilog", step_rtl),
    "synth": ("synthesis", step_synthesis),
    "package": ("package", step_package),
}
PATCH_STEPS: dict[str, Step] = {
    "network": STEPS["network"],
    "tables": ("tables of other weights", step_tables),
}


class CoreTarget(Target):
    """A core, with the ports that its name says."""

    steps = STEPS
    patch_steps = PATCH_STEPS

    def check(self, design: Design) -> None:
        """Everything that a core needs is installed with the project."""

    def ending(self, report: dict[str, Any], out: Path) -> int:
        return 0
