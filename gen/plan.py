"""Command line: how a network would be built on a board, and what the alternatives are, without synthesis.

python -m gen.plan --board arty_a7 --ckpt model.pt
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.figure
from rich.console import Console
from rich.table import Table

from boards.board import Board
from gen.activity import expected_accumulates
from gen.costs import accumulates
from gen.cycles import PredictedCycles, predict
from gen.design import Design, add_plan_options, design_of, patch_margin
from gen.plans import SHARE_OF_BOARD, Candidate, alternatives, evaluate
from hw.configuration import LayerConfig
from hw.errors import UserError, check_output_file, command_line
from hw.network import IntArray, encode
from hw.progress import step

DEFAULT_COUNT = 20


def golden_bursts(design: Design, data: str, data_dir: Path | None, count: int) -> Mapping[str, IntArray]:
    """Bursts of every node for the first test images, by the golden model; raises UserError.

    Only this option of this command line looks at data, so what it needs is imported here.
    """
    from qblif.golden import run
    from snn.data import load

    images = load(data, "test", data_dir, design.network.timesteps).first(count)
    known = run(design.network, encode(images.pixels, design.network.input))
    return {name: bursts.numpy() for name, bursts in known.bursts.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Exact figures of ``count`` test images: cycles, and accumulates of every layer an image."""

    count: int
    cycles: PredictedCycles
    accumulates: dict[str, float]


def measure(design: Design, data: str, data_dir: Path | None, count: int) -> Measured:
    """The exact cycle model on test images; raises UserError."""
    bursts = golden_bursts(design, data, data_dir, count)
    count = len(bursts[design.network.input.name])
    done = {
        layer.name: accumulates(bursts[layer.projection.source], layer.projection) / count
        for layer in design.config.layers
    }
    return Measured(count=count, cycles=predict(design.config, bursts), accumulates=done)


def layer_rows(design: Design, candidate: Candidate, exact: Measured | None) -> list[dict[str, Any]]:
    """One row a stage: how it is built, its cycles (expected, or exact for the given data), lanes busy, resources.

    ``busy``: accumulates / (lanes x banks x cycles between two inferences).
    """
    between = candidate.slowest if exact is None else exact.cycles.mean
    rows = []
    for stage, resources in zip(candidate.config.stages, candidate.resources, strict=False):
        cycles = candidate.cycles[stage.name]
        row: dict[str, Any] = {
            "name": stage.name,
            "cycles": cycles.bottleneck,
            "lut": resources.lut,
            "ff": resources.ff,
            "bram": resources.bram,
            "bottleneck": stage.name == candidate.bottleneck,
        }
        if isinstance(stage, LayerConfig):
            plan = design.plan.layer(stage.name)
            fields = ("lanes", "folds", "banks", "cores", "group", "weight_memory")
            row |= {field: getattr(plan, field) for field in fields}
            array, done = cycles.array, expected_accumulates(design.network, stage, design.checkpoint.activity)
            if exact is not None:
                array, done = exact.cycles.worked[stage.name] / exact.count, exact.accumulates[stage.name]
            row |= {"cycles": max(array, cycles.neurons), "busy": done / (plan.lanes * plan.banks * between)}
        rows.append(row)
    return rows


def layer_table(rows: list[dict[str, Any]], candidate: Candidate, board: Board, words: str) -> Table:
    """The plan as a table."""
    table = Table(title=f"{board.title}: {candidate.total('lut'):.0f} LUT of {board.budget.lut}, {words}")
    headings = ("layer", "lanes x folds", "banks", "cores", "beat", "weights", "cycles", "busy", "LUT", "FF")
    for heading in (*headings, board.family.bram_unit, ""):
        table.add_column(heading, justify="left" if heading in ("layer", "weights", "") else "right")
    for row in rows:
        built = ["", "", "", "", ""]
        if "lanes" in row:
            built = [f"{row['lanes']} x {row['folds']}", *(str(row[key]) for key in ("banks", "cores", "group"))]
            built.append(row["weight_memory"])
        busy = f"{row['busy']:.0%}" if "busy" in row else ""
        used = (f"{row['lut']:.0f}", f"{row['ff']:.0f}", f"{row['bram']:g}")
        table.add_row(
            row["name"], *built, f"{row['cycles']:.0f}", busy, *used, "bottleneck" if row["bottleneck"] else ""
        )
    return table


def front_table(front: list[Candidate], board: Board, clock_mhz: float) -> Table:
    """The alternatives as a table."""
    table = Table(title="Alternatives, expected")
    for heading in ("cycles", "inferences/s", "LUT", "FF", board.family.bram_unit, "on this board"):
        table.add_column(heading, justify="right")
    for one in front:
        fit = "no" if one.excess(board, 1.0) else "tight" if one.excess(board, SHARE_OF_BOARD) else "fits"
        rate = clock_mhz * 1e6 / one.slowest
        used = (f"{one.total('lut'):.0f}", f"{one.total('ff'):.0f}", f"{one.total('bram'):g}")
        table.add_row(f"{one.slowest:.0f}", f"{rate:,.0f}", *used, fit)
    return table


def draw(front: list[Candidate], chosen: Candidate, board: Board, path: Path) -> None:
    """The alternatives as a picture: LUTs and block RAMs over cycles, the chosen plan marked."""
    figure = matplotlib.figure.Figure(figsize=(7, 4), layout="constrained")
    luts = figure.subplots()
    brams = luts.twinx()
    cycles = [one.slowest for one in front]
    luts.plot(cycles, [one.total("lut") for one in front], "o-", label="LUT")
    brams.plot(cycles, [one.total("bram") for one in front], "s--", color="tab:green", label=board.family.bram_unit)
    luts.plot(chosen.slowest, chosen.total("lut"), "*", color="tab:red", markersize=14, label="this plan")
    luts.axhline(board.budget.lut, color="tab:blue", linewidth=0.7, linestyle=":")
    luts.set(xscale="log", xlabel="expected cycles an inference", ylabel="LUT", title=f"Alternatives on {board.title}")
    brams.set(ylabel=board.family.bram_unit)
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=120)


def parser() -> argparse.ArgumentParser:
    """The command line of ``python -m gen.plan``."""
    result = argparse.ArgumentParser(
        prog="python -m gen.plan",
        description="Show how a checkpoint would be built on a board: lanes, banks, folds and cores of every layer, "
        "its cycles and resources, and the alternatives from smallest to fastest. Nothing is synthesised.",
    )
    add = result.add_argument
    add("--ckpt", type=Path, help="checkpoint of snn.train")
    add_plan_options(result, board=None)
    add("--data", help="data set for exact cycles instead of expected ones")
    add("--data-dir", type=Path, help="folder with the data set's files")
    add("--count", type=int, default=DEFAULT_COUNT, help=f"test images for --data (default {DEFAULT_COUNT})")
    add("--save", type=Path, help="write the plan to this file, for --plan")
    add("--picture", type=Path, help="draw the alternatives into this file (.png, .svg or .pdf)")
    add("--json", type=Path, help="also write the figures to this file")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.count < 2:
        raise UserError(f"--count must be at least 2, not {options.count}: cycles are counted between images")
    for path, name in ((options.save, "--save"), (options.picture, "--picture"), (options.json, "--json")):
        check_output_file(path, name)
    if options.picture is not None and options.picture.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"--picture {options.picture} must end in .png, .svg or .pdf")
    with step("plan"):
        design = design_of(options)
        board, clock, activity = design.board, design.plan.clock_mhz, design.checkpoint.activity
        chosen = evaluate(design.network, board, design.plan, activity, design.inputs)
    exact = None
    if options.data is not None:
        with step(f"exact cycles of {options.count} images"):
            exact = measure(design, options.data, options.data_dir, options.count)
    with step("alternatives"):
        margin = patch_margin(options)
        front = alternatives(design.network, board, clock, design.sha256, activity, design.inputs, margin)
    rows = layer_rows(design, chosen, exact)
    cycles = chosen.slowest if exact is None else exact.cycles.mean
    kind = "expected" if exact is None else f"exact, {exact.count} images"
    words = f"{cycles:.1f} cycles ({kind}), {clock * 1e6 / cycles:,.0f} inferences/s at {clock:g} MHz"
    output = Console(width=None if sys.stdout.isatty() else 140)
    output.print(layer_table(rows, chosen, board, words))
    output.print(front_table(front, board, clock))
    if options.picture is not None:
        draw(front, chosen, board, options.picture)
    if options.save is not None:
        options.save.write_text(design.plan.to_json())
    if options.json is not None:
        content = {
            "board": board.name,
            "clock_mhz": clock,
            "plan_sha256": design.plan.sha256,
            "network_sha256": design.sha256,
            "cycles_expected": chosen.slowest,
            "cycles_exact_mean": None if exact is None else exact.cycles.mean,
            "bottleneck": chosen.bottleneck,
            "total": {key: chosen.total(key) for key in ("lut", "ff", "bram")},
            "layers": rows,
            "alternatives": [
                {"cycles": one.slowest, **{key: one.total(key) for key in ("lut", "ff", "bram")}} for one in front
            ],
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
