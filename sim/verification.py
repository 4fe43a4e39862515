"""What ``python -m sim.run`` does: the hardware of a checkpoint on real data against the golden model."""

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from gen.design import Design, design_of
from qblif import golden
from qblif.files import write_whole
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.progress import step
from sim.inferences import (
    FULL_SPEED,
    ONE_BY_ONE,
    REFERENCES,
    STALLED,
    Inferences,
    Mode,
    Outcome,
    exactly,
    inferences_of,
    predicted_cycles,
    prepare,
    simulate,
)
from sim.netlist import netlist_config, synthesis_version
from sim.page.report import simulation_page
from sim.pictured import page_content, timelines
from sim.simulator import BENCHES, Simulation, SimulationError, build_simulation
from snn.datasets.data import load

LATENCY_INFERENCES = 16
EXIT_MISMATCH = 1


def simulate_all(design: Design, simulation: Simulation, inferences: Inferences) -> list[Outcome]:
    """All runs of one simulation: the references, then the data in every mode.

    Their folders are in one new folder, which the caller removes; it stays if a run hangs.
    """
    runs: list[tuple[Mode, Inferences]] = [
        (FULL_SPEED, inferences),
        (STALLED, inferences),
        (ONE_BY_ONE, inferences.first(LATENCY_INFERENCES)),
    ]
    if len(design.references.logits):
        runs.insert(0, (REFERENCES, reference_inferences(design)))
    outcomes, folder = [], simulation.new_run_folder()
    for mode, batch in runs:
        try:
            with step(f"simulation of {batch.count} inferences, {mode.name}"):
                outcomes.append(simulate(design.config, simulation, batch, mode, folder))
        except SimulationError as error:
            if simulation.waves:
                raise
            waves = hung_waveform(design, simulation, batch, mode)
            raise SimulationError(f"{mode.name}: {error}; waveform: {waves}") from error
    return outcomes


def hung_waveform(design: Design, simulation: Simulation, batch: Inferences, mode: Mode) -> Path:
    """Run a mode that hung again, only its first inference, with waveforms; returns the waveform's path."""
    traced = rebuilt_with_waves(design, simulation)
    folder = traced.new_run_folder()
    with contextlib.suppress(SimulationError):
        simulate(design.config, traced, batch.first(1), mode, folder)
    return waveform(folder)


def rebuilt_with_waves(design: Design, simulation: Simulation) -> Simulation:
    """The same simulation, recording waveforms."""
    return build_simulation(
        design.config, simulation.simulator, simulation.folder.parent, waves=True, netlist=simulation.netlist
    )


def reference_inferences(design: Design) -> Inferences:
    """The reference vectors, with everything the golden model computes for them."""
    bursts = encode(design.references.samples, design.network.input)
    return inferences_of(design.network, bursts)


def figures(
    design: Design, simulation: Simulation, outcomes: list[Outcome], inferences: Inferences, labels: IntArray
) -> dict[str, Any]:
    """The figures of a run for its JSON file; cycles and latency are defined as in docs/design.md."""
    by_mode = {outcome.mode: outcome for outcome in outcomes}
    full, spaced = by_mode[FULL_SPEED], by_mode[ONE_BY_ONE]
    classes, gaps = full.comparison.classes, np.diff(full.comparison.class_cycles)
    stream = design.network.mode == "stream"
    # Every timestep of a stream has a result, and a label of its own or that of its recording.
    wanted = np.repeat(labels.reshape(-1), inferences.count // labels.size)
    predicted = predicted_cycles(design.config, inferences)
    finished = min(len(spaced.started), len(spaced.comparison.class_cycles))
    latencies = spaced.comparison.class_cycles[:finished] - spaced.started[:finished]
    return {
        "images": len(labels),
        "mismatches": sum(outcome.comparison.mismatches for outcome in outcomes),
        "runs": {outcome.mode.name: outcome.comparison.mismatches for outcome in outcomes},
        "accuracy_golden": float((inferences.golden.results(stream).argmax(dim=1).numpy() == wanted).mean()),
        "accuracy_rtl": float((classes == wanted[: len(classes)]).sum() / len(wanted)),
        "confusion": confusion(wanted, classes),
        "cycles_mean": float(gaps.mean()) if len(gaps) else None,
        "cycles_max": int(gaps.max()) if len(gaps) else None,
        "cycles_predicted_mean": predicted.mean if len(gaps) else None,
        "latency_mean": float(latencies.mean()) if finished else None,
        "layer_cycles": {name: worked / inferences.count for name, worked in full.worked.items()},
        "layer_cycles_predicted": {name: worked / inferences.count for name, worked in predicted.worked.items()},
        "prediction_exact": exactly(predicted, full, loops=bool(design.config.loops)),
        "lanes_busy": lanes_busy(design, inferences, full),
        "simulated_images_per_second": len(labels) / full.seconds,
        "board": design.board.name,
        "network_sha256": design.sha256,
        "plan_sha256": design.plan.sha256,
        "netlist": simulation.netlist and {"family": simulation.netlist, "synthesis": synthesis_version()},
        "simulator": simulation.simulator,
        "version": simulation.version,
        "bench": simulation.bench,
    }


def confusion(labels: IntArray, classes: IntArray) -> list[list[int]]:
    """How often each class was found, in columns, for each label, in rows."""
    known = labels[: len(classes)]
    counts = np.zeros((1 + max(*labels, *classes),) * 2, dtype=np.int64)
    np.add.at(counts, (known, classes[: len(known)]), 1)
    return counts.tolist()


def lanes_busy(design: Design, inferences: Inferences, full: Outcome) -> dict[str, float]:
    """Accumulates done / (lanes x banks x cycles) of every layer, from the first beat accepted to the last class."""
    if not len(full.started) or not len(full.comparison.class_cycles):
        return {}
    cycles = int(full.comparison.class_cycles[-1] - full.started[0])
    bursts = inferences.golden.bursts
    result = {}
    for layer in design.config.layers:
        done = sum(
            golden.accumulates(projection, design.network, bursts[projection.source])
            for projection in design.network.weighted_projections(layer.name)
        )
        result[layer.name] = done / (sum(engine.lanes * engine.adds_per_cycle for engine in layer.engines) * cycles)
    return result


def with_waves(design: Design, inferences: Inferences, failing: Outcome, failed: Simulation) -> Path:
    """Run a failing mode again, up to its first wrong inference, with waveforms; returns the waveform's path."""
    simulation = rebuilt_with_waves(design, failed)
    batch = inferences.first(failing.comparison.first_inference + 1)
    return waveform(simulate(design.config, simulation, batch, failing.mode).folder)


def waveform(folder: Path) -> Path:
    """The path of a run's waveform, or the run's folder if there is none."""
    return next((path for kind in ("*.vcd", "*.fst") for path in folder.rglob(kind)), folder)


def print_report(report: dict[str, Any], seconds: float) -> None:
    """Print the figures."""
    print(
        f"{report['images']} images, {report['mismatches']} mismatches ({', '.join(report['runs'])}), {seconds:.0f} s; "
        f"{report['simulated_images_per_second']:.1f} images per second at full speed"
    )
    simulated = "RTL" if report["netlist"] is None else "netlist"
    print(f"accuracy: golden {report['accuracy_golden']:.2%}, {simulated} {report['accuracy_rtl']:.2%}")
    if report["cycles_mean"] is not None:
        print(f"cycles per image: mean {report['cycles_mean']:.1f}, max {report['cycles_max']}", end="; ")
        verdict = "exactly" if report["prediction_exact"] else f"but {report['cycles_predicted_mean']:.1f}"
        print(f"predicted {verdict}", end="; ")
        print(f"latency: mean {report['latency_mean']:.1f}")
        print("lanes busy: " + ", ".join(f"{name} {share:.1%}" for name, share in report["lanes_busy"].items()))


def run(options: argparse.Namespace) -> int:
    """Simulate, compare and report; returns the exit code. Raises UserError."""
    with step("plan"):
        design = design_of(options)
    if options.netlist is not None:
        design = dataclasses.replace(design, config=netlist_config(design.network, design.plan, options.netlist))
    images = load(options.data, "test", options.data_dir, design.network.timesteps).first(options.count)
    with step(f"golden model, {len(images.labels)} images"):
        inferences = prepare(design, images)
    begin = time.monotonic()
    try:
        simulation = build_simulation(
            design.config,
            options.simulator,
            options.work_dir,
            waves=options.waves,
            netlist=options.netlist,
            bench=BENCHES[options.bench],
        )
        outcomes = simulate_all(design, simulation, inferences)
        report = figures(design, simulation, outcomes, inferences, images.labels)
        failing = next((outcome for outcome in outcomes if outcome.comparison.mismatches), None)
        if failing is not None:
            batch = reference_inferences(design) if failing.mode is REFERENCES else inferences
            waves = with_waves(design, batch, failing, simulation)
            print(f"mismatch ({failing.mode.name}): {failing.comparison.first}; waveform: {waves}", file=sys.stderr)
        if options.html:
            lines = timelines(design, simulation, inferences, outcomes[0].folder.parent)
            content = page_content(options.ckpt.stem, design, report, outcomes, inferences, lines)
            write_whole(options.html, simulation_page(content))
    except SimulationError as error:
        print(f"mismatch: {error}", file=sys.stderr)
        return EXIT_MISMATCH
    runs = outcomes[0].folder.parent
    print_report(report, time.monotonic() - begin)
    if options.waves:
        print(f"waveforms: {runs}")
    else:
        shutil.rmtree(runs, ignore_errors=True)
    if options.json:
        write_whole(options.json, json.dumps(report, indent=2) + "\n")
    return EXIT_MISMATCH if report["mismatches"] else 0
