"""The page of a build: report.html, made of the report alone."""

from collections.abc import Mapping
from typing import Any

from gen.page.accuracy import accuracy_section
from gen.page.alternatives import alternatives_section
from gen.page.cycles import cycles_section
from gen.page.everything import everything_section
from gen.page.floorplan import floorplan_section
from gen.page.graph import network_figure
from gen.page.html import TIMES, Child, Markup, join, number, percent, table, tag
from gen.page.layout import Colours, Section, figure, head, note, page, side_by_side
from gen.page.resources import amount, resources_section
from gen.page.timing import timing_section
from gen.page.values import bursts_section, weights_section
from gen.reported import unit_name


def report_page(report: Mapping[str, Any]) -> str:
    """The page of a report as :func:`gen.report.make_report` begins it, at any step of the build."""
    layers = [node["name"] for node in report["network"]["nodes"] if node["kind"] != "input"]
    parts = dict.fromkeys((*(row["name"] for row in report["layers"]), *(report["used_by_part"] or ())))
    colours = Colours(layers, [name for name in parts if name not in layers])
    sections = [
        Section(name="network", heading="Network and cycles", content=network_section(report, colours)),
        Section(name="resources", heading="Resources", content=resources_section(report, colours)),
        Section(name="floorplan", heading="Floorplan", content=floorplan_section(report, colours)),
        Section(name="timing", heading="Timing", content=timing_section(report)),
        Section(name="accuracy", heading="Accuracy", content=accuracy_section(report)),
        Section(name="weights", heading="Weights", content=weights_section(report, colours)),
        Section(name="bursts", heading="Bursts", content=bursts_section(report, colours)),
        Section(name="alternatives", heading="Alternatives", content=alternatives_section(report)),
        Section(name="everything", heading="Everything", content=everything_section(report)),
    ]
    return page(f"Build report: {report['title']}", page_head(report), sections)


def page_head(report: Mapping[str, Any]) -> Markup:
    """Title, and the figures that people look for first."""
    built, missing = report["bitstream"], report["missing_tools"]
    state = f"No bitstream: needs {', '.join(missing)}" if missing else "No bitstream"
    mark = (f"Bitstream {built}", "good") if built else (state, "open")
    if report["target"] != "board":
        mark = (f"Core, --target {report['target']}", "good")
    return head(
        "Build report",
        report["title"],
        f"{report['part']}, network {report['network_sha256'][:12]}, plan {report['plan_sha256'][:12]}",
        mark,
        tiles(report),
    )


def tiles(report: Mapping[str, Any]) -> list[tuple[str, Child, Child]]:
    """Name, value and remark of the most important figures."""
    found: list[tuple[str, Child, Child]] = [
        ("inferences per second", number(report["inferences_per_second_expected"]), "expected"),
        ("cycles per inference", number(report["cycles_expected"]), f"limited by {report['bottleneck']}"),
    ]
    fmax = report["fmax_mhz"]
    reached = "before routing" if fmax is None else f"reaches {fmax:.1f} MHz"
    found.append(("clock", f"{report['clock_mhz']:g} MHz", reached))
    used = report["resources"] or report["estimated"]
    for key in ("cells" if report["budget"].get("cells") else "lut", "bram"):
        if key in used and report["budget"].get(key):
            kind = "used" if report["resources"] else "estimated"
            share = percent(used[key] / report["budget"][key])
            found.append((unit_name(report, key), share, f"{amount(key, used[key])} {kind}"))
    if report["accuracy"] is not None:
        found.append(("test accuracy", percent(report["accuracy"], 2), "of the checkpoint"))
    return found


def network_section(report: Mapping[str, Any], colours: Colours) -> Markup:
    """The graph, and how every layer is built."""
    network = report["network"]
    size = sum(sum(row["counts"]) for row in report["weights"])
    mode = "every timestep has a result" if network["mode"] == "stream" else "one result per sample"
    schedule = report["schedule"]
    words = (
        f"{number(size)} weights, {network['timesteps']} timesteps, {mode}. Schedule: "
        f"{schedule['name'].replace('_', '-')}, since {schedule['reason']}."
    )
    graph = figure(
        f"Nodes from top to bottom, with their shapes (channels {TIMES} height {TIMES} width).",
        network_figure(network, report["layers"], colours),
    )
    return side_by_side(graph, [tag("p", words), layer_table(report, colours), cycles_section(report, colours)])


def layer_table(report: Mapping[str, Any], colours: Colours) -> Markup:
    """How every layer with weights is built."""
    headings = ["layer", "inputs", "channels", f"lanes\u00a0{TIMES}\u00a0folds", "banks", "cores", "beat", "bits"]
    rows = [
        [
            colours.label(row["name"]),
            number(row["inputs"]),
            number(row["channels"]),
            f"{row['lanes']} {TIMES} {row['folds']}",
            *(str(row[key]) for key in ("banks", "cores", "group")),
            f"{row['weight_bits']} / {row['accumulator_bits']} / {row['potential_bits']}",
        ]
        for row in report["layers"]
        if "lanes" in row
    ]
    return join(
        table("How the layers are built", headings, rows),
        note("Beat: channels that leave at a time. Bits: of a weight, of a sum and of a membrane."),
    )
