"""A device in a few lines of Python, written from the text of the protocol: a pipe that can be noisy, and one on a pty.

Nothing here uses the driver: COBS, CRC and packing are written out once more.
"""

import binascii
import contextlib
import os
import random
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from qblif.protocol import Identity
from qblif.streams import BurstStream

COUNTERS = ("frames", "errors")
IDENTITY = Identity(
    network_sha256=bytes(range(32)),
    shape=(1, 5, 7),
    coding="direct",
    bits=3,
    mode="sample",
    timesteps=4,
    stream=BurstStream(steps=1, beats=9, group=4, burst_bits=3),
    classes=10,
    logit_bytes=2,
    fraction_bits=5,
    clock_hz=48_000_000,
    baud=3_000_000,
    window=4,
    counters=COUNTERS,
)


def cobs_encode(content: bytes) -> bytes:
    result = b""
    blocks = content.split(b"\0")
    for number, block in enumerate(blocks):
        while len(block) >= 254:
            result += b"\xff" + block[:254]
            block = block[254:]
            if not block and number == len(blocks) - 1:
                return result
        result += bytes([len(block) + 1]) + block
    return result


def cobs_decode(encoded: bytes) -> bytes | None:
    result = b""
    while encoded:
        count, block, encoded = encoded[0], encoded[1 : encoded[0]], encoded[encoded[0] :]
        if len(block) != count - 1:
            return None
        result += block
        if encoded and count < 255:
            result += b"\0"
    return result


def framed(kind: int, number: int, data: bytes = b"") -> bytes:
    content = bytes([kind, number]) + data
    return cobs_encode(content + binascii.crc32(content).to_bytes(4, "little")) + b"\0"


@dataclass
class Noise:
    """Chance for each byte that one of its bits flips, that it is lost, that it comes twice."""

    flipped: float = 0
    dropped: float = 0
    doubled: float = 0
    seed: int = 0
    generator: random.Random = field(init=False)

    def __post_init__(self):
        self.generator = random.Random(self.seed)

    def __call__(self, content: bytes) -> bytes:
        result = bytearray()
        for byte in content:
            if self.generator.random() < self.flipped:
                byte ^= 1 << self.generator.randrange(8)
            if self.generator.random() >= self.dropped:
                result += bytes([byte, byte] if self.generator.random() < self.doubled else [byte])
        return bytes(result)


class FakeDevice:
    """A pipe to a device that answers one request each time it is read.

    ``logits_of`` gives the logits of bursts (beats * group,); of a device that takes timesteps, those after all bursts
    since its reset or since its window began (timesteps, beats * group). ``steps`` holds the executed timesteps since
    the reset, None before there was one. ``requests`` holds what arrived whole; ``most_waiting`` how many were
    unanswered at most. ``edit`` may change an answer on its way (None loses it). Every result takes ``cycles_each``
    cycles; the counters ``cycles`` and ``inferences`` have 32 bits on the line.
    """

    name = "fake"

    def __init__(
        self,
        identity: Identity = IDENTITY,
        logits_of: Callable[[np.ndarray], np.ndarray] | None = None,
        noise: Noise | None = None,
        edit: Callable[[bytes], bytes | None] = lambda answer: answer,
    ):
        self.identity, self.logits_of, self.edit = identity, logits_of, edit
        self.noise = noise or Noise()
        self.partial, self.output = b"", b""
        self.waiting: list[tuple[int, int, bytes]] = []
        self.requests: list[tuple[int, int]] = []
        self.expected = self.most_waiting = self.errors = 0
        self.rates: list[int] = []
        self.closed = False
        self.steps: list[np.ndarray] | None = None
        self.stored = b""
        self.cycles_each = 700
        self.cycles = self.inferences = 0

    def power_cycle(self) -> None:
        """Forget everything, as after a moment without power."""
        self.partial, self.output, self.stored = b"", b"", b""
        self.waiting.clear()
        self.steps = None
        self.expected = self.cycles = self.inferences = 0

    def write(self, content: bytes) -> None:
        *whole, self.partial = (self.partial + self.noise(content)).split(b"\0")
        for encoded in whole:
            if encoded:
                self.take(encoded)

    def take(self, encoded: bytes) -> None:
        content = cobs_decode(encoded)
        if (
            content is None
            or len(content) < 6
            or binascii.crc32(content[:-4]) != int.from_bytes(content[-4:], "little")
        ):
            self.refuse(0xE1)
            return
        kind, number, data = content[0], content[1], content[2:-4]
        self.requests.append((kind, number))
        work = 2 if self.identity.mode == "sample" else 5
        size = {1: 0, 3: 0, 4: 0, work: self.identity.request_bytes}.get(kind)
        if size is None:
            self.refuse(0xE4)
        elif len(data) != size:
            self.refuse(0xE2 if len(data) < size else 0xE3)
        elif kind in (work, 3) and number != self.expected:
            self.refuse(0xE5)
        elif len(self.waiting) >= self.identity.window:
            self.refuse(0xE6)
        else:
            self.expected = (number + 1) % 256
            self.waiting.append((kind | 0x80, number, data))
            self.most_waiting = max(self.most_waiting, len(self.waiting))

    def refuse(self, error: int) -> None:
        self.errors += 1
        self.waiting.append((error, self.expected, b""))

    def read(self) -> bytes:
        if self.waiting:
            kind, number, data = self.waiting.pop(0)
            if kind in (0x81, 0x82, 0x83):
                data = {0x81: self.identity.to_bytes, 0x82: lambda: self.infer(data), 0x83: self.count}[kind]()
            elif kind == 0x84:
                self.steps = []
                self.cycles = self.inferences = 0
            elif kind == 0x85:
                kind, data = self.step(data)
            answer = self.edit(framed(kind, number, data))
            self.output += b"" if answer is None else self.noise(answer)
        else:
            time.sleep(0.001)
        result, self.output = self.output, b""
        return result

    def infer(self, data: bytes) -> bytes:
        return self.result(self.unpacked(data))

    def step(self, data: bytes) -> tuple[int, bytes]:
        """Kind and data of the answer to a timestep."""
        count, number = len(self.steps or []), data[0]
        if self.steps is not None and number == count % 256:
            self.steps.append(self.unpacked(data[1:]))
            length = self.identity.timesteps if self.identity.mode == "window" else count + 1
            whole = (count + 1) % length == 0
            self.stored = self.result(np.stack(self.steps[-length:])) if whole else b""
        elif not count or number != (count - 1) % 256:
            return 0xE7, bytes([count % 256])
        return 0x85, self.stored

    def unpacked(self, data: bytes) -> np.ndarray:
        whole = int.from_bytes(data, "little")
        bits, stream = self.identity.bits, self.identity.stream
        count = stream.beats_per_inference * stream.group
        return np.array([whole >> (place * bits) & (2**bits - 1) for place in range(count)])

    def result(self, bursts: np.ndarray) -> bytes:
        assert self.logits_of is not None
        self.cycles += self.cycles_each
        self.inferences += 1
        logits = [int(logit) for logit in self.logits_of(bursts)]
        encoded = b"".join(logit.to_bytes(self.identity.logit_bytes, "little", signed=True) for logit in logits)
        return encoded + logits.index(max(logits)).to_bytes(2, "little")

    def count(self) -> bytes:
        known = {"frames": len(self.requests), "errors": self.errors}
        known |= {"cycles": self.cycles, "inferences": self.inferences}
        return b"".join((known[name] % 2**32).to_bytes(4, "little") for name in self.identity.counters)

    def set_baud(self, baud: int) -> None:
        self.rates.append(baud)

    def close(self) -> None:
        self.closed = True


class OnTerminal:
    """Serves a fake device on a pseudo-terminal, ``path``, while the context lasts."""

    def __init__(self, device: FakeDevice):
        self.device = device

    def __enter__(self) -> "OnTerminal":
        self.end, self.other = os.openpty()
        tty.setraw(self.other)
        self.path = os.ttyname(self.other)
        os.set_blocking(self.end, False)
        self.running = True
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def serve(self) -> None:
        while self.running:
            with contextlib.suppress(BlockingIOError):
                self.device.write(os.read(self.end, 4096))
            os.write(self.end, self.device.read())

    def __exit__(self, *_: object) -> None:
        self.running = False
        self.thread.join()
        os.close(self.end)
        os.close(self.other)
