"""The configuration of the host link."""

from dataclasses import dataclass
from functools import cached_property

from qblif.protocol import CRC_BYTES, HEADER_BYTES, Identity

SMALLEST_BUFFER = 512
BUFFERED_FRAMES = 4
FEWEST_FRAMES = 2
"""While the network takes one request from the ring, the line writes the next."""
AMPLE_BUFFER = 8192
"""Bytes that bridge a host's pauses at any line rate: a ring is larger only if ``FEWEST_FRAMES`` frames need it."""
LARGEST_WINDOW = 64
SMALLEST_DIVISOR = 4


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """Identity and line of a device.

    Attributes:
        identity: the device's description of itself.
        divisor: clock cycles per bit of the line, at least 4.
    """

    identity: Identity
    divisor: int

    def __post_init__(self) -> None:
        if self.divisor < SMALLEST_DIVISOR:
            raise ValueError(f"{self.divisor} cycles per bit are fewer than {SMALLEST_DIVISOR}")

    @cached_property
    def longest_frame(self) -> int:
        """Bytes of an ``INFER`` request before stuffing."""
        return longest_frame(self.identity.inference_bytes)

    @cached_property
    def buffer_bytes(self) -> int:
        """Bytes that the ring of requests holds."""
        return buffer_bytes(self.identity.inference_bytes)


def longest_frame(inference_bytes: int) -> int:
    """Bytes of an ``INFER`` request before stuffing."""
    return HEADER_BYTES + inference_bytes + CRC_BYTES


def buffer_bytes(inference_bytes: int) -> int:
    """A power of two with room for at least two of the longest frames, and for four if they are short."""
    longest = longest_frame(inference_bytes)
    wanted = min(BUFFERED_FRAMES * longest, max(FEWEST_FRAMES * longest, AMPLE_BUFFER))
    return max(SMALLEST_BUFFER, 1 << (wanted - 1).bit_length())


def window(inference_bytes: int) -> int:
    """Requests that may be unanswered at a time: as many as the ring has room for, at most ``LARGEST_WINDOW``."""
    return min(LARGEST_WINDOW, buffer_bytes(inference_bytes) // longest_frame(inference_bytes))
