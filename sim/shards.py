"""What ``python -m sim.exhaustive`` does: the shards of a test set, and what they add up to."""

import argparse
import contextlib
import hashlib
import json
import resource
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gen.design import Design, design_of
from qblif.files import write_whole
from qblif.progress import step
from sim.cluster import shared_out
from sim.inferences import FULL_SPEED, exactly, predicted_cycles, prepare, simulate
from sim.record import keep
from sim.simulator import BENCHES, Simulation, SimulationError, build_simulation
from snn.datasets.data import Images, load

EXIT_MISMATCH = 1


@lru_cache(maxsize=1)
def prepared(text: str) -> tuple[Design, Simulation, Images]:
    """Design, simulation and images for a run's options (as JSON), prepared once per process."""
    options = parsed_options(text)
    design = design_of(options)
    bench = BENCHES[options.bench or ("cpp" if options.simulator == "verilator" else "cocotb")]
    simulation = build_simulation(design.config, options.simulator, options.work_dir, waves=False, bench=bench)
    images = load(options.data, "test", options.data_dir, design.network.timesteps).first(options.count)
    return design, simulation, images


def options_to(options: argparse.Namespace) -> str:
    """The options as text for a worker."""
    return json.dumps({key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()})


def parsed_options(text: str) -> argparse.Namespace:
    """The inverse of :func:`options_to`."""
    paths = ("ckpt", "data_dir", "plan", "work_dir", "json")
    content = json.loads(text)
    return argparse.Namespace(
        **{key: Path(value) if key in paths and value is not None else value for key, value in content.items()}
    )


def run_shard(text: str, first: int) -> dict[str, Any]:
    """Simulate one shard and compare every beat with the golden model, and the cycles with the cycle model's; returns
    its figures.

    Raises:
        SimulationError: the network hung.
    """
    design, simulation, images = prepared(text)
    options, begin = parsed_options(text), processor_seconds()
    shard = images.range(first, first + options.shard)
    inferences = prepare(design, shard)
    with simulation.run_folder() as folder:
        outcome = simulate(design.config, simulation, inferences, FULL_SPEED, folder)
    comparison = outcome.comparison
    cycles, predicted = np.diff(comparison.class_cycles), predicted_cycles(design.config, inferences)
    return {
        "first": first,
        "images": len(shard.labels),
        "mismatches": comparison.mismatches,
        "what": comparison.first,
        "right": int((comparison.classes == shard.labels[: len(comparison.classes)]).sum()),
        "cycles": int(cycles.sum()),
        "gaps": len(cycles),
        "prediction_exact": exactly(predicted, outcome, loops=bool(design.config.loops)),
        "seconds": outcome.seconds,
        "processor_seconds": processor_seconds() - begin,
    }


def processor_seconds() -> float:
    """Processor time of this process and of the programs that it has run."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def shard_file(folder: Path, first: int) -> Path:
    """The file with a finished shard's figures, from which an interrupted run continues."""
    return folder / f"{first:08}.json"


def finished_shards(folder: Path) -> dict[int, dict[str, Any]]:
    """The figures of shards that earlier runs have finished."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(ValueError, KeyError):
            figures = json.loads(path.read_text())
            found[int(figures["first"])] = figures
    return found


def summary(design: Design, simulation: Simulation, shards: list[dict[str, Any]]) -> dict[str, Any]:
    """The combined figures of all shards."""
    images = sum(shard["images"] for shard in shards)
    gaps = sum(shard["gaps"] for shard in shards)
    return {
        "images": images,
        "mismatches": sum(shard["mismatches"] for shard in shards),
        "first_mismatches": [f"from image {s['first']}: {s['what']}" for s in shards if s["mismatches"]][:10],
        "accuracy_rtl": sum(shard["right"] for shard in shards) / images,
        "cycles_mean": sum(shard["cycles"] for shard in shards) / gaps if gaps else None,
        "prediction_exact": all(shard["prediction_exact"] for shard in shards),
        "shards": len(shards),
        "simulated_images_per_second": images / sum(shard["seconds"] for shard in shards),
        "images_per_processor_second": images / sum(shard["processor_seconds"] for shard in shards),
        "board": design.board.name,
        "network_sha256": design.sha256,
        "plan_sha256": design.plan.sha256,
        "simulator": simulation.simulator,
        "version": simulation.version,
        "bench": simulation.bench,
    }


def print_summary(report: dict[str, Any]) -> None:
    """Print the figures."""
    print(
        f"{report['images']} images in {report['shards']} shards, {report['mismatches']} mismatches; "
        f"{report['images_per_processor_second']:.0f} images per second of processor time"
    )
    for line in report["first_mismatches"]:
        print(f"  {line}")
    print(f"accuracy of the RTL: {report['accuracy_rtl']:.2%}")
    if report["cycles_mean"] is not None:
        verdict = "exactly" if report["prediction_exact"] else "otherwise"
        print(f"cycles per image: mean {report['cycles_mean']:.1f}, predicted {verdict}")


def run(options: argparse.Namespace) -> int:
    """Simulate what is missing of the test set, and report; returns the exit code. Raises UserError."""
    with step("plan, simulation and images"):
        design, simulation, images = prepared(options_to(options))
    prepare(design, images.first(1))
    total = len(images.labels)
    build = (simulation.folder.name, simulation.bench)
    whole = (design.plan.sha256, design.sha256, *build, options.data, str(options.shard))
    folder = options.work_dir / f"shards-{hashlib.sha256(' '.join(whole).encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    shards = {first: min(options.shard, total - first) for first in range(0, total, options.shard)}
    found = {first: one for first, one in finished_shards(folder).items() if one["images"] == shards.get(first)}
    try:
        left = total - sum(one["images"] for one in found.values())
        with step("images", left) as progress:
            text = options_to(options)
            missing = [(text, first) for first in shards if first not in found]
            for figures in shared_out(run_shard, missing, workers=options.workers, scheduler=options.scheduler):
                keep(shard_file(folder, figures["first"]), figures)
                found[figures["first"]] = figures
                progress.advance(figures["images"])
    except SimulationError as error:
        print(f"mismatch: {error}", file=sys.stderr)
        return EXIT_MISMATCH
    report = summary(design, simulation, [found[first] for first in shards])
    print_summary(report)
    if options.json:
        write_whole(options.json, json.dumps(report, indent=2) + "\n")
    return EXIT_MISMATCH if report["mismatches"] else 0
