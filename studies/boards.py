"""Command line: build a reference network for every board, and write the table docs/boards.md.

    python -m studies.boards                    # builds what is not built yet: some minutes a board
    python -m studies.boards --only icebreaker  # builds that board again

What was built is kept in ``studies/boards.json``, a row a board, so that an interrupted run goes on where it was.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from boards.board import Board
from boards.catalogue import CATALOGUE, find_board
from gen.build import run_build
from gen.design import Design, make_design
from gen.plans import SHARE_OF_BOARD, evaluate
from hw.errors import UserError, check_output_file, command_line
from hw.files import sole_writer
from hw.progress import step
from sim.record import keep

BUILT = Path(__file__).with_name("boards.json")
ZOO = Path(__file__).resolve().parent.parent / "snn" / "zoo"
NETWORKS = ("fashion_mnist_mlp", "digits_mlp")
TITLES = {"fashion_mnist_mlp": "784-128-10, Fashion-MNIST", "digits_mlp": "64-32-10, digits"}
TARGET_FPS = 10_000
HEAD = """\
# What was built for each board

Written by `python -m studies.boards` (`make boards`). For each board the larger of two shipped networks that is
expected to stay within {share:.0%} of it, in the smallest design that does {fps:,} inferences a second, with
self-test and host link. The clock is the board's default; Fmax is the highest after place and route.

{summary}

| board | chip | network | built | clock MHz | Fmax MHz | LUT | FF | block RAM | DSP | serial line |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""

Row = dict[str, Any]
"""What is kept of a board: the network, and of its report what the table shows; or the error."""


def reference_design(board: Board) -> Design:
    """The larger of the reference networks that is expected to fit well; raises UserError when none fits at all."""
    for name in NETWORKS:
        try:
            design = make_design(ZOO / f"{name}.pt", board.name, target_fps=TARGET_FPS)
        except UserError:
            if name == NETWORKS[-1]:
                raise
            continue
        expected = evaluate(design.network, board, design.plan, design.checkpoint.activity, design.inputs)
        if not expected.excess(board, SHARE_OF_BOARD):
            break
    return design


def build_board(board: Board, folder: Path) -> Row:
    """Build the board's reference network as far as this machine can."""
    try:
        design = reference_design(board)
        report = run_build(design, folder / board.name, "bitstream")
    except UserError as error:
        return {"error": str(error).partition("; see ")[0]}
    if report["resources"]["bram"] < report["estimated"]["bram"]:
        # Block RAMs are counted exactly, so some of the network is missing: no pin of the board shows what it does.
        return {"error": "the board has nothing to see the network's results on"}
    return {
        "network": design.checkpoint.path.stem,
        "date": time.strftime("%Y-%m-%d"),
        **{key: report[key] for key in ("bitstream", "clock_mhz", "fmax_mhz", "fmax_note", "resources", "tools")},
    }


def built_rows() -> dict[str, Row]:
    """What has been built, by board."""
    rows: dict[str, Row] = json.loads(BUILT.read_text()) if BUILT.is_file() else {}
    return rows


def table(rows: dict[str, Row]) -> str:
    """The document."""
    shown = {name: rows[name] for name in CATALOGUE if name in rows}
    bitstreams = [row for row in shown.values() if row.get("bitstream")]
    judged = [row for row in bitstreams if row["fmax_mhz"] is not None and not row.get("fmax_note")]
    met = [row for row in judged if row["fmax_mhz"] >= row["clock_mhz"]]
    synthesised = [row for row in shown.values() if "error" not in row and not row["bitstream"]]
    summary = (
        f"To a bitstream: {len(bitstreams)} boards, timing met on {len(met)}; "
        f"to a netlist and project files: {len(synthesised)}."
    )
    lines = [table_line(CATALOGUE[name], row) for name, row in shown.items()]
    tools = sorted({f"{tool} {found}" for row in shown.values() for tool, found in row.get("tools", {}).items()})
    dates = sorted({row["date"] for row in shown.values() if "date" in row})
    tools += [f"built on {' and '.join(dates)}"] if dates else []
    head = HEAD.format(share=SHARE_OF_BOARD, fps=TARGET_FPS, summary=summary)
    return head + "\n".join([*lines, "", f"Tools: {', '.join(tools)}", ""])


def table_line(board: Board, row: Row) -> str:
    """One line of the table."""
    serial = "none" if board.uart is None else f"{board.uart.bridge}, {board.uart.baud:,} baud"
    if "error" in row:
        cells = ["", f"not built: {row['error']}", *[""] * 6]
    else:
        used, budget = row["resources"], board.budget
        fmax = row["fmax_mhz"]
        cells = [
            TITLES[row["network"]],
            "bitstream" if row["bitstream"] else "netlist, project files",
            f"{row['clock_mhz']:g}",
            "" if fmax is None else f"{fmax:.1f}{' (hint)' if row.get('fmax_note') else ''}",
            share(used["lut"], budget.lut),
            share(used["ff"], budget.ff),
            f"{share(used['bram'], budget.bram)} {board.family.bram_unit}",
            str(used["dsp"]),
        ]
    return f"| {' | '.join([f'`{board.name}`', board.part, *cells, serial])} |"


def share(used: float, budget: float) -> str:
    """A count and its share of the chip."""
    return f"{used:,g} ({used / budget:.0%})"


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns 1 if some board could not be built."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.boards",
        description="Build a reference network for every board that is not built yet, to a bitstream where this "
        "machine has the tools and else to a netlist, and write the table of all boards.",
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="build this board (again); may be repeated")
    parser.add_argument("--again", action="store_true", help="build all boards again")
    parser.add_argument("--folder", type=Path, default=Path("build/boards"), help="default build/boards")
    parser.add_argument("--out", type=Path, default=Path("docs/boards.md"), help="the table (default docs/boards.md)")
    options = parser.parse_args(arguments)
    check_output_file(options.out, "--out")
    rows = built_rows()
    if options.only:
        wanted = [find_board(name) for name in options.only]
    else:
        wanted = [b for b in CATALOGUE.values() if options.again or "resources" not in rows.get(b.name, {})]
    with sole_writer(BUILT):
        for number, board in enumerate(wanted, start=1):
            with step(f"{board.name}: board {number} of {len(wanted)}"):
                row = build_board(board, options.folder.resolve())
            rows = built_rows() | {board.name: row}
            keep(BUILT, rows)
            options.out.write_text(table(rows))
    options.out.write_text(table(rows))
    failed = [name for name, row in rows.items() if "error" in row]
    print(f"{options.out}: {len(rows) - len(failed)} of {len(CATALOGUE)} boards built")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
