"""What ``python -m sim.ip_core`` does: a core, driven through its ports, against the golden model."""

import argparse
import json
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gen.design import Design, design_of
from gen.emit.core import MODULE, core_config, core_rtlil, core_verilog, table_words
from gen.emit.packets import beat_bytes, packet_beats, result_words
from gen.emit.patch import fitting_design
from hw.ports.core import CoreConfig
from qblif import golden
from qblif.errors import UserError
from qblif.files import write_whole
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.progress import step
from qblif.streams import from_stream_beats
from sim.core_job import FOUND, JOB, Found, Job, Packet, Run, load_found
from sim.core_testbench import core_testbench
from sim.netlist import NETLISTS, flat_netlist
from sim.simulator import SimulationError, build_sources
from snn.datasets.data import load

CORE_BENCH = "sim.core_bench"
PAUSES = 0.35
"""Probability that source or sink pauses in a cycle."""
LONGEST_SURPLUS = 3
"""Most beats that a long packet has beyond those of a sample, in samples."""
RESETS_PER_RUN = 20
SEED = 1
EXIT_MISMATCH = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Samples of one design, as the core takes them: (count, beats, group), and what it must answer."""

    design: Design
    beats: IntArray

    def packet(self, beats: IntArray) -> Packet:
        """A packet with any number of beats: it is completed with zeros or cut off, and then marked."""
        wanted = self.beats.shape[1]
        sample = np.zeros((1, wanted, beats.shape[1]), dtype=np.int64)
        sample[0, : len(beats)] = beats[:wanted]
        bad = len(beats) != wanted
        sent = beat_bytes(beats, self.design.config.input.burst_bits).tobytes()
        return Packet(sent=sent, answer=self.answer(sample, bad), bad=bad)

    def answer(self, sample: IntArray, bad: bool) -> bytes:
        """The bytes of the result of a whole sample, by the golden model."""
        config = self.design.config
        frames = sample.reshape(config.frames, -1, sample.shape[-1])
        bursts = from_stream_beats(frames, self.design.network.input.shape, config.input)
        bursts = bursts.reshape(1, -1, *bursts.shape[2:])
        logits = golden.run(self.design.network, bursts).logits[0].tolist()
        size = core_config(self.design).result_bytes
        return b"".join(word.to_bytes(size, "little") for word in result_words(config, logits, bad))

    @property
    def packets(self) -> list[Packet]:
        """A good packet for every sample."""
        return [self.packet(beats) for beats in self.beats]


def samples_of(design: Design, pixels: npt.NDArray[np.uint8]) -> Samples:
    """The samples of images (count, C, H, W) or recordings."""
    return Samples(design=design, beats=packet_beats(design.config, encode(pixels, design.network.input)))


def malformed(samples: Samples, count: int, generator: np.random.Generator) -> list[Packet]:
    """``count`` packets that are too short or too long; the shortest has one beat."""
    found = []
    for _ in range(count):
        beats = samples.beats[generator.integers(len(samples.beats))]
        wanted = len(beats)
        short = wanted > 1 and generator.integers(2)
        limits = (1, wanted) if short else (wanted + 1, LONGEST_SURPLUS * wanted + 1)
        length = int(generator.integers(*limits))
        found.append(samples.packet(np.resize(beats, (length, beats.shape[1]))))
    return found


def mixed(good: Sequence[Packet], bad: Sequence[Packet], generator: np.random.Generator) -> list[Packet]:
    """All packets; the bad ones lie anywhere between the good ones, which stay in order and end them."""
    places = np.sort(generator.integers(0, len(good), len(bad)))
    found, left = [], list(bad)
    for place, packet in enumerate(good):
        found += [left.pop() for _ in range(int((places == place).sum()))]
        found.append(packet)
    return found


def runs_of(design: Design, other: Design | None, pixels: npt.NDArray[np.uint8], bad: int) -> list[Run]:
    """Everything that is tried with a core."""
    generator = np.random.default_rng(SEED)
    samples = samples_of(design, pixels)
    good, wrong = samples.packets, malformed(samples, bad, generator)
    short = sum(len(packet.sent) < len(good[0].sent) for packet in wrong)
    counted = {
        "short_packets": short,
        "long_packets": len(wrong) - short,
        "inferences": len(good) + len(wrong),
    }
    few = mixed(good[:RESETS_PER_RUN], wrong[:RESETS_PER_RUN], generator)
    runs = [
        Run(name="malformed packets between, random stalls", packets=mixed(good, wrong, generator), pauses=PAUSES,
            counted=counted if wrong and design.target != "stream" else {}),
        Run(name="back to back, no stalls", packets=good),
        Run(name="reset line in the middle", packets=few, pauses=PAUSES, resets="line"),
    ]  # fmt: skip
    if design.target != "stream":
        runs.append(Run(name="reset register in the middle", packets=few, pauses=PAUSES, resets="register"))
    if other is not None:
        tables = [(words, zlib.crc32(np.array(words, "<u4").tobytes())) for _, words in table_words(other.config)]
        packets = samples_of(other, pixels).packets
        runs.append(Run(name="tables of another network", packets=packets, pauses=PAUSES, tables=tables))
    return runs


def job_of(design: Design, config: CoreConfig, runs: list[Run]) -> Job:
    """The job of the bench."""
    registers = () if config.registers is None else config.registers.registers
    addresses = {one.name: one.offset for one in registers}
    addresses |= {name: one.offset + 4 * word for one in registers for word, name in enumerate(one.names)}
    constants = {one.offset + 4 * word: value for one in registers for word, value in enumerate(one.values)}
    most = sum(stage.most_cycles() for stage in design.config.stages) * design.config.frames
    slowdown = 2 / (1 - PAUSES)
    # A long packet delays the next answer by as many beats as it has.
    limit = int(slowdown * (most + LONGEST_SURPLUS * design.config.beats_per_result + 1000))
    return Job(control=config.control, registers=addresses, constants=constants, runs=runs, limit=limit)


def simulate(design: Design, runs: list[Run], simulator: str, folder: Path, netlist: str | None = None) -> list[Found]:
    """Build the core's simulation, or that of its ``netlist`` for a family, do all runs in it, and return what they
    found; raises UserError, SimulationError."""
    config = core_config(design)
    sources = {"testbench.v": core_testbench(config)}
    if netlist is None:
        sources[f"{MODULE}.v"] = core_verilog(config)
    else:
        convert = core_rtlil if NETLISTS[netlist].family.source_format == "il" else core_verilog
        sources |= flat_netlist(convert(config), MODULE, netlist, folder)
    simulation = build_sources(sources, simulator, folder, waves=False, bench=CORE_BENCH)
    with simulation.run_folder() as place, step(f"simulation of {len(runs)} runs"):
        job_of(design, config, runs).save(place / "job")
        simulation.run({}, place / "log", {JOB: str(place / "job"), FOUND: str(place / "found")})
        return load_found(place / "found")


def check_design(design: Design, netlist: str | None) -> None:
    """Raise UserError unless every packet has a result of its own, and the netlist is one of the part's family."""
    if netlist is not None and NETLISTS[netlist].family.name != design.board.family.name:
        raise UserError(f"--netlist {netlist} needs a --part of that family, not {design.board.name}")
    if design.network.mode == "stream":
        raise UserError("sim.ip_core needs a network in mode window, whose packets do not depend on those before")


def run(options: argparse.Namespace) -> int:
    """Simulate, compare and report; returns the exit code. Raises UserError."""
    with step("plan"):
        design = design_of(options)
    check_design(design, options.netlist)
    other = None if options.other is None else fitting_design(design, options.other)
    images = load(options.data, "test", options.data_dir, design.network.timesteps).first(options.count)
    begin = time.monotonic()
    with step("golden model"):
        runs = runs_of(design, other, images.pixels, options.malformed)
    try:
        found = simulate(design, runs, options.simulator, options.work_dir, options.netlist)
    except SimulationError as error:
        print(f"mismatch: {error}", file=sys.stderr)
        return EXIT_MISMATCH
    for one in found:
        print(
            f"{one.name}: {one.sent} packets, {one.answered} answers, {one.resets} resets, {one.accesses} accesses to "
            f"registers: {one.mismatches} mismatches, {one.hangs} hangs"
        )
        if one.first:
            print(f"mismatch ({one.name}): {one.first}", file=sys.stderr)
    print(f"{time.monotonic() - begin:.0f} s")
    if options.json:
        report = {"network_sha256": design.sha256, "target": design.target, "runs": [vars(one) for one in found]}
        write_whole(options.json, json.dumps(report, indent=2) + "\n")
    return EXIT_MISMATCH if any(one.mismatches or one.hangs for one in found) else 0
