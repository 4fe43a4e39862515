"""Frames of the host link (see :mod:`qblif.protocol`): COBS of kind, id, data and CRC-32, closed by a zero byte."""

import struct
import zlib
from dataclasses import dataclass

from cobs import cobs

from qblif.protocol import CRC_BYTES, HEADER_BYTES

END = b"\0"


class DamagedFrameError(Exception):
    """Bytes between two zero bytes that are not a valid frame."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """``kind``: a :class:`qblif.protocol.Command`, with or without ANSWER, or an Error; ``id`` from 0 to 255."""

    kind: int
    id: int
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """The bytes on the line, including the closing zero byte."""
        content = bytes([self.kind, self.id]) + self.data
        return cobs.encode(content + struct.pack("<I", zlib.crc32(content))) + END

    @classmethod
    def from_bytes(cls, encoded: bytes) -> "Frame":
        """Parse the bytes before a zero byte; raises DamagedFrameError."""
        try:
            decoded = cobs.decode(encoded)
        except cobs.DecodeError as error:
            raise DamagedFrameError("no COBS") from error
        content, crc = decoded[:-CRC_BYTES], decoded[-CRC_BYTES:]
        if len(content) < HEADER_BYTES or crc != struct.pack("<I", zlib.crc32(content)):
            raise DamagedFrameError("wrong CRC")
        return cls(kind=content[0], id=content[1], data=content[HEADER_BYTES:])
