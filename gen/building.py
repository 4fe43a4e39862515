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
from pathlib import Path
from typing import Any

from gen.built import one_build
from gen.design import Design, design_of
from gen.emit.patch import patched_design, patched_files
from gen.page.report import report_page
from gen.report import markdown
from gen.reported import HTML_PAGE, PAGE, REPORT, file_hashes
from gen.targets.registry import TARGETS
from gen.targets.target import Build, TimingError
from qblif.errors import UserError
from qblif.files import whole_folder
from qblif.progress import step


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


def run_steps(build: Build, until: str) -> None:
    """Run the steps up to ``until``, or the steps that patch a build."""
    target = TARGETS[build.design.target]
    for name, (purpose, action) in (target.patch_steps if build.patched else target.steps).items():
        build.run(purpose, functools.partial(action, build))
        if name == until:
            break


def run_build(design: Design, out: Path, until: str, patched: Path | None = None) -> dict[str, Any]:
    """Run the steps up to ``until``, or the steps that patch the build ``patched``, and put their products at ``out``.

    Returns:
        The report, as in ``out/report.json``.

    Raises:
        UserError: ``out`` cannot be written or is not a build folder, or a step failed; ``out`` is left as it was.
    """
    check_replaceable(out)
    target = TARGETS[design.target]
    if until == target.last_step:
        target.check(design)
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
    if options.patch is not None:
        return patch(options)
    with step("plan"):
        design = design_of(options)
    if design.origin.kind == "float":
        print(
            "note: a float checkpoint; its weights are rounded here, train with --qat-epochs to keep accuracy",
            file=sys.stderr,
        )
    target = TARGETS[design.target]
    until = options.until or target.last_step
    out = (Path("build") / default_folder(options) if options.out is None else options.out).resolve()
    report = run_build(design, out, until)
    print(markdown(report))
    return target.ending(report, out) if until == target.last_step else 0


def default_folder(options: argparse.Namespace) -> str:
    """The name of the folder of a build for which none is named."""
    return options.board if options.part is None else f"{options.part}-{options.target}"
