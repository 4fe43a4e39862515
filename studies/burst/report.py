"""Tables, CSV and pictures of the study."""

import csv
import datetime
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qblif.files import whole_file, write_whole
from studies.burst.grid import Run
from studies.burst.measure import BOARD, CLOCK_MHZ, DESIGNS, RATE, Figures
from studies.burst.run import COUNTED, PREDICTED

COSTS = ("cycles", "lut", "ff", "bram")
HEAD = """\
# Burst neurons: every run

Written by `python -m studies.burst --grid {grid} --out {out}`, {date}, Python {python}; trained with {trained_with}.
`runs.csv` holds every run with the command that repeats it (to the last bit only where sums are made in the same order:
with as many threads, on the same kind of processor), `runs.json` all that was found of it. Accuracies are of all
{images} test images, as mean and spread (sample standard deviation) over seeds; bursts, operations (burst counts
times synapses) and accumulates (set bit-planes times synapses) an inference, by the golden model, are of the first
{counted:,}. Hardware is the planner's word (exact cycles of {predicted} images, fitted resources) for {board} at
{clock:g} MHz: the
fastest design on 80 % of it, and the smallest that does {rate:,.0f} inferences per second. Energy: accumulates times
what it takes to read a weight's bits (10 pJ for 64) and to add as many bits as the largest sum has (0.1 pJ for 32),
45 nm, Horowitz, ISSCC 2014: a model to compare by.
"""


@dataclass(frozen=True, kw_only=True)
class Point:
    """The runs of one arm in one series that differ only in the seed."""

    series: str
    arm: str
    varied: str
    runs: tuple[tuple[Run, Figures], ...]

    @property
    def title(self) -> str:
        return f"{self.arm} {self.varied}".strip()

    def values(self, *keys: str) -> list[float]:
        """A figure of every run that has it, e.g. ``values("hardware", "fastest", "cycles")``."""
        found = []
        for _, figures in self.runs:
            value: Any = figures
            for key in keys:
                value = value.get(key) if value is not None else None
            if value is not None:
                found.append(float(value))
        return found

    def mean(self, *keys: str) -> float | None:
        """Mean of :meth:`values`; None if there are no values."""
        values = self.values(*keys)
        return statistics.mean(values) if values else None


def points(pairs: Iterable[tuple[Run, Figures]]) -> list[Point]:
    """Group runs that differ only in the seed, in the grid's order."""
    grouped: dict[tuple[str, str, str], list[tuple[Run, Figures]]] = {}
    for run, figures in pairs:
        grouped.setdefault((run.series, run.arm, run.varied), []).append((run, figures))
    return [
        Point(series=series, arm=arm, varied=varied, runs=tuple(runs))
        for (series, arm, varied), runs in grouped.items()
    ]


def spread(values: Sequence[float], form: str = ".2%") -> str:
    """Mean and sample standard deviation as text."""
    if not values:
        return ""
    text = format(statistics.mean(values), form)
    return text if len(values) == 1 else f"{text} ± {format(statistics.stdev(values), form.removeprefix('+'))}"


def number(value: float | None, form: str = ",.0f") -> str:
    """A figure as text; empty for None."""
    return "" if value is None else format(value, form)


def write_csv(pairs: Sequence[tuple[Run, Figures]], path: Path) -> None:
    """Write every run, one per line."""
    header = ["series", "arm", "varied", "seed", "accuracy", "weights", "bursts", "operations", "accumulates"]
    header += ["energy_nj", *(f"{design.name}_{cost}" for design in DESIGNS for cost in COSTS)]
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "scales", "trained_with", "threads", "command"])
        for run, figures in pairs:
            activity, hardware = figures.get("activity", {}), figures.get("hardware", {})
            costs = [(hardware.get(design.name) or {}).get(cost, "") for design in DESIGNS for cost in COSTS]
            counted = [activity.get(key, "") for key in ("bursts", "operations", "accumulates", "energy_nj")]
            scales = " ".join(f"{name}={scale:.4f}" for name, scale in figures["scales"].items())
            start = [run.series, run.arm, run.varied, run.seed, figures["accuracy"], figures["weights"]]
            told = [figures["trained_with"], figures.get("threads", ""), figures["command"]]
            writer.writerow([*start, *counted, *costs, scales, *told])


def accuracy_table(found: Sequence[Point]) -> str:
    """One line per point: accuracy, activity and hardware."""
    lines = [
        "| neuron | runs | accuracy | bursts | operations | accumulates | energy, nJ | fastest: cycles | LUT | BRAM36 "
        "| smallest: LUT | BRAM36 |",
        "| --- |" + " --- |" * 11,
    ]
    for point in found:
        cells = [point.title, str(len(point.runs)), spread(point.values("accuracy"))]
        cells += [number(point.mean("activity", key)) for key in ("bursts", "operations", "accumulates")]
        cells += [number(point.mean("activity", "energy_nj"))]
        cells += [number(point.mean("hardware", "fastest", key)) for key in ("cycles", "lut")]
        cells += [number(point.mean("hardware", "fastest", "bram"), ".1f")]
        cells += [number(point.mean("hardware", "smallest", "lut"))]
        cells += [number(point.mean("hardware", "smallest", "bram"), ".1f")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def difference_table(found: Sequence[Point]) -> str:
    """Every two points of a series that differ in one thing, seed by seed; empty if there is only one point."""
    head = ["| neuron | against | difference in points, seed by seed | mean |", "| --- | --- | --- | --- |"]
    lines = []
    for first, second in combinations(found, 2):
        if first.arm != second.arm and first.varied != second.varied:
            continue
        theirs = {run.seed: figures["accuracy"] for run, figures in first.runs}
        differences = [
            100 * (figures["accuracy"] - theirs[run.seed]) for run, figures in second.runs if run.seed in theirs
        ]
        each = ", ".join(f"{difference:+.2f}" for difference in differences)
        lines.append(f"| {second.title} | {first.title} | {each} | {spread(differences, '+.2f')} |")
    return "\n".join([*head, *lines]) if lines else ""


def scale_table(found: Sequence[Point]) -> str:
    """Mean scale of every layer of every point of a series, and its burst histogram if every run has one."""
    lines = ["| neuron | layer | scale | neurons and timesteps that send 0, 1, ... K |", "| --- | --- | --- | --- |"]
    for point in found:
        for layer in point.runs[0][1]["scales"]:
            shares = [figures.get("activity", {}).get("histogram", {}).get(layer) for _, figures in point.runs]
            means = [] if None in shares else [statistics.mean(column) for column in zip(*shares, strict=True)]
            text = ", ".join(f"{share:.1%}" for share in means)
            lines.append(f"| {point.title} | {layer} | {spread(point.values('scales', layer), '.3f')} | {text} |")
    return "\n".join(lines)


def write_document(pairs: Sequence[tuple[Run, Figures]], grid: Path, out: Path) -> None:
    """Write README.md in the folder ``out``, ``runs.csv`` and the pictures."""
    write_csv(pairs, out / "runs.csv")
    found = points(pairs)
    parts = [
        HEAD.format(
            grid=grid,
            out=out,
            date=datetime.datetime.now(datetime.UTC).date(),
            trained_with=" and with ".join(sorted({figures["trained_with"] for _, figures in pairs})),
            python=platform.python_version(),
            images=f"{pairs[0][1]['images']:,}",
            counted=min(COUNTED, pairs[0][1]["images"]),
            predicted=PREDICTED,
            board=BOARD,
            clock=CLOCK_MHZ,
            rate=RATE,
        )
    ]
    for series in dict.fromkeys(point.series for point in found):
        mine = [point for point in found if point.series == series]
        parts.append(f"## {series.replace('_', ' ')}\n")
        for table in (accuracy_table(mine), difference_table(mine), scale_table(mine)):
            parts += [table, ""] if table else []
    for name, drawn in pictures(found).items():
        with rc_context({"svg.hashsalt": name}), whole_file(out / f"{name}.svg") as partial:
            drawn.savefig(partial, format="svg", metadata={"Date": None})
        parts += [f"![{name.replace('_', ' ')}]({name}.svg)", ""]
    write_whole(out / "README.md", "\n".join(parts))


def pictures(found: Sequence[Point]) -> dict[str, Figure]:
    """Accuracy in every series, and accuracy against cost."""
    drawn = {f"accuracy_{series}": accuracy_picture(found, series) for series in dict.fromkeys(p.series for p in found)}
    drawn["accuracy_against_cost"] = cost_picture(found)
    return drawn


def accuracy_picture(found: Sequence[Point], series: str) -> Figure:
    """Every run of a series as a dot, means as bars."""
    mine = [point for point in found if point.series == series]
    figure = Figure(figsize=(7, 0.6 + 0.35 * len(mine)), layout="constrained")
    axes = figure.subplots()
    for place, point in enumerate(mine):
        values = [100 * value for value in point.values("accuracy")]
        axes.plot(values, [place] * len(values), "o", color="tab:blue", markersize=4)
        axes.plot([statistics.mean(values)] * 2, [place - 0.3, place + 0.3], color="black")
    axes.set_yticks(range(len(mine)), [point.title for point in mine])
    axes.invert_yaxis()
    axes.set_xlabel("test accuracy, %")
    axes.grid(axis="x", alpha=0.3)
    return figure


COST_AXES = (
    (("hardware", "fastest", "cycles"), "cycles per inference, fastest on 80 % of the board"),
    (("hardware", "smallest", "bram"), f"BRAM36, smallest for {RATE:,.0f} inferences/s"),
    (("hardware", "smallest", "lut"), f"LUT, smallest for {RATE:,.0f} inferences/s"),
    (("activity", "energy_nj"), "energy model, nJ an inference"),
)


def front(placed: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those (cost, accuracy) pairs that no other beats in one without losing in the other, cheapest first."""
    best: list[tuple[float, float]] = []
    for cost, accuracy in sorted(placed, key=lambda pair: (pair[0], -pair[1])):
        if not best or accuracy > best[-1][1]:
            best.append((cost, accuracy))
    return best


def once(found: Sequence[Point]) -> list[Point]:
    """The points without those whose runs all belong to a point with more runs, or to an earlier one."""
    keys = [{run.key for run, _ in point.runs} for point in found]
    return [
        point
        for place, point in enumerate(found)
        if not any(keys[place] < other for other in keys) and keys[place] not in keys[:place]
    ]


def name_in_picture(point: Point, found: Sequence[Point]) -> str:
    """A point's arm, and what distinguishes it from the first series' points of that arm."""
    if point.series == found[0].series:
        return point.arm
    told = point.varied.startswith(point.series)
    return point.title if told else f"{point.arm} {point.series.replace('_', ' ')} {point.varied}".strip()


def cost_picture(found: Sequence[Point]) -> Figure:
    """Accuracy against each cost: one colour per arm, a hollow dot for a single seed, and the front numbered."""
    figure = Figure(figsize=(13, 10), layout="constrained")
    drawn = [point for point in once(found) if point.mean("activity", "energy_nj") is not None]
    colours = {arm: f"C{place}" for place, arm in enumerate(dict.fromkeys(point.arm for point in drawn))}
    for axes, (keys, label) in zip(figure.subplots(2, 2).flat, COST_AXES, strict=True):
        names: dict[tuple[float, float], str] = {}
        for point in drawn:
            cost, accuracy = point.mean(*keys), point.mean("accuracy")
            if cost is None or accuracy is None:
                continue
            place = (cost, 100 * accuracy)
            names[place] = name_in_picture(point, found)
            fill = colours[point.arm] if len(point.runs) > 1 else "white"
            axes.plot(*place, "o", color=colours[point.arm], markerfacecolor=fill, markersize=6)
        best = front(names)
        axes.plot(*zip(*best, strict=True), color="grey", drawstyle="steps-post", linewidth=0.8, zorder=0)
        for count, place in enumerate(best, 1):
            axes.annotate(str(count), place, fontsize=8, ha="right", xytext=(-5, 3), textcoords="offset points")
        listed = "\n".join(f"{count}  {names[place]}" for count, place in enumerate(best, 1))
        axes.text(0.98, 0.02, listed, fontsize=8, ha="right", va="bottom", ma="left", transform=axes.transAxes)
        axes.set_xlabel(label)
        axes.set_ylabel("test accuracy, %")
        axes.grid(alpha=0.3)
    marks = [Line2D([], [], marker="o", linestyle="", color=colour, label=arm) for arm, colour in colours.items()]
    marks.append(Line2D([], [], marker="o", linestyle="", color="black", markerfacecolor="white", label="one seed"))
    figure.legend(handles=marks, loc="outside upper center", ncols=len(marks))
    return figure
