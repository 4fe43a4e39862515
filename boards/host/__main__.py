"""Command line: talk to a flashed board over its serial port.

    python -m boards.host --port /dev/ttyUSB1 bench --data fashion_mnist --count 1000 --ckpt model.pt

Runs without torch and Amaranth, also on a Raspberry Pi; only ``--ckpt`` needs the packages that made the checkpoint.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boards.host.connection import LINE_BITS_PER_BYTE, LONGEST_TIMEOUT, TIMEOUT_SECONDS, check_timeout
from boards.host.device import Device
from boards.host.heartbeats import play
from boards.host.recording import read_frames
from boards.host.samples import by, read_sample
from qblif.errors import Arguments, UserError, command_line
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.network.graph import Network
from qblif.zoo import checkpoint

EXIT_MISMATCH = 1
DEFAULT_COUNT = 1000


def check_network(device: Device, checkpoint: Path) -> Network:
    """The checkpoint's integer network; raises UserError if another network was flashed."""
    from gen.frontend.origin import read_network
    from qblif.network.file import network_sha256

    _, network, vectors = read_network(checkpoint)
    expected, flashed = network_sha256(network, vectors), device.identity.network_sha256.hex()
    if flashed != expected:
        raise UserError(
            f"the board holds network {flashed[:16]}, but {checkpoint} is network {expected[:16]}; build and flash it"
        )
    return network


def golden_logits(network: Network, pixels: NDArray[np.uint8]) -> IntArray:
    """The golden model's logits of the images."""
    from qblif import golden

    starts = range(0, len(pixels), golden.BATCH)
    parts = [golden.run(network, encode(pixels[at : at + golden.BATCH], network.input)).logits for at in starts]
    return np.concatenate([part.numpy() for part in parts])


def identify(device: Device, _: argparse.Namespace) -> int:
    """Print the device's identity."""
    identity = device.identity
    bits = "bit" if identity.bits == 1 else "bits"
    print(f"network {identity.network_sha256.hex()}")
    print(f"input {by(identity.shape)}, {identity.coding}, {identity.bits} {bits}; {identity.timesteps} timesteps")
    print(f"{identity.classes} classes; a logit counts 2^-{identity.fraction_bits}")
    print(f"clock {identity.clock_hz / 1e6:g} MHz, link {identity.baud} baud, {identity.window} requests at a time")
    return 0


def infer(device: Device, options: argparse.Namespace) -> int:
    """Print class and logits of every file."""
    if options.ckpt is not None:
        check_network(device, options.ckpt)
    samples = np.stack([read_sample(path, device.identity) for path in options.images])
    results = device.infer(samples)
    for path, winner, logits in zip(options.images, results.winners, results.logits, strict=True):
        print(f"{path}: class {winner}; logits {' '.join(map(str, logits))}")
    return 0


def bench(device: Device, options: argparse.Namespace) -> int:
    """Run test images and print speed and accuracy, and mismatches if a checkpoint is given."""
    from snn.datasets.data import coding_of, load

    if options.count < 1:
        raise UserError(f"--count must be at least 1, not {options.count}")
    identity = device.identity
    network = None if options.ckpt is None else check_network(device, options.ckpt)
    images = load(options.data, "test", options.data_dir, identity.timesteps).first(options.count)
    count = len(images.labels)
    coding = coding_of(options.data, options.data_dir)
    if coding != identity.coding or images.shape != identity.shape:
        raise UserError(
            f"{options.data} holds {coding} input {by(images.shape)}, but the network takes {identity.coding} input "
            f"{by(identity.shape)}"
        )
    begin = time.monotonic()
    results = device.infer(images.pixels, progress=True)
    seconds = time.monotonic() - begin
    payload = count * identity.burst_bytes * (images.pixels.shape[1] if identity.mode != "sample" else 1)
    print(f"{count} images in {seconds:.1f} s: {count / seconds:.1f} images per second")
    print(
        f"link: {payload * LINE_BITS_PER_BYTE / (identity.baud * seconds):.1%} of {identity.baud} baud carried images; "
        f"{device.retries} retries"
    )
    print(f"accuracy: {np.mean(results.winners == images.last_labels):.2%}")
    if network is None:
        return 0
    expected = golden_logits(network, images.pixels)
    wrong = (results.logits != expected).any(axis=1) | (results.winners != expected.argmax(axis=1))
    print(f"mismatches against golden: {wrong.sum()} of {count}")
    return EXIT_MISMATCH if wrong.any() else 0


def stream(device: Device, options: argparse.Namespace) -> int:
    """Play a recording and print class and confidence whenever the class changes."""
    frames = read_frames(options.events, device.identity, options.window_us)
    period = options.window_us * 1e-6 if options.speed == "real" else 0.0
    unit, shown = 2.0**-device.identity.fraction_bits, None
    with device.stream() as running:
        begin = time.monotonic()
        for number, frame in enumerate(frames):
            time.sleep(max(0.0, begin + number * period - time.monotonic()))
            logits = running.step(frame)
            if logits is None or logits.argmax() == shown:
                continue
            shown = int(logits.argmax())
            odds = np.exp((logits - logits.max()) * unit)
            at = number * options.window_us / 1e6
            print(f"{at:.3f} s: class {shown}, confidence {odds.max() / odds.sum():.0%}", flush=True)
        seconds = time.monotonic() - begin
        latency = running.cycles_per_result() / device.identity.clock_hz
    print(
        f"{len(frames)} timesteps in {seconds:.2f} s: {len(frames) / seconds:.0f} per second; "
        f"{latency * 1e6:.1f} us in the network for each result; {device.retries} retries"
    )
    return 0


def heartbeats(device: Device, options: argparse.Namespace) -> int:
    """Play a record of an electrocardiogram and print the classes of its beats."""
    if options.count < 1:
        raise UserError(f"--count must be at least 1, not {options.count}")
    play(device, options.record, real=options.speed == "real", most=options.count)
    return 0


def counters(device: Device, _: argparse.Namespace) -> int:
    """Print the activity counters."""
    for name, value in device.counters().items():
        print(f"{name} {value}")
    return 0


def reset(device: Device, _: argparse.Namespace) -> int:
    """Reset the device to its state after power-on."""
    device.reset()
    print("the board was reset")
    return 0


def parser() -> Arguments:
    """The command line of ``python -m boards.host``."""
    result = Arguments(
        prog="python -m boards.host",
        description="Talk to a flashed board, or to a virtual one (python -m sim.board). Frames that are lost or "
        "damaged on the line are asked again. Exit code 1 means that the board and the golden model differ.",
    )
    add = result.add_argument
    add("--port", required=True, help="serial port, such as /dev/ttyUSB1")
    add("--baud", type=int, help="rate of the link (default: all that a board may have are tried)")
    add(
        "--timeout",
        type=float,
        default=TIMEOUT_SECONDS,
        help=f"seconds without an answer until something is asked again (default {TIMEOUT_SECONDS:g}, at most "
        f"{LONGEST_TIMEOUT:g}; a virtual board needs 10)",
    )
    commands = result.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, action: Any, purpose: str) -> Arguments:
        added = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        added.set_defaults(action=action)
        return added

    command("identify", identify, "print which network was flashed, and what it takes")
    one = command("infer", infer, "print class and integer logits of images")
    one.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="image file of just the input's size, or a .npy array"
    )
    many = command("bench", bench, "run test images; print images per second, accuracy and mismatches")
    many.add_argument("--data", required=True, help="data set, see python -m snn.train --help")
    many.add_argument("--data-dir", type=Path, help="folder with the data set's files")
    many.add_argument(
        "--count", type=int, default=DEFAULT_COUNT, help=f"the first COUNT images (default {DEFAULT_COUNT})"
    )
    for added in (one, many):
        added.add_argument(
            "--ckpt",
            type=checkpoint,
            help="refuse when another network was flashed; bench: compare with its golden model",
        )
    live = command("stream", stream, "play a recording, timestep by timestep, and print the class as it changes")
    live.add_argument(
        "--events",
        type=Path,
        required=True,
        help="a recording of an event camera (.bin of N-MNIST, .aedat), or frames (T, C, H, W) in a .npy file",
    )
    live.add_argument("--window-us", type=int, default=3000, help="microseconds of each timestep (default 3000)")
    live.add_argument(
        "--speed", choices=("real", "max"), default="real", help="in real time, or as fast as it goes (default real)"
    )
    beats = command(
        "heartbeats", heartbeats, "play a record of the MIT-BIH database and print the classes of its beats"
    )
    beats.add_argument("--record", type=Path, required=True, help="path of the record, without suffix: FOLDER/100")
    beats.add_argument("--count", type=int, default=10_000, help="the first COUNT beats (default all)")
    beats.add_argument(
        "--speed", choices=("real", "max"), default="real", help="in real time, or as fast as it goes (default real)"
    )
    command("counters", counters, "print the activity counters")
    command("reset", reset, "put the board back to its state after power-on")
    return result


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    check_timeout(options.timeout)
    with Device.open(options.port, baud=options.baud, timeout=options.timeout) as device:
        code: int = options.action(device, options)
    return code


if __name__ == "__main__":
    sys.exit(main())
