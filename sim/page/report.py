"""The page of a simulation, sim.run --html, made of plain data."""

from collections.abc import Mapping
from typing import Any

from gen.page.accuracy import confusion_matrix
from gen.page.bars import Bar, bars
from gen.page.everything import everything_section
from gen.page.graph import network_figure
from gen.page.html import Child, Markup, join, number, percent, table, tag
from gen.page.layout import Colours, Section, figure, head, note, page, side_by_side
from sim.page.timeline import raster_figure, timeline_figure


def simulation_page(content: Mapping[str, Any]) -> str:
    """The page of what :func:`sim.pictured.page_content` collected."""
    report = content["report"]
    colours = Colours([node["name"] for node in content["network"]["nodes"] if node["kind"] != "input"])
    sections = [
        Section(name="network", heading="Network and cycles", content=network_section(content, colours)),
        Section(name="timeline", heading="Timeline", content=timeline_section(content, colours)),
        Section(name="raster", heading="Bursts", content=raster_section(content, colours)),
        Section(name="comparison", heading="Comparison", content=comparison_section(content)),
        Section(name="confusion", heading="Classes", content=confusion_section(report)),
        Section(name="everything", heading="Everything", content=everything_section(report)),
    ]
    return page(f"Simulation of {content['title']}", page_head(content), sections)


def page_head(content: Mapping[str, Any]) -> Markup:
    """Title, and the figures that people look for first."""
    report = content["report"]
    wrong = report["mismatches"]
    compared = "Every beat" if content["timelines"] else "Every logit"
    state = f"{number(wrong)} mismatches with the golden model" if wrong else f"{compared} equals the golden model's"
    what = "Verilog" if report["netlist"] is None else f"netlist for {report['netlist']['family']}"
    words = (
        f"{what} in {report['simulator']}, network {report['network_sha256'][:12]}, plan {report['plan_sha256'][:12]}"
    )
    tiles: list[tuple[str, Child, Child]] = [
        ("inferences", number(content["inferences"]), f"{number(len(report['runs']))} runs"),
        ("mismatches", number(wrong), "in all runs"),
        ("accuracy", percent(report["accuracy_rtl"], 2), f"golden model {percent(report['accuracy_golden'], 2)}"),
    ]
    if report["cycles_mean"] is not None:
        exact = "predicted exactly" if report["prediction_exact"] else "not as predicted"
        tiles.append(("cycles per inference", number(report["cycles_mean"], 1), exact))
    if report["latency_mean"] is not None:
        tiles.append(("latency", number(report["latency_mean"], 1), "cycles, one by one"))
    return head("Simulation", content["title"], words, (state, "bad" if wrong else "good"), tiles)


def network_section(content: Mapping[str, Any], colours: Colours) -> Markup:
    """The graph, and the cycles and busy lanes of every layer."""
    report = content["report"]
    graph = figure(
        "Nodes from top to bottom, with their shapes.", network_figure(content["network"], content["layers"], colours)
    )
    slowest = max(report["layer_cycles"].values(), default=0)
    if not slowest:
        return side_by_side(graph, note("A netlist has no taps, so nothing is known of single layers."))
    cycles = [
        Bar(
            label=colours.label(name),
            value=number(worked),
            detail=f"predicted {number(report['layer_cycles_predicted'][name])}",
            segments=[(colours[name], worked / slowest)],
        )
        for name, worked in report["layer_cycles"].items()
    ]
    busy = [
        Bar(label=colours.label(name), value=percent(share), segments=[(colours[name], share)])
        for name, share in report["lanes_busy"].items()
    ]
    return side_by_side(
        graph,
        [
            tag("h3", "Cycles in which an engine works, per inference"),
            bars(cycles),
            tag("h3", "Busy lanes at full speed"),
            bars(busy),
        ],
    )


def timeline_section(content: Mapping[str, Any], colours: Colours) -> Markup:
    """A strip of time for every stage, in each of the recorded runs."""
    if not content["timelines"]:
        return note("A netlist has no taps, so nothing is known of single layers.")
    parts = [join(tag("h3", timeline_words(line)), timeline_figure(line, colours)) for line in content["timelines"]]
    words = (
        "Each strip is one stage over time, in cycles after the first beat was taken; the number is the share in which "
        "it works. It holds its source back while beats wait that it cannot take, and waits while none come."
    )
    legend = "Colour: it works. Red below: it holds its source back. Vertical lines: results leave."
    return join(tag("p", words), parts, note(legend))


def timeline_words(line: Mapping[str, Any]) -> str:
    """What a run shows."""
    count, cycles = len(line["left"]), line["end"] - line["begin"]
    many = "1 inference" if count == 1 else f"{number(count)} inferences"
    return f"{many}, {line['name']}: {number(cycles)} cycles"


def raster_section(content: Mapping[str, Any], colours: Colours) -> Markup:
    """The bursts of the run that shows them best."""
    if not content["timelines"]:
        return note("A netlist has no taps, so nothing is known of single layers.")
    line = content["timelines"][-1 if content["network"]["mode"] == "stream" else 0]
    return join(tag("h3", timeline_words(line)), raster_figure(line, colours))


def comparison_section(content: Mapping[str, Any]) -> Markup:
    """Every run with its mismatches."""
    rows = [
        [run["name"], run["first"] or "none", number(run["inferences"]), number(run["mismatches"])]
        for run in content["runs"]
    ]
    return join(
        table("Runs against the golden model", ["run", "first mismatch", "inferences", "mismatches"], rows, words=2),
        note(
            "Compared: every beat between layers, the last membranes, all logits and the class."
            if content["timelines"]
            else "Compared: all logits, the class, and the cycles."
        ),
    )


def confusion_section(report: Mapping[str, Any]) -> Markup:
    """The confusion matrix of the simulated network."""
    return join(
        tag("p", "Classes that the simulated network found, against the labels of the data set."),
        confusion_matrix(report["confusion"]),
    )
