"""What ``python -m studies.coverage`` does: the networks, their inputs, and what they covered."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from boards.catalogue import find_board
from gen.design import make_design
from gen.planning.cycles import predict
from gen.planning.plans import make_plan
from hw.configuration import TopConfig
from hw.configure import configure
from hw.coverage import CoverPoint
from qblif.errors import UserError
from qblif.files import write_whole
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.network.nodes import Leak
from qblif.progress import step
from qblif.zoo import ZOO
from sim.cover_points import cover
from sim.coverage import flow_points, merge, recorded
from sim.inferences import FULL_SPEED, STALLED, Inferences, Mode, inferences_of, simulate
from sim.simulator import SimulationError, build_simulation
from snn.datasets.data import load
from studies.coverage_report import Covered, Hole, report
from studies.random_networks import Sketch, balanced, random_network
from studies.stimuli import noise, stimuli

EXIT_HOLE = 1
SAMPLES = 300
"""Test images that are searched for inputs that cover more than the first ones."""
SEED = 1
CLASSES = 4
"""Classes of random networks."""
SMALLEST_FPS = 1.0
"""A rate that every design reaches, so that the planner gives the smallest one, with many folds."""
NOT_SILENCED = (
    "no input was found that silences all neurons of one sum; strided and events have such sums in every layer"
)
QUEUE_FIRST = (
    "where results are not taken, the queue of the skip beside it is full and stops its source first, and where they "
    "are, what sends is the slower one; the first block of digits_resnet has these streams held back"
)


def not_silenced(*layers: str) -> dict[Hole, str]:
    """Layers of a trained network for which the search found no input with an empty sum."""
    return {(layer, "beats", "sum of nothing"): NOT_SILENCED for layer in layers}


def queue_first(*streams: str) -> dict[Hole, str]:
    """Streams beside a skip that were never held back."""
    return {(stream, "flow", "held back"): QUEUE_FIRST for stream in streams}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network of the campaign.

    Attributes:
        name: the network's name.
        about: its contribution to the campaign, for people.
        hardware: makes network, configuration and sample bursts, given the folder of the data sets.
        images: number of samples that are always simulated, whatever they cover.
        explained: holes without a proof, with the reason.
    """

    name: str
    about: str
    hardware: Callable[[Path | None], tuple[Network, TopConfig, IntArray]]
    images: int = 0
    explained: Mapping[Hole, str] = field(default_factory=dict)


def shipped(
    name: str, data: str, board: str, target_fps: float | None
) -> Callable[[Path | None], tuple[Network, TopConfig, IntArray]]:
    """A network of ``snn/zoo`` as built for a board, with test images."""

    def make(data_dir: Path | None) -> tuple[Network, TopConfig, IntArray]:
        design = make_design(ZOO / f"{name}.pt", board, target_fps=target_fps)
        images = load(data, "test", data_dir, design.network.timesteps).first(SAMPLES)
        return design.network, design.config, encode(images.pixels, design.network.input)

    return make


def drawn(sketch: Sketch, board: str) -> Callable[[Path | None], tuple[Network, TopConfig, IntArray]]:
    """A random network in its smallest design for a board, without samples."""

    def make(_: Path | None) -> tuple[Network, TopConfig, IntArray]:
        network = random_network(sketch, CLASSES)
        network = balanced(network, noise(network, SEED))
        clock_mhz = find_board(board).default_clock_mhz
        plan = make_plan(network, find_board(board), clock_mhz, "0" * 64, {}, SMALLEST_FPS)
        return network, configure(network, plan), np.zeros((0, network.steps("input"), *network.input.shape), np.int64)

    return make


STRIDED = Sketch(
    name="strided",
    shape=(3, 11, 11),
    layers=[(4, 1), "pool", (4, 2), 6],
    timesteps=3,
    burst_ceiling=5,
    leak=Leak(multiplier=3, shift=2),
    reset="hard",
    pooling="sum",
)
EVENTS = Sketch(
    name="events",
    shape=(2, 8, 8),
    layers=[(4, 1), "residual", "pool", (6, 2)],
    timesteps=4,
    burst_ceiling=2,
    input_bits=2,
    coding="events",
    seed=2,
)
CASES = (
    Case(
        name="digits_mlp",
        about="digits, dense, on an iCEBreaker",
        hardware=shipped("digits_mlp", "digits", "icebreaker", None),
        images=20,
    ),
    Case(
        name="digits_resnet",
        about="digits, two residual blocks, on an Arty A7 at 16,000 inferences per second",
        hardware=shipped("digits_resnet", "digits", "arty_a7", 16_000),
        images=20,
        explained={
            **not_silenced("stages_0_1_second", "stages_1_0", "stages_1_1_first", "stages_1_1_second", "readout"),
            **queue_first("arriving_stages_1_1_first", "currents_stages_1_1_first"),
        },
    ),
    Case(
        name="fashion_mnist_mlp",
        about="Fashion-MNIST, dense, on a ULX3S-85F at 200,000 inferences per second",
        hardware=shipped("fashion_mnist_mlp", "fashion_mnist", "ulx3s_85f", 200_000),
        images=20,
    ),
    Case(
        name="fashion_mnist_cnn",
        about="Fashion-MNIST, convolutions and max pooling, on a ULX3S-45F at 5,200 inferences per second",
        hardware=shipped("fashion_mnist_cnn", "fashion_mnist", "ulx3s_45f", 5200),
        images=10,
        explained=not_silenced("stages_2_0", "hidden_0"),
    ),
    Case(
        name="strided",
        about="random weights; stride 2, sum pooling that drops a row and a column, hard reset, leak 3/4, K = 5",
        hardware=drawn(STRIDED, "ulx3s_12f"),
    ),
    Case(
        name="events",
        about="random weights; `events` input, a residual block, K = 2",
        hardware=drawn(EVENTS, "ulx3s_12f"),
        explained=queue_first("arriving_layer_1", "currents_layer_1", "arriving_layer_2"),
    ),
)


def run_case(case: Case, data_dir: Path | None, simulator: str, folder: Path) -> Covered:
    """Simulate one network in every mode and collect its coverage.

    Raises:
        SimulationError: the network hung, differed from the golden model, or hit a bin that was proved unreachable.
    """
    network, config, samples = case.hardware(data_dir)
    bursts = stimuli(config, network, samples, case.images, SEED)
    inferences = inferences_of(network, bursts)
    simulation = build_simulation(config, simulator, folder, waves=False)
    runs: list[Sequence[CoverPoint]] = []
    with simulation.run_folder() as logs:
        for mode in (FULL_SPEED, STALLED, blocked_sink(config, inferences)):
            outcome = simulate(config, simulation, inferences, mode, logs)
            if outcome.comparison.mismatches:
                raise SimulationError(f"{mode.name}: {outcome.comparison.first}")
            seen = recorded(config, network, bursts, outcome.folder)
            runs.append([*cover(config, network, seen), *flow_points(config, outcome.folder)])
    points = merge(runs)
    for point in points:
        for name in point.wrongly_unreachable:
            raise SimulationError(f"{point.place}, {point.kind}: {name!r} is proved unreachable, and was hit")
    return Covered(name=case.name, about=case.about, inputs=len(bursts), points=points, explained=case.explained)


def blocked_sink(config: TopConfig, inferences: Inferences) -> Mode:
    """A mode in which no result is taken for as long as all inferences need at full speed: everything fills up and
    stalls."""
    predicted = predict(config, {name: bursts.numpy() for name, bursts in inferences.golden.bursts.items()})
    return Mode(name="blocked sink", sink_wait=int(predicted.finished[-1]))


def chosen_cases(names: Sequence[str] | None) -> list[Case]:
    """The cases with these names, or all for None; raises UserError."""
    known = {case.name: case for case in CASES}
    for name in names or ():
        if name not in known:
            raise UserError(f"--networks: there is no {name!r} among {', '.join(known)}")
    return [known[name] for name in names or known]


def run(options: argparse.Namespace) -> int:
    """Run the campaign; returns the exit code. Raises UserError."""
    cases = chosen_cases(options.networks)
    covered = []
    for case in cases:
        try:
            with step(f"{case.name}: inputs and simulation"):
                covered.append(run_case(case, options.data_dir, options.simulator, options.work_dir))
        except SimulationError as error:
            print(f"mismatch: {case.name}: {error}", file=sys.stderr)
            return EXIT_HOLE
        print(covered[-1].summary)
    if options.out is not None:
        write_whole(options.out, report(covered))
    for one in covered:
        for hole in one.open_holes:
            print(f"hole: {one.name}: {', '.join(hole)}", file=sys.stderr)
        for hole in one.stale_reasons:
            print(f"a reason, but no hole: {one.name}: {', '.join(hole)}", file=sys.stderr)
    return EXIT_HOLE if any(one.open_holes or one.stale_reasons for one in covered) else 0
