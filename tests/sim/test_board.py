"""The virtual board with the simplest of designs, a wire from its receiving to its sending pin: bytes come back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from boards.host.device import Device
from boards.host.serial_pipe import SerialPipe
from gen import build
from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold
from gen.reported import file_hashes
from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from sim import board as sim_board
from sim.simulator import SimulationError
from sim.virtual_board import Noise, build_board, virtual_board
from snn.datasets.data import load
from studies import driven_board
from studies import virtual_board as study

TOP = """
module top (input clk25_0__io, input uart_0__rx__io, output uart_0__tx__io);
  assign uart_0__tx__io = uart_0__rx__io;
endmodule
"""
CLOCK_MHZ = 24
CYCLES_PER_BYTE = 80


def build_folder(folder: Path, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    report = {"board": "ulx3s_12f", "clock_mhz": CLOCK_MHZ, "cycles_expected": 10.0, **changes}
    (folder / "top.v").write_text(TOP)
    (folder / "report.json").write_text(json.dumps({"files": file_hashes(folder), **report}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_folder(tmp_path_factory.mktemp("wire"))


@pytest.fixture(scope="module")
def wire(folder, tmp_path_factory):
    return build_board(folder, tmp_path_factory.mktemp("work of tests"))


QUIET_SECONDS = 5


def echo(port: object, content: bytes, seconds: float = 20) -> bytes:
    """What comes back, until it is as long as what was sent or nothing has come for some seconds."""
    pipe, result, end = SerialPipe(str(port)), b"", time.monotonic() + seconds
    pipe.write(content)
    last = time.monotonic()
    while len(result) < len(content) and time.monotonic() < min(end, last + QUIET_SECONDS):
        new = pipe.read()
        result += new
        last = time.monotonic() if new else last
    pipe.close()
    return result


def test_bytes_come_back_at_the_rate_of_the_line(wire, tmp_path):
    content = np.random.default_rng(1).bytes(2000)
    log = tmp_path / "line.log"
    with virtual_board(wire, line_log=log) as board:
        assert echo(board.port, content) == content
        assert echo(board.port, content[:9]) == content[:9]
    assert board.totals["bytes_to_board"] == board.totals["bytes_from_board"] == 2009
    lines = [line.split() for line in log.read_text().splitlines()]
    for direction in "><":
        cycles = np.array([int(cycle) for cycle, way, _ in lines if way == direction][:2000])
        assert bytes(int(byte, 16) for _, way, byte in lines if way == direction)[:2000] == content
        # Now and then Python is late with the next bytes.
        assert np.median(np.diff(cycles)) == CYCLES_PER_BYTE
        assert cycles[-1] - cycles[0] < 1.02 * 1999 * CYCLES_PER_BYTE
    assert board.totals["cycles"] >= int(lines[-1][0])


@pytest.mark.slow
def test_bits_are_inverted_as_often_as_asked(wire):
    """Of bytes with all bits set only the start bit is low: an inverted start bit loses the byte."""
    content, rate = b"\xff" * 20_000, 2e-3
    with virtual_board(wire, noise=Noise(bit_errors=rate, seed=5)) as board:
        result = echo(board.port, content)
    wrong = sum((byte ^ 0xFF).bit_count() for byte in result if byte != 0xFF)
    bits = 8 * 2 * len(content)
    assert 0.7 * rate * bits < wrong < 1.3 * rate * bits
    lost = len(content) - len(result)
    assert 0.4 * rate * 2 * len(content) < lost < 1.6 * rate * 2 * len(content)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_bytes_are_lost_and_doubled(wire, seed):
    content = bytes(range(256)) * 40
    with virtual_board(wire, noise=Noise(dropped=0.01, seed=seed)) as board:
        dropped = echo(board.port, content)
    with virtual_board(wire, noise=Noise(doubled=0.01, seed=seed)) as board:
        doubled = echo(board.port, content + content)
    assert 120 < len(content) - len(dropped) < 300
    steps = np.diff(np.frombuffer(dropped, np.uint8))
    assert set(steps) <= {1, 2, 3}
    steps = np.diff(np.frombuffer(doubled, np.uint8))
    assert set(steps) == {0, 1}
    assert 0.013 < np.mean(steps == 0) < 0.028


@pytest.mark.slow
def test_the_same_seed_gives_the_same_noise(wire):
    content = bytes(range(60))
    results = []
    for seed in (3, 3, 4):
        with virtual_board(wire, noise=Noise(bit_errors=0.02, dropped=0.02, seed=seed)) as board:
            results.append(echo(board.port, content))
    assert results[0] == results[1] != results[2]


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_the_command_serves_rests_and_ends_cleanly(number, folder, wire, tmp_path):
    link = tmp_path / "board"
    program = [sys.executable, "-m", "sim.board", str(folder), "--link", str(link)]
    # The simulation is the one that was built for the other tests.
    work = wire.simulation.folder.parent
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "board").symlink_to(work)
    with subprocess.Popen(
        program, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{link} ready\n"
        assert echo(link, b"hello") == b"hello"
        time.sleep(1.5)
        simulator = int(subprocess.check_output(["pgrep", "-P", str(process.pid)], text=True))
        before = processor_ticks(simulator)
        time.sleep(1)
        assert processor_ticks(simulator) - before <= 5
        assert echo(link, b"again") == b"again"
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert re.fullmatch(r"simulated 0\.\d+ s at 24 MHz and 3000000 baud; 10 bytes to the board, 10 from it\n", output)
    assert errors == ""
    assert not os.path.lexists(link)
    assert not Path(f"/proc/{simulator}").exists()


def processor_ticks(process: int) -> int:
    """Hundredths of a second for which a process has computed."""
    return sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]))


def test_a_dead_simulator_is_an_error(wire):
    def run_and_kill():
        with virtual_board(wire) as board:
            simulator = subprocess.check_output(["pgrep", "-P", str(os.getpid()), "testbench"], text=True)
            os.kill(int(simulator), signal.SIGKILL)
            board.running.exception(timeout=20)

    with pytest.raises(SimulationError, match=r"see .*simulation\.log"):
        run_and_kill()


def test_what_is_no_built_board_is_refused(tmp_path, fails):
    assert "is not a build folder" in fails(sim_board.main, tmp_path / "none")
    folder = build_folder(tmp_path / "one")
    (folder / "top.v").unlink()
    assert "holds no synthesised design" in fails(sim_board.main, folder)
    (folder / "report.json").write_text("{}")
    assert "is damaged" in fails(sim_board.main, folder)
    for change in ({"clock_mhz": value} for value in (None, float("nan"), [24], -1, 1e300, True, "24")):
        assert "damaged" in fails(sim_board.main, build_folder(folder, **change))
    assert "board" in fails(sim_board.main, build_folder(folder, board=["ulx3s_12f"]))


def test_a_name_that_is_taken_is_refused(wire, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    for link, words in ((taken, "exists"), (tmp_path / "no" / "folder", "folder that exists")):
        with pytest.raises(UserError, match=words), virtual_board(wire, link=link):
            pass
    assert taken.read_text() == "mine"
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "gone")
    with virtual_board(wire, link=dangling) as board:
        assert echo(board.port, b"x") == b"x"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "fps"),
    [("ulx3s_12f", "1000000"), ("icebreaker", "1000"), ("ice40_hx8k", "1000"), ("arty_a7", "1000000")],
)
def test_every_family_answers_over_its_line(board, fps, digits_checkpoint, tmp_path):
    options = ["--board", board, "--ckpt", str(digits_checkpoint), "--target-fps", fps, "--until", "synth"]
    assert build.main([*options, "--out", str(tmp_path / board)]) == 0
    network = fold(load_checkpoint(digits_checkpoint))
    images = load("digits", "test").first(40)
    bursts = encode(images.pixels, network.input)
    expected = golden.run(network, bursts)
    built = build_board(tmp_path / board, tmp_path / "work")
    with virtual_board(built) as running, Device.open(str(running.port), timeout=10) as device:
        assert (device.identity.clock_hz, device.identity.baud) == (built.clock_hz, built.baud)
        results = device.infer(images.pixels)
        assert np.array_equal(results.logits, expected.logits.numpy())
        assert np.array_equal(results.winners, expected.classes.numpy())
        counters = device.counters()
        assert counters["inferences"] == 40
        assert counters["bursts_input"] == bursts.sum()
        for name in (node.name for node in network.nodes):
            assert counters[f"bursts_{name}"] == expected.bursts[name].sum()
        device.reset()
        assert set(device.counters().values()) == {0}
        assert device.retries == 0


@pytest.mark.slow
def test_a_perfect_line_a_bad_line_and_garbage(tmp_path):
    figures = tmp_path / "figures.json"
    assert study.main(["--out", str(tmp_path / "board"), "--json", str(figures)]) == 0
    perfect, bad, after = (json.loads(figures.read_text())[name] for name in driven_board.RUNS)
    assert perfect["right"] == perfect["images"] == 200
    assert perfect["efficiency"] >= 0.9
    assert bad["right"] == bad["images"] == 200
    assert bad["retries"] > 0
    assert after["frames"] == 10_000
    assert after["right"] == after["images"] > 0
