"""What ``python -m studies.patching`` does: the builds, their seconds and their bytes."""

import argparse
import resource
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from boards.catalogue import find_board
from gen.emit.block_rams import NETLIST
from qblif.errors import UserError
from qblif.progress import step


def timed_build(purpose: str, *arguments: object) -> tuple[float, float]:
    """Seconds, and seconds of processor time, that a run of gen.build takes; raises UserError if it fails."""
    begin, used = time.perf_counter(), children_seconds()
    with step(purpose):
        command = [sys.executable, "-m", "gen.build", *map(str, arguments)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise UserError(f"{purpose}: {(finished.stderr.strip().splitlines() or ['gen.build failed'])[-1]}")
    return time.perf_counter() - begin, children_seconds() - used


def children_seconds() -> float:
    """Processor time of all finished child processes and their children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(options: argparse.Namespace) -> int:
    """Build, patch and compare; returns 1 if a byte differs. Raises UserError."""
    form = find_board(options.board).family.block_ram_format
    assert form is not None
    out = options.out
    built, patched, rebuilt = out / "built", out / "patched", out / "rebuilt"
    wanted = {"--clock-mhz": options.clock_mhz, "--target-fps": options.target_fps}
    rate = [word for name, value in wanted.items() if value is not None for word in (name, value)]
    board = ("--board", options.board)
    margin = ("--patchable", "--width-margin", options.width_margin)
    seconds = {"build": timed_build("build", *board, *rate, *margin, "--ckpt", options.ckpt, "--out", built)}
    other = ("--ckpt", options.other, "--out")
    seconds["patch"] = timed_build("patch", "--patch", built, *other, patched)
    plan = ("--plan", patched / "plan.json")
    seconds["build under the same plan"] = timed_build("second build", *board, *plan, *other, rebuilt)
    title = f"{options.other.stem} in the hardware of {options.ckpt.stem}, {options.board}"
    table = Table("", "seconds", "processor seconds", title=title)
    for what, taken in seconds.items():
        table.add_row(what, *(f"{amount:.1f}" for amount in taken))
    pairs = zip(seconds["build under the same plan"], seconds["patch"], strict=True)
    table.add_row("ratio", *(f"{built_in / patched_in:.1f}" for built_in, patched_in in pairs))
    bitstream = find_board(options.board).family.bitstream()
    compared = (NETLIST, form.text, bitstream)
    differing = [name for name in compared if (patched / name).read_bytes() != (rebuilt / name).read_bytes()]
    Console().print(table)
    print(f"files that differ: {', '.join(differing) or 'none of ' + ', '.join(compared)}")
    return 1 if differing else 0
