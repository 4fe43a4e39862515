"""The cocotb test behind a virtual board: it carries bytes between a pseudo-terminal and the simulated serial line.

Runs inside the simulator until it gets SIGTERM or its parent is gone. Python handles only bytes, once per byte time;
clock and bits are handled by the simulator. While nothing happens on the line, simulated time stops.
"""

import contextlib
import json
import os
import random
import select
import signal
import tty
from collections import deque
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Timer

PERIOD_NS = 10
LINE_BITS_PER_BYTE = 10
IDLE_POLL_SECONDS = 0.1
LARGEST_READ = 4096


class Terminal:
    """A pseudo-terminal whose other end the host opens, under the name ``link``."""

    def __init__(self, link: Path) -> None:
        self._own, self._other = os.openpty()
        tty.setraw(self._other)
        os.set_blocking(self._own, False)
        self._link = link
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._other))

    def read(self) -> bytes:
        """The bytes that the host has sent since the last call."""
        try:
            return os.read(self._own, LARGEST_READ)
        except BlockingIOError:
            return b""

    def write(self, content: bytes) -> None:
        """Send bytes to the host; bytes that nobody reads are lost, as on a line."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._own, content)

    def wait(self, seconds: float) -> None:
        """Sleep until the host sends something, at most ``seconds``."""
        select.select([self._own], [], [], seconds)

    def close(self) -> None:
        """Hang up and remove the name."""
        self._link.unlink(missing_ok=True)
        os.close(self._own)
        os.close(self._other)


class LossyCopy:
    """Passes bytes on; each is lost or doubled at random."""

    def __init__(self, dropped: float, doubled: float, seed: str) -> None:
        self._dropped, self._doubled, self._random = dropped, doubled, random.Random(seed)

    def __call__(self, content: bytes) -> bytes:
        result = bytearray()
        for byte in content:
            chance = self._random.random()
            copies = 0 if chance < self._dropped else 2 if chance < self._dropped + self._doubled else 1
            result += bytes([byte]) * copies
        return bytes(result)


class Ring:
    """Bytes of a line in one wide signal: byte number n is in place n modulo ``places``."""

    def __init__(self, places: int) -> None:
        self.count, self._places = 0, bytearray(places)

    def put(self, content: bytes) -> int:
        """Add bytes; returns the whole ring as the signal's value."""
        for byte in content:
            self._places[self.count % len(self._places)] = byte
            self.count += 1
        return int.from_bytes(self._places, "little")

    def new_bytes(self, value: int, count: int) -> bytes:
        """The bytes that are new since the last call; ``value``: the signal's value, ``count``: all bytes so far."""
        places = value.to_bytes(len(self._places), "little")
        new = bytes(places[number % len(places)] for number in range(self.count, count))
        self.count = count
        return new


@cocotb.test()
async def serve(board) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Serve one host after another; the environment variable BOARD_SETTINGS names the file with the settings."""
    settings = json.loads(Path(os.environ["BOARD_SETTINGS"]).read_text())
    stopped: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    parent = os.getppid()
    noise = {way: LossyCopy(settings["dropped"], settings["doubled"], f"{settings['seed']} {way}") for way in "><"}
    waiting: deque[int] = deque()
    outgoing, incoming = Ring(settings["places"]), Ring(settings["places"])
    byte_cycles = LINE_BITS_PER_BYTE * settings["clock_hz"] // settings["baud"]
    quiet = 0

    board.clk.value = 0
    board.given.value = 0
    board.to_board.value = 0
    await Timer(PERIOD_NS, unit="ns")
    Clock(board.clk, PERIOD_NS, unit="ns", impl="gpi").start()
    terminal = Terminal(Path(settings["link"]))
    unfinished = Path(settings["ready"] + ".new")
    unfinished.write_text(str(os.getpid()))
    unfinished.rename(settings["ready"])
    try:
        while not stopped and os.getppid() == parent:
            waiting.extend(noise[">"](terminal.read()))
            if waiting:
                quiet = 0
            if quiet > settings["quiet_cycles"]:
                terminal.wait(IDLE_POLL_SECONDS)
                continue
            room = settings["places"] - (outgoing.count - int(board.sent.value))
            if waiting and room:
                content = bytes(waiting.popleft() for _ in range(min(room, len(waiting))))
                board.to_board.value = outgoing.put(content)
                board.given.value = outgoing.count
            await Timer(byte_cycles * PERIOD_NS, unit="ns")
            quiet += byte_cycles
            received = int(board.received.value)
            if received != incoming.count:
                quiet = 0
                terminal.write(noise["<"](incoming.new_bytes(int(board.from_board.value), received)))
    finally:
        terminal.close()
        totals = {
            "cycles": int(board.cycle.value),
            "bytes_to_board": int(board.sent.value),
            "bytes_from_board": int(board.received.value),
        }
        Path(settings["totals"]).write_text(json.dumps(totals))
