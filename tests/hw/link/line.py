"""The host's end of the serial line, frame by frame, with the libraries that the driver uses."""

import contextlib
import zlib
from dataclasses import dataclass

from cobs import cobs


def frame(kind: int, identifier: int, data: bytes = b"") -> bytes:
    """A frame as it goes over the line."""
    body = bytes([kind, identifier]) + data
    return cobs.encode(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"


@dataclass(frozen=True)
class Answer:
    kind: int
    identifier: int
    data: bytes


def answers(line: bytes) -> list[Answer]:
    """The whole answers in what came over the line; fails on one with a wrong checksum.

    Zero bytes between frames are idle; what a reset cut off has no checksum at all and is passed over.
    """
    found = []
    for part in line.split(b"\0")[:-1]:
        with contextlib.suppress(cobs.DecodeError):
            if len(body := cobs.decode(part)) >= 6:
                assert zlib.crc32(body[:-4]) == int.from_bytes(body[-4:], "little"), "an answer with a wrong checksum"
                found.append(Answer(kind=body[0], identifier=body[1], data=body[2:-4]))
    return found


async def send(ctx, line, data: bytes, divisor: int) -> None:
    """Put bytes on a line, bit by bit."""
    for byte in data:
        for bit in (0, *(byte >> position & 1 for position in range(8)), 1):
            ctx.set(line, bit)
            await ctx.tick().repeat(divisor)


async def receive(ctx, line, divisor: int, taken: bytearray) -> None:
    """Read bytes off a line for ever."""
    while True:
        # Plain ticks: the simulator can end a background process only there.
        while ctx.get(line):
            await ctx.tick()
        bits = []
        for wait in (divisor // 2, *[divisor] * 9):
            for _ in range(wait):
                await ctx.tick()
            bits.append(ctx.get(line))
        assert (bits[0], bits[9]) == (0, 1), "no start or stop bit"
        taken.append(sum(bit << position for position, bit in enumerate(bits[1:9])))
