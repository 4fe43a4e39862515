"""The protocol between host and device, defined once for hardware, driver and tests. Needs only numpy.

In both directions a frame is ``kind, id, data, CRC-32`` in COBS, closed by a zero byte. Numbers are little-endian; the
CRC is zlib's, over all bytes before it. Every request is answered by one frame, in order::

    request                       answer
    IDENTIFY  id                  IDENTIFY | ANSWER  id  Identity.to_bytes()
    INFER     id  bursts          INFER    | ANSWER  id  logits (logit_bytes each, signed), winner (2 bytes)
    COUNTERS  id                  COUNTERS | ANSWER  id  counters (4 bytes each, in the order of Identity.counters)
    RESET     id                  RESET    | ANSWER  id
    anything else                 an Error           next expected id

Requests are numbered modulo 256. A request whose id is not the next expected one is refused, so no request is lost
without notice. ``IDENTIFY`` and ``RESET`` are accepted with any id, and numbering continues from there. At most
``window`` requests may be unanswered at a time; more may be refused as ``BUSY``.
"""

import enum
import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qblif.errors import UserError
from qblif.network.checks import IntArray, Shape, require
from qblif.network.coding import encode
from qblif.network.nodes import CODINGS, Coding, InputSpec
from qblif.streams import BurstStream, stream_beats

MAGIC = b"QBLF"
VERSION = 1
HEADER_BYTES = 2
CRC_BYTES = 4
COUNTER_BYTES = 4
WINNER_BYTES = 2
ANSWER = 0x80
BAUD_RATES = (3_000_000, 2_000_000, 1_500_000, 1_000_000, 921_600, 460_800, 230_400, 115_200)
"""Baud rates of a link; a driver without a given rate tries them in turn."""
LARGEST_REQUEST = 2**22
"""Bytes of one inference's bursts; they take fourteen seconds at the highest rate."""
LARGEST_ANSWER = 2**20
"""Most bytes of an answer of any kind; 65,535 logits of 8 bytes take half of it."""
LARGEST_FRACTION_BITS = 62


class Command(enum.IntEnum):
    """Kinds of requests; an answer's kind is its request's with :data:`ANSWER` set, as in every :class:`Error`."""

    IDENTIFY = 1
    INFER = 2
    COUNTERS = 3
    RESET = 4


class Error(enum.IntEnum):
    """Kinds of answers to invalid requests."""

    CORRUPT = 0xE1
    """The CRC or the COBS framing is wrong."""
    SHORT = 0xE2
    """The request is shorter than its command needs."""
    OVERSIZED = 0xE3
    """The request is longer than its command allows."""
    UNKNOWN = 0xE4
    """No such command."""
    OUT_OF_ORDER = 0xE5
    """The id is not the next expected one."""
    BUSY = 0xE6
    """More requests than the window allows; there was no room for this one."""


class ProtocolError(UserError):
    """Bytes that do not follow this protocol, or follow another version of it."""


def check_identity(condition: bool, message: str) -> None:
    """Raise ProtocolError unless ``condition`` holds for a device's identity."""
    if not condition:
        raise ProtocolError(f"what the device says of itself is wrong: {message}; build and flash it again")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A device's description of itself.

    Attributes:
        network_sha256: 32 bytes, the hash of the network file.
        shape: (C, H, W) of the input.
        coding, bits: as in :class:`qblif.network.nodes.InputSpec`.
        timesteps: T.
        stream: the input's beats, as ``INFER`` takes them.
        classes, logit_bytes: logits of an answer, and bytes of each.
        fraction_bits: F of the readout; the unit of a logit is ``2^-F``.
        clock_hz, baud: rates of the design and of its link.
        window: requests that may be unanswered at a time.
        counters: names of the activity counters, in order.

    Raises:
        ProtocolError: the values are not possible for a device.
    """

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<4sB32s3HBBH5HHBBIIB")

    network_sha256: bytes
    shape: Shape
    coding: Coding
    bits: int
    timesteps: int
    stream: BurstStream
    classes: int
    logit_bytes: int
    fraction_bits: int
    clock_hz: int
    baud: int
    window: int
    counters: tuple[str, ...]

    def __post_init__(self) -> None:
        ranges = (
            *(("an input dimension", size, 1, 0xFFFF) for size in self.shape),
            ("input bits", self.bits, 1, 8),
            ("timesteps", self.timesteps, 1, 0xFFFF),
            ("channels per beat", self.stream.group, 1, 0xFFFF),
            ("classes", self.classes, 1, 0xFFFF),
            ("bytes per logit", self.logit_bytes, 1, 8),
            ("fraction bits", self.fraction_bits, 0, LARGEST_FRACTION_BITS),
            ("clock frequency", self.clock_hz, 1, 0xFFFF_FFFF),
            ("requests at a time", self.window, 1, 0xFF),
        )
        for name, value, lowest, highest in ranges:
            check_identity(lowest <= value <= highest, f"{name}: {value}, not {lowest} to {highest}")
        check_identity(self.baud in BAUD_RATES, f"a link at {self.baud} baud, not {', '.join(map(str, BAUD_RATES))}")
        self._check_stream()
        check_identity(self.inference_bytes <= LARGEST_REQUEST, f"{self.inference_bytes} bytes per inference")
        for name in self.counters:
            check_identity(name.isprintable() and name != "", f"a counter has the name {name!r}")
        check_identity(len(set(self.counters)) == len(self.counters), "two counters have one name")

    def _check_stream(self) -> None:
        """Check the stream's shape against the input's, which leaves open only the channels per beat and whether the
        stream is flat."""
        channels, height, width = self.shape
        stream = self.stream
        flat = (stream.height, stream.width) == (1, 1)
        per_position = channels * height * width if flat else channels
        positions = (1, 1) if flat else (height, width)
        steps = 1 if self.coding == "direct" else self.timesteps
        wanted = (*positions, 1, steps, -(-per_position // stream.group), self.bits)
        found = (stream.height, stream.width, stream.folds, stream.steps, stream.beats, stream.burst_bits)
        check_identity(found == wanted, f"a stream {found} for the input {self.shape}, not {wanted}")

    @property
    def input(self) -> InputSpec:
        """The input, which says how samples become bursts."""
        return InputSpec(shape=self.shape, coding=self.coding, bits=self.bits)

    @property
    def inference_bytes(self) -> int:
        """Data bytes of an ``INFER`` request."""
        return inference_bytes(self.stream)

    @property
    def result_bytes(self) -> int:
        """Data bytes of the answer to an ``INFER`` request."""
        return WINNER_BYTES + self.classes * self.logit_bytes

    def to_bytes(self) -> bytes:
        """The data of the answer to ``IDENTIFY``; :meth:`from_bytes` is the inverse."""
        stream = self.stream
        return (
            self.LAYOUT.pack(
                MAGIC,
                VERSION,
                self.network_sha256,
                *self.shape,
                CODINGS.index(self.coding),
                self.bits,
                self.timesteps,
                stream.height,
                stream.width,
                stream.steps,
                stream.beats,
                stream.group,
                self.classes,
                self.logit_bytes,
                self.fraction_bits,
                self.clock_hz,
                self.baud,
                self.window,
            )
            + "\0".join(self.counters).encode()
        )

    @classmethod
    def from_bytes(cls, answer: bytes) -> "Identity":
        """Parse the data of a device's answer.

        Raises:
            ProtocolError: another protocol, another version of this one, or values that are not possible for a device.
        """
        if len(answer) < cls.LAYOUT.size or answer[: len(MAGIC)] != MAGIC:
            raise ProtocolError("what answers is not a QB-LIF device")
        fields = cls.LAYOUT.unpack_from(answer)
        if fields[1] != VERSION:
            raise ProtocolError(f"the device speaks version {fields[1]} of the protocol, this driver version {VERSION}")
        _, _, sha256, *shape, coding, bits, timesteps, height, width, steps, beats, group = fields[:14]
        classes, logit_bytes, fraction_bits, clock_hz, baud, window = fields[14:]
        check_identity(coding < len(CODINGS), f"input coding {coding}, not 0 to {len(CODINGS) - 1}")
        try:
            names = answer[cls.LAYOUT.size :].decode()
        except UnicodeDecodeError as error:
            raise ProtocolError("what the device says of itself is wrong: names that are not UTF-8") from error
        return cls(
            network_sha256=sha256,
            shape=(shape[0], shape[1], shape[2]),
            coding=CODINGS[coding],
            bits=bits,
            timesteps=timesteps,
            stream=BurstStream(height=height, width=width, steps=steps, beats=beats, group=group, burst_bits=bits),
            classes=classes,
            logit_bytes=logit_bytes,
            fraction_bits=fraction_bits,
            clock_hz=clock_hz,
            baud=baud,
            window=window,
            counters=tuple(names.split("\0")) if names else (),
        )


def inference_bytes(stream: BurstStream) -> int:
    """Bytes of one inference's bursts: all bits of all beats, without a gap."""
    return math.ceil(stream.beats_per_inference * stream.group * stream.burst_bits / 8)


def pack_samples(samples: NDArray[Any], identity: Identity) -> list[bytes]:
    """Data of the ``INFER`` request of each sample.

    Args:
        samples: as :func:`qblif.network.coding.encode` takes them; raises its NetworkError for anything else.
        identity: the identity of the device.
    """
    bursts = encode(samples, identity.input)
    steps = 1 if identity.coding == "direct" else identity.timesteps
    require(bursts.shape[1] == steps, f"samples of {bursts.shape[1]} timesteps, but the network takes {steps}")
    beats = stream_beats(bursts, identity.stream).astype(np.uint8)
    bits = beats.reshape(len(beats), -1, 1) >> np.arange(identity.bits, dtype=np.uint8) & 1
    packed = np.packbits(bits.reshape(len(beats), -1), axis=1, bitorder="little")
    return [row.tobytes() for row in packed]


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """``logits``: int64 (count, classes), in the golden model's units; ``winners``: int64 (count,)."""

    logits: IntArray
    winners: IntArray


def unpack_results(answers: list[bytes], identity: Identity) -> Results:
    """The results in the data of ``INFER`` answers.

    Raises:
        ProtocolError: an answer has a wrong length, or its class is not the first one with the largest logit.
    """
    size = identity.logit_bytes
    if any(len(answer) != identity.result_bytes for answer in answers):
        raise ProtocolError(f"an answer to an inference does not have {identity.result_bytes} bytes")
    ends = [at * size for at in range(identity.classes + 1)]
    numbers = [
        [int.from_bytes(answer[begin:end], "little", signed=True) for begin, end in pairwise(ends)]
        for answer in answers
    ]
    logits = np.array(numbers, dtype=np.int64).reshape(len(answers), identity.classes)
    winners = np.array([int.from_bytes(answer[ends[-1] :], "little") for answer in answers], dtype=np.int64)
    wrong = np.flatnonzero(winners != logits.argmax(axis=1))
    if len(wrong):
        at = wrong[0]
        raise ProtocolError(
            f"the device contradicts itself: it names class {winners[at]}, and its logits class "
            f"{logits[at].argmax()}; reset it, or build and flash it again"
        )
    return Results(logits=logits, winners=winners)


def unpack_counters(answer: bytes, identity: Identity) -> dict[str, int]:
    """The counters in the data of a ``COUNTERS`` answer, by name; raises ProtocolError if its length is wrong."""
    if len(answer) != COUNTER_BYTES * len(identity.counters):
        raise ProtocolError(f"{len(answer)} bytes of counters, but the device has {len(identity.counters)} counters")
    values = struct.unpack(f"<{len(identity.counters)}I", answer)
    return dict(zip(identity.counters, values, strict=True))
