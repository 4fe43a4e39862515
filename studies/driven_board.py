"""What ``python -m studies.virtual_board`` does: the host driver on a simulated board."""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from boards.host.connection import LINE_BITS_PER_BYTE
from boards.host.device import Device
from boards.host.framing import END, Frame
from boards.host.serial_pipe import SerialPipe
from gen.building import run_build
from gen.design import Design, make_design
from qblif import golden
from qblif.errors import UserError
from qblif.files import write_whole
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.progress import step
from qblif.protocol import Command, Identity
from sim.simulator import SimulationError
from sim.virtual_board import BuiltBoard, Noise, build_board, virtual_board
from snn.datasets.data import Images, load
from studies.virtual_board import LEAST_EFFICIENCY

Figures = dict[str, Any]
CLOCK_MHZ = 24.0
"""Eight cycles per bit at 3 Mbaud: fewer cycles per byte make the simulation faster."""
TARGET_FPS = 10_000.0
TIMEOUT_SECONDS = 10.0
QUIET_SECONDS = 5.0
"""Seconds without an answer after which all answers to garbage are assumed to have arrived."""
BAD_LINE = Noise(bit_errors=1e-4, dropped=1e-4, seed=1)
GARBAGE_FRAMES = 10_000
IMAGES_AFTER_GARBAGE = 5
EXIT_FAILED = 1


def right(device: Device, images: Images, expected: IntArray) -> int:
    """Number of images that come back with the golden model's logits and class."""
    results = device.infer(images.pixels, progress=True)
    same = (results.logits == expected).all(axis=1) & (results.winners == expected.argmax(axis=1))
    return int(same.sum())


def perfect_line(built: BuiltBoard, images: Images, expected: IntArray) -> Figures:
    """Right answers, and the share of the time in which the line carries images; in simulated time.

    The time runs from the first byte of the first request to the last byte of the last answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "line.log"
        with (
            virtual_board(built, line_log=log) as board,
            Device.open(str(board.port), timeout=TIMEOUT_SECONDS) as device,
        ):
            before = log.stat().st_size
            count = right(device, images, expected)
            payload = len(images.labels) * device.identity.burst_bytes
            retries = device.retries
        lines = log.read_text()[before:].splitlines()
    cycles = [int(line.split()[0]) for line in lines]
    seconds = (cycles[-1] - cycles[0]) / built.clock_hz
    efficiency = payload * LINE_BITS_PER_BYTE / (built.baud * seconds)
    return {
        "images": len(images.labels),
        "right": count,
        "retries": retries,
        "efficiency": efficiency,
        "images_per_second": len(images.labels) / seconds,
        "passed": count == len(images.labels) and efficiency >= LEAST_EFFICIENCY,
    }


def bad_line(built: BuiltBoard, images: Images, expected: IntArray) -> Figures:
    """Right answers and retries on a line that inverts bits and loses bytes."""
    with (
        virtual_board(built, noise=BAD_LINE) as board,
        Device.open(str(board.port), timeout=TIMEOUT_SECONDS) as device,
    ):
        count = right(device, images, expected)
        retries = device.retries
    return {
        "images": len(images.labels),
        "right": count,
        "retries": retries,
        "bytes_to_board": board.totals["bytes_to_board"],
        "passed": count == len(images.labels) and retries > 0,
    }


def garbage(built: BuiltBoard, images: Images, expected: IntArray) -> Figures:
    """Whether images are right after thousands of invalid frames."""
    few = images.first(IMAGES_AFTER_GARBAGE)
    with virtual_board(built) as board:
        with Device.open(str(board.port), timeout=TIMEOUT_SECONDS) as device:
            identity = device.identity
        pipe = SerialPipe(str(board.port))
        generator = random.Random(1)
        for _ in range(GARBAGE_FRAMES):
            pipe.write(garbage_frame(generator, identity))
        heard = time.monotonic()
        while time.monotonic() < heard + QUIET_SECONDS:
            heard = time.monotonic() if pipe.read() else heard
        pipe.close()
        with Device.open(str(board.port), timeout=TIMEOUT_SECONDS) as device:
            count = right(device, few, expected[: len(few.labels)])
            retries = device.retries
    return {
        "frames": GARBAGE_FRAMES,
        "bytes_to_board": board.totals["bytes_to_board"],
        "bytes_from_board": board.totals["bytes_from_board"],
        "images": len(few.labels),
        "right": count,
        "retries": retries,
        "passed": count == len(few.labels),
    }


def garbage_frame(generator: random.Random, identity: Identity) -> bytes:
    """Random bytes, or a frame with something wrong: cut short, a flipped bit, an unknown command, a wrong size or id.

    One in a hundred is up to twice an image's length; the others are short.
    """
    longest = 2 * identity.burst_bytes if generator.random() < 0.01 else 16
    data = generator.randbytes(generator.randrange(longest))
    kind, number = generator.choice((*Command, generator.randrange(5, 256))), generator.randrange(256)
    whole = Frame(kind=kind, id=number, data=data).to_bytes()
    place = generator.randrange(len(whole) - 1)
    flipped = bytes([*whole[:place], whole[place] ^ (1 << generator.randrange(8)), *whole[place + 1 :]])
    return generator.choice((data + END, whole[:place] + END, flipped, whole))


RUNS: dict[str, Callable[[BuiltBoard, Images, IntArray], Figures]] = {
    "perfect line": perfect_line,
    "bad line": bad_line,
    "after garbage": garbage,
}


def run_all(design: Design, folder: Path, images: Images) -> Figures:
    """Build the board and run everything on it; returns the figures of every run by its name."""
    run_build(design, folder, "synth")
    built = build_board(folder, folder.with_name(f"{folder.name}.simulation"))
    bursts = encode(images.pixels, design.network.input)
    expected = golden.run(design.network, bursts).logits.numpy()
    figures: Figures = {"clock_hz": built.clock_hz, "baud": built.baud}
    for name, run in RUNS.items():
        begin = time.monotonic()
        with step(f"simulated board, {name}"):
            found = run(built, images, expected)
        figures[name] = {**found, "seconds": round(time.monotonic() - begin, 1)}
    return figures


def print_table(figures: Figures) -> None:
    """Print the figures as a table."""
    perfect, bad, after = (figures[name] for name in RUNS)
    speed = f"{perfect['images_per_second']:.0f} images per second"
    table = Table(title=f"host driver and simulated board, {figures['baud']} baud", show_header=False)
    table.add_row("perfect line", f"{answered(perfect)}, {perfect['retries']} retries")
    table.add_row("", f"link efficiency {perfect['efficiency']:.1%}, {speed}")
    noise = f"bit errors {BAD_LINE.bit_errors:g}, dropped bytes {BAD_LINE.dropped:g}"
    table.add_row(noise, f"{answered(bad)}, {bad['retries']} retries")
    table.add_row(f"after {after['frames']} frames of garbage", answered(after))
    Console(width=100).print(table)


def answered(run: Figures) -> str:
    """The number of images of a run that came back right, as text."""
    return f"{run['right']} of {run['images']} images right"


def run(options: argparse.Namespace) -> int:
    """Build the board and run everything on it; returns the exit code. Raises UserError."""
    design = make_design(options.ckpt, options.board, clock_mhz=CLOCK_MHZ, target_fps=TARGET_FPS)
    images = load(options.data, "test", options.data_dir, design.network.timesteps).first(options.count)
    if images.shape != design.network.input.shape:
        raise UserError(f"{options.data} holds images of another shape than {options.ckpt} takes")
    try:
        figures = run_all(design, options.out.resolve(), images)
    except SimulationError as error:
        raise UserError(str(error)) from error
    print_table(figures)
    if options.json:
        write_whole(options.json, json.dumps(figures, indent=2) + "\n")
    return 0 if all(figures[name]["passed"] for name in RUNS) else EXIT_FAILED
