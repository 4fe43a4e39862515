"""How a network would be built for a board, and the alternatives: what ``python -m gen.plan`` does."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from boards.board import Part
from gen.design import Design, design_of
from gen.facts.planning import busy_share, expected_work
from gen.options import patch_margin
from gen.planning.candidates import Candidate, evaluate_plan
from gen.planning.cycles import PredictedCycles, predict
from gen.planning.plans import alternatives, schedule_reason
from gen.planning.search import SHARE_OF_BOARD
from qblif import golden
from qblif.files import whole_file, write_whole
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.progress import step
from snn.datasets.data import load


def golden_bursts(design: Design, data: str, data_dir: Path | None, count: int) -> Mapping[str, IntArray]:
    """Bursts of every node for the first test images, by the golden model; raises UserError."""
    images = load(data, "test", data_dir, design.network.timesteps).first(count)
    known = golden.run(design.network, encode(images.pixels, design.network.input))
    return {name: bursts.numpy() for name, bursts in known.bursts.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Exact figures of ``count`` test images: cycles, and mean accumulates of every layer per image."""

    count: int
    cycles: PredictedCycles
    accumulates: dict[str, float]


def measured_cycles(design: Design, data: str, data_dir: Path | None, count: int) -> Measured:
    """Apply the exact cycle model to test images; raises UserError."""
    bursts = golden_bursts(design, data, data_dir, count)
    count = len(bursts[design.network.input.name])
    done = {
        layer.name: sum(engine.accumulates(bursts[engine.source]) for engine in layer.engines) / count
        for layer in design.config.layers
    }
    return Measured(count=count, cycles=predict(design.config, bursts), accumulates=done)


def layer_rows(design: Design, candidate: Candidate, exact: Measured | None) -> list[dict[str, Any]]:
    """One row per stage, and one per part around them: how it is built, its cycles (expected, or exact for the given
    data), the share of busy lanes, and its resources; the rows add up to the design.

    ``busy``: accumulates / (lanes x banks x cycles between two inferences).
    """
    between = candidate.slowest if exact is None else exact.cycles.mean
    stages = {stage.name: stage for stage in candidate.config.stages}
    rows = []
    for resources in candidate.resources:
        used = {key: getattr(resources, key) for key in columns(design.board)}
        row: dict[str, Any] = {"name": resources.name, **used, "bottleneck": resources.name == candidate.bottleneck}
        rows.append(row)
        if resources.name not in stages:
            continue
        stage = stages[resources.name]
        cycles = candidate.cycles[stage.name]
        row["cycles"] = cycles.bottleneck
        if stage.engines:
            figures = stage.figures()
            row |= {field: figures[field] for field in ("lanes", "folds", "banks", "cores", "group", "weight_memory")}
            array, done = cycles.array, expected_work(design, stage)
            if exact is not None:
                worked = max(exact.cycles.worked.get(worker, 0) for worker in stage.workers)
                array, done = worked / exact.count, exact.accumulates[stage.name]
            row |= {"cycles": max(array, cycles.neurons), "busy": busy_share(stage, done, between)}
    return rows


def layer_table(rows: list[dict[str, Any]], candidate: Candidate, board: Part, words: str) -> Table:
    """The plan as a table."""
    limits = board.budget.limits
    resources = columns(board)
    # The sum of the rounded figures that the rows show.
    total = {key: sum(float(count(key, row[key])) for row in rows) for key in resources}
    used = "; ".join(f"{total[key]:g} {board.family.unit(key)} of {limits[key]:g}" for key in limits)
    samples = candidate.plan.self_test_samples
    test = "no self-test: no sample fits" if not samples else f"self-test of {samples} sample{'s'[: samples - 1]}"
    table = Table(title=f"{board.title}: {used}; {words}; {test}")
    headings = ("layer", "lanes x folds", "banks", "cores", "beat", "weights", "cycles", "busy")
    for heading in (*headings, *(board.family.unit(key) for key in resources), ""):
        table.add_column(heading, justify="left" if heading in ("layer", "weights", "") else "right")
    for row in rows:
        built = ["", "", "", "", ""]
        if "lanes" in row:
            built = [f"{row['lanes']} x {row['folds']}", *(str(row[key]) for key in ("banks", "cores", "group"))]
            built.append(row["weight_memory"])
        cycles = f"{row['cycles']:.0f}" if "cycles" in row else ""
        busy = f"{row['busy']:.0%}" if "busy" in row else ""
        mark = "bottleneck" if row["bottleneck"] else ""
        table.add_row(row["name"], *built, cycles, busy, *(count(key, row[key]) for key in resources), mark)
    table.add_section()
    table.add_row("total", *[""] * 7, *(count(key, total[key]) for key in resources), "")
    return table


def columns(board: Part) -> tuple[str, ...]:
    """The names of the resources that a table shows."""
    return ("lut", *(key for key in board.budget.limits if key != "lut"))


def count(resource: str, amount: float) -> str:
    """An amount of a resource as text; block RAMs may be halves."""
    return f"{amount:g}" if resource == "bram" else f"{amount:.0f}"


def front_table(front: list[Candidate], board: Part, clock_mhz: float) -> Table:
    """The alternatives as a table."""
    table = Table(title="Alternatives, expected")
    resources = columns(board)
    for heading in ("cycles", "inferences/s", *(board.family.unit(key) for key in resources), "on this board"):
        table.add_column(heading, justify="right")
    for one in front:
        fit = "no" if one.excess(board, 1.0) else "tight" if one.excess(board, SHARE_OF_BOARD) else "fits"
        rate = clock_mhz * 1e6 / one.slowest
        used = (count(key, one.total(key)) for key in resources)
        table.add_row(f"{one.slowest:.0f}", f"{rate:,.0f}", *used, fit)
    return table


def draw(front: list[Candidate], chosen: Candidate, board: Part, path: Path) -> None:
    """Draw the alternatives: LUTs and block RAMs over cycles, with the chosen plan marked.

    Only one option of this command line draws, so its import is here.
    """
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(7, 4), layout="constrained")
    luts = figure.subplots()
    brams = luts.twinx()
    cycles = [one.slowest for one in front]
    luts.plot(cycles, [one.total("lut") for one in front], "o-", label="LUT")
    brams.plot(cycles, [one.total("bram") for one in front], "s--", color="tab:green", label=board.family.bram_unit)
    luts.plot(chosen.slowest, chosen.total("lut"), "*", color="tab:red", markersize=14, label="this plan")
    luts.axhline(board.budget.lut, color="tab:blue", linewidth=0.7, linestyle=":")
    luts.set(xscale="log", xlabel="expected cycles per inference", ylabel="LUT", title=f"Alternatives on {board.title}")
    brams.set(ylabel=board.family.bram_unit)
    figure.legend(loc="outside lower center", ncols=3)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=120, format=path.suffix[1:])


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for; returns the exit code. Raises UserError."""
    with step("plan"):
        design = design_of(options)
        board, clock, activity = design.board, design.plan.clock_mhz, design.origin.activity
        chosen = evaluate_plan(design.network, board, design.plan, activity, design.inputs)
    exact = None
    if options.data is not None:
        with step(f"exact cycles of {options.count} images"):
            exact = measured_cycles(design, options.data, options.data_dir, options.count)
    with step("alternatives"):
        margin = patch_margin(options)
        samples = design.plan.self_test_samples
        front = alternatives(
            design.network,
            board,
            clock,
            design.sha256,
            activity,
            design.inputs,
            margin,
            samples,
            design.plan.schedule,
            design.planner,
        )
    rows = layer_rows(design, chosen, exact)
    cycles = chosen.slowest if exact is None else exact.cycles.mean
    kind = "expected" if exact is None else f"exact, {exact.count} images"
    words = f"{cycles:.1f} cycles ({kind}), {clock * 1e6 / cycles:,.0f} inferences/s at {clock:g} MHz"
    output = Console(width=None if sys.stdout.isatty() else 140)
    output.print(layer_table(rows, chosen, board, words))
    output.print(schedule_reason(design.network, design.plan.schedule))
    output.print(front_table(front, board, clock))
    if options.picture is not None:
        draw(front, chosen, board, options.picture)
    if options.save is not None:
        write_whole(options.save, design.plan.to_json())
    if options.json is not None:
        content = {
            "board": board.name,
            "clock_mhz": clock,
            "plan_sha256": design.plan.sha256,
            "network_sha256": design.sha256,
            "schedule": design.plan.schedule,
            "cycles_expected": chosen.slowest,
            "cycles_exact_mean": None if exact is None else exact.cycles.mean,
            "bottleneck": chosen.bottleneck,
            "self_test_samples": design.plan.self_test_samples,
            "total": {key: chosen.total(key) for key in columns(board)},
            "layers": rows,
            "alternatives": [
                {"cycles": one.slowest, **{key: one.total(key) for key in columns(board)}} for one in front
            ],
        }
        write_whole(options.json, json.dumps(content, indent=2) + "\n")
    return 0
