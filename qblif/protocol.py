"""The protocol between host and device, defined once for hardware, driver and tests.

In both directions a frame is ``kind, id, data, CRC-32`` in COBS, closed by a zero byte. Numbers are little-endian; the
CRC is zlib's, over all bytes before it. Every request is answered by one frame, in order::

    request                       answer
    IDENTIFY  id                  IDENTIFY | ANSWER  id  Identity.to_bytes()
    INFER     id  bursts          INFER    | ANSWER  id  logits (logit_bytes each, signed), winner (2 bytes)
    STEP      id  number, bursts  STEP     | ANSWER  id  logits and winner as above, or nothing
    COUNTERS  id                  COUNTERS | ANSWER  id  counters (4 bytes each, in the order of Identity.counters)
    RESET     id                  RESET    | ANSWER  id
    anything else                 an Error           next expected id

Requests are numbered modulo 256. A request whose id is not the next expected one is refused, so no request is lost
without notice. ``IDENTIFY`` and ``RESET`` are accepted with any id, and numbering continues from there. At most
``window`` requests may be unanswered at a time; more may be refused as ``BUSY``.

A device takes either whole samples (``INFER``) or single timesteps (``STEP``); the other command is ``UNKNOWN`` to it.
In mode ``window`` every T timesteps give a result, which is in the answer to the last of them; in mode ``stream`` every
timestep gives one. Other answers to a timestep are empty.

Timesteps are numbered modulo 256 from each ``RESET`` on, in one byte before the bursts. A timestep with the next number
is executed. One with the number of the timestep executed last is not executed again, and gets that one's answer; so a
host that misses an answer may send its request again, if it has one timestep unanswered at a time. Any other number is
refused, as every number is before the first ``RESET`` after power-on::

    STEP      id  number, bursts  OUT_OF_SEQUENCE    id  next number (1 byte)

The id is that of the request. So a host that sends its timesteps in order, and is refused like this, knows that the
device was restarted; after power-on ids begin at 0, so an ``OUT_OF_ORDER`` may come first. Counters have 32 bits and
begin again at 0 after the largest number.
"""

import enum
import math
import struct
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from qblif.errors import UserError
from qblif.network.checks import Shape
from qblif.network.nodes import CODINGS, Coding, InputSpec
from qblif.streams import BurstStream

MAGIC = b"QBLF"
VERSION = 2
HEADER_BYTES = 2
CRC_BYTES = 4
COUNTER_BYTES = 4
WINNER_BYTES = 2
NUMBER_BYTES = 1
"""The number of a timestep."""
NUMBERS = 256
"""How many numbers timesteps have, and requests; both start again from 0."""
ANSWER = 0x80
BAUD_RATES = (3_000_000, 2_000_000, 1_500_000, 1_000_000, 921_600, 460_800, 230_400, 115_200)
"""Baud rates of a link; a driver without a given rate tries them in turn."""
LARGEST_REQUEST = 2**22
"""Bytes of one request's bursts; they take fourteen seconds at the highest rate."""
LARGEST_ANSWER = 2**20
"""Most bytes of an answer of any kind; 65,535 logits of 8 bytes take half of it."""
LARGEST_FRACTION_BITS = 62

Mode = Literal["sample", "window", "stream"]
"""What a request for work carries: a whole sample, or a timestep of a window or of a stream."""
MODES: tuple[Mode, ...] = get_args(Mode)


class Command(enum.IntEnum):
    """Kinds of requests; an answer's kind is its request's with :data:`ANSWER` set, as in every :class:`Error`."""

    IDENTIFY = 1
    INFER = 2
    COUNTERS = 3
    RESET = 4
    STEP = 5


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
    OUT_OF_SEQUENCE = 0xE7
    """A timestep's number is neither the next one nor that of the one executed last."""


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
        mode: what ``INFER`` or ``STEP`` carries; see :data:`Mode`.
        timesteps: T; of a stream, the length of the samples that it was tested with.
        stream: the beats of one request.
        classes, logit_bytes: logits of an answer, and bytes of each.
        fraction_bits: F of the readout; the unit of a logit is ``2^-F``.
        clock_hz, baud: rates of the design and of its link.
        window: requests that may be unanswered at a time.
        counters: names of the activity counters, in order.

    Raises:
        ProtocolError: the values are not possible for a device.
    """

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<4sB32s3HBBBH5HHBBIIB")

    network_sha256: bytes
    shape: Shape
    coding: Coding
    bits: int
    mode: Mode
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
        check_identity(self.burst_bytes <= LARGEST_REQUEST, f"{self.burst_bytes} bytes of bursts per request")
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
        check_identity(self.coding != "direct" or self.mode != "stream", "a stream of direct input")
        steps = 1 if self.coding == "direct" or self.mode != "sample" else self.timesteps
        wanted = (*positions, 1, steps, -(-per_position // stream.group), self.bits)
        found = (stream.height, stream.width, stream.folds, stream.steps, stream.beats, stream.burst_bits)
        check_identity(found == wanted, f"a stream {found} for the input {self.shape}, not {wanted}")

    @property
    def input(self) -> InputSpec:
        """The input, which says how samples become bursts."""
        return InputSpec(shape=self.shape, coding=self.coding, bits=self.bits)

    @property
    def command(self) -> Command:
        """The command that the device takes for its work."""
        return command_of(self.mode)

    @property
    def requests_per_result(self) -> int:
        """Requests for each result."""
        return self.timesteps if self.mode == "window" else 1

    @property
    def burst_bytes(self) -> int:
        """Bytes of the bursts of a request."""
        return burst_bytes(self.stream)

    @property
    def request_bytes(self) -> int:
        """Data bytes of an ``INFER`` or ``STEP`` request."""
        return request_bytes(self.stream, self.mode)

    @property
    def result_bytes(self) -> int:
        """Data bytes of an answer with a result."""
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
                MODES.index(self.mode),
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
        _, _, sha256, *shape, coding, bits, mode, timesteps, height, width, steps, beats, group = fields[:15]
        classes, logit_bytes, fraction_bits, clock_hz, baud, window = fields[15:]
        check_identity(coding < len(CODINGS), f"input coding {coding}, not 0 to {len(CODINGS) - 1}")
        check_identity(mode < len(MODES), f"mode {mode}, not 0 to {len(MODES) - 1}")
        try:
            names = answer[cls.LAYOUT.size :].decode()
        except UnicodeDecodeError as error:
            raise ProtocolError("what the device says of itself is wrong: names that are not UTF-8") from error
        return cls(
            network_sha256=sha256,
            shape=(shape[0], shape[1], shape[2]),
            coding=CODINGS[coding],
            bits=bits,
            mode=MODES[mode],
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


def command_of(mode: Mode) -> Command:
    """The command for the work of a device in this mode."""
    return Command.INFER if mode == "sample" else Command.STEP


def burst_bytes(stream: BurstStream) -> int:
    """Bytes of the bursts of one request: all bits of all beats, without a gap."""
    return math.ceil(stream.beats_per_inference * stream.group * stream.burst_bits / 8)


def request_bytes(stream: BurstStream, mode: Mode) -> int:
    """Data bytes of an ``INFER`` or ``STEP`` request."""
    return burst_bytes(stream) + (NUMBER_BYTES if command_of(mode) == Command.STEP else 0)
