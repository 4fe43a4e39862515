"""Histograms of weights and bursts."""

from collections.abc import Mapping
from typing import Any

from gen.page.bars import histogram
from gen.page.html import Markup, join, number, percent, svg, tag
from gen.page.layout import Colours, note, small_figure

WIDTH, HEIGHT = 240, 26
FEWEST_STEPS = 5


def weights_section(report: Mapping[str, Any], colours: Colours) -> Markup:
    """A histogram of the weights of every projection."""
    return join(
        tag("div", (weight_figure(row, colours) for row in report["weights"]), class_="grid"),
        note("How often each integer weight occurs, the most frequent one as high as there is room."),
    )


def weight_figure(row: Mapping[str, Any], colours: Colours) -> Markup:
    """The weights of one projection."""
    total = sum(row["counts"])
    title = f"Weights from {row['source']} to {row['target']}: {number(total)} of {row['bits']} bits"
    zeros = row["zeros"] / max(1, total)
    picture = histogram(title, row["counts"], row["lowest"], row["step"], colours[row["target"]])
    words = f"{number(total)} weights, {row['bits']} bits, {percent(zeros)} zero"
    return small_figure([colours.label(row["target"]), tag("small", f" from {row['source']}")], words, picture)


def bursts_section(report: Mapping[str, Any], colours: Colours) -> Markup:
    """A histogram of the bursts of every node, and its activity over the timesteps."""
    return join(
        tag("div", (burst_figure(row, colours) for row in report["bursts"]), class_="grid"),
        note(
            "Bars: how often each burst occurs in the reference inputs. Bit-planes: the activity that training "
            "recorded, mean set bit-planes of a neuron and timestep, from which cycles are estimated; a strip shows "
            "them timestep by timestep."
        ),
    )


def burst_figure(row: Mapping[str, Any], colours: Colours) -> Markup:
    """The bursts of one node."""
    counts, total = row["counts"], sum(row["counts"])
    title = f"Bursts of {row['node']} in the reference inputs"
    words = "no reference inputs"
    if total:
        mean = sum((row["lowest"] + index * row["step"]) * count for index, count in enumerate(counts)) / total
        words = f"{percent(counts[0] / total)} silent, mean burst {mean:.2f}"
    if row["planes"]:
        words += f", {sum(row['planes']) / len(row['planes']):.2f} bit-planes"
    picture = histogram(title, counts, row["lowest"], row["step"], colours[row["node"]])
    return small_figure(colours.label(row["node"]), words, [picture, activity_strip(row, colours)])


def activity_strip(row: Mapping[str, Any], colours: Colours) -> Markup:
    """Mean activity at each timestep, as bars; empty for few timesteps."""
    planes = row["planes"]
    if len(planes) < FEWEST_STEPS:
        return join()
    most, each = max(*planes, 1e-9), WIDTH / len(planes)
    shapes = [
        tag(
            "rect",
            tag("title", f"timestep {step}: {value:.3f}"),
            x=each * step,
            y=HEIGHT - max(0.6, HEIGHT * value / most),
            width=each * (0.9 if each > 3 else 1),
            height=max(0.6, HEIGHT * value / most),
            class_="fill",
        )
        for step, value in enumerate(planes)
    ]
    words = f"Activity of {row['node']}: {min(planes):.3f} to {max(planes):.3f} bit-planes per neuron and timestep"
    return svg(words, WIDTH, HEIGHT, shapes, class_=f"strip {colours[row['node']]}")
