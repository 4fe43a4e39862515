"""Runs inferences through a simulated network and compares everything with the golden model."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gen.design import Design
from gen.planning.cycles import PredictedCycles, predict
from hw.configuration import TopConfig
from hw.top import flows
from qblif import golden
from qblif.errors import UserError
from qblif.golden import Activations
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.streams import beat_octets, stream_beats
from sim.compare import Comparison, compare
from sim.simulator import Simulation, SimulationError
from sim.spans import spans_path
from snn.datasets.data import Images

STALL_SHARE = 100
"""Probability, out of 256, that source or sink pauses in a cycle of the stalled run."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way of offering the inferences and taking the results.

    Attributes:
        name: its name in reports and folders.
        source_gap, sink_gap: probability, out of 256, that source or sink pauses in a cycle.
        sink_wait: cycles from power-on in which no result is taken.
        one_by_one: 1: each inference is offered after the previous one is done.
        spans: whether it is recorded in which cycles every engine works and every stream moves (:mod:`sim.spans`).
    """

    name: str
    source_gap: int = 0
    sink_gap: int = 0
    sink_wait: int = 0
    one_by_one: int = 0
    spans: bool = False


FULL_SPEED = Mode(name="full speed")
STALLED = Mode(name="random stalls", source_gap=STALL_SHARE, sink_gap=STALL_SHARE)
ONE_BY_ONE = Mode(name="one by one", one_by_one=1)
REFERENCES = Mode(name="references")


@dataclass(frozen=True, kw_only=True, eq=False)
class Inferences:
    """Inferences to run: input bursts (samples, steps, C, H, W), and everything the golden model computes for them.

    Every sample of a network in ``window`` mode is an inference. In ``stream`` mode there is one long sample, and each
    of its timesteps counts as an inference.
    """

    bursts: IntArray
    golden: Activations
    endless: bool = False

    @property
    def count(self) -> int:
        """Number of inferences, and of results."""
        return self.bursts.shape[1] if self.endless else len(self.bursts)

    def first(self, count: int) -> "Inferences":
        """The first ``count`` inferences."""
        known, part = self.golden, (slice(None), slice(count)) if self.endless else (slice(count),)
        return Inferences(
            bursts=self.bursts[part],
            golden=Activations(
                bursts={name: values[part] for name, values in known.bursts.items()},
                states={name: values[part] for name, values in known.states.items()},
                sums=known.sums[part],
            ),
            endless=self.endless,
        )


def inferences_of(network: Network, bursts: IntArray) -> Inferences:
    """The inferences of samples (count, steps, C, H, W); in ``stream`` mode the samples follow each other without a
    reset."""
    endless = network.mode == "stream"
    if endless:
        bursts = bursts.reshape(1, -1, *bursts.shape[2:])
    return Inferences(bursts=bursts, golden=golden.run(network, bursts), endless=endless)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """One run: its comparison, the cycle in which each inference's first beat was accepted, the number of cycles in
    which each layer's scanner worked (empty without taps), the simulator's time in seconds, and the logs' folder."""

    mode: Mode
    comparison: Comparison
    started: IntArray
    worked: dict[str, int]
    seconds: float
    folder: Path


def simulate(
    config: TopConfig, simulation: Simulation, inferences: Inferences, mode: Mode, runs: Path | None = None
) -> Outcome:
    """Run inferences through the simulated network and compare everything with the golden model.

    Args:
        config: the simulated hardware.
        simulation: its testbench.
        inferences: the inferences to run.
        mode: how they are offered.
        runs: the folder in which the mode gets a folder for its logs; by default a new one inside the simulation's
            folder, which is not removed.

    Raises:
        SimulationError: the network hung, or its output is not a sequence of results.
    """
    folder = (runs or simulation.new_run_folder()) / mode.name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    beats = stream_beats(config.framed(inferences.bursts), config.input)
    (folder / "source.bin").write_bytes(beat_octets(beats, config.input.burst_bits).tobytes())
    taps = [f"tap_{stage.name}" for stage in config.stages if stage.output is not None]
    taps += [f"membranes_{name}" for name, _, _ in config.populations]
    taps += [f"working_{worker}" for worker in config.workers]
    taps += [f"flow_{name}" for name in flows(config)]
    logs = [*taps, "results"] if simulation.has_taps else ["results"]
    plusargs: dict[str, object] = {name: (folder / f"{name}.log").resolve() for name in logs}
    plusargs |= {
        "source": (folder / "source.bin").resolve(),
        "source_log": (folder / "source.log").resolve(),
        "source_gap": mode.source_gap,
        "sink_gap": mode.sink_gap,
        "sink_wait": mode.sink_wait,
        "one_by_one": mode.one_by_one,
        "inferences": inferences.count,
        "limit": mode.sink_wait + cycle_limit(config, inferences.count),
    }
    if mode.spans:
        watched = [name for name in logs if name.startswith(("working_", "flow_"))]
        plusargs |= {f"spans_{name}": spans_path(folder, name).resolve() for name in watched}
    begin = time.monotonic()
    simulation.run(plusargs, folder / "simulation.log")
    seconds = time.monotonic() - begin
    started = np.array([int(line) for line in (folder / "source.log").read_text().split()], dtype=np.int64)
    try:
        comparison = compare(config, inferences.golden, folder, taps=simulation.has_taps)
    except ValueError as error:
        raise SimulationError(f"{error} (recorded in {folder})") from error
    workers = config.workers if simulation.has_taps else ()
    worked = {worker: int((folder / f"working_{worker}.log").read_text()) for worker in workers}
    return Outcome(mode=mode, comparison=comparison, started=started, worked=worked, seconds=seconds, folder=folder)


def predicted_cycles(config: TopConfig, inferences: Inferences) -> PredictedCycles:
    """The cycle model's prediction of a run at full speed."""
    return predict(config, {name: bursts.numpy() for name, bursts in inferences.golden.bursts.items()})


def exactly(predicted: PredictedCycles, full: Outcome, *, loops: bool) -> bool:
    """Whether every class left, and every engine with a tap worked, in exactly the predicted cycles; ``loops``: the
    network has recurrent projections, and the first class is not compared."""
    left, finished = full.comparison.class_cycles, predicted.finished
    worked = {name: cycles for name, cycles in full.worked.items() if name in predicted.worked}
    # Recurrent engines begin as soon as they are released from reset, some cycles before the first beat.
    first = left[:1] - finished[:1] if loops else full.started[:1]
    return np.array_equal(left - first, finished) and worked in ({}, predicted.worked)


def cycle_limit(config: TopConfig, inferences: int) -> int:
    """Cycles after which an unfinished network must hang: all planes set, one layer at a time, with stalls."""
    cycles = config.input.beats_per_inference
    cycles += sum(stage.most_cycles() for stage in config.stages)
    return 1000 + 4 * cycles * config.frames * inferences


def prepare(design: Design, images: Images) -> Inferences:
    """Encode the images and run the golden model; raises UserError if they do not fit the network's input."""
    if images.shape != design.network.input.shape:
        raise UserError(f"images of shape {images.shape}, but the network takes {design.network.input.shape}")
    return inferences_of(design.network, encode(images.pixels, design.network.input))
