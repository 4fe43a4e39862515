"""What the host link is built from."""

from dataclasses import dataclass
from functools import cached_property

from qblif.protocol import CRC_BYTES, HEADER_BYTES, Identity

SMALLEST_BUFFER = 512
BUFFERED_FRAMES = 4
FEWEST_FRAMES = 2
"""While the network takes one request from the ring the line fills in the next."""
AMPLE_BUFFER = 8192
"""Bytes beyond which no more than ``FEWEST_FRAMES`` are kept: at any rate of the line they bridge a host's pauses."""
LARGEST_WINDOW = 64
SMALLEST_DIVISOR = 4


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """Identity and line of a device.

    Attributes:
        identity: what the device says of itself.
        divisor: clock cycles a bit of the line, 4 at least.
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
    """A power of two that holds some of the longest frames: four where they are short, two where they are long."""
    longest = longest_frame(inference_bytes)
    wanted = min(BUFFERED_FRAMES * longest, max(FEWEST_FRAMES * longest, AMPLE_BUFFER))
    return max(SMALLEST_BUFFER, 1 << (wanted - 1).bit_length())


def window(inference_bytes: int) -> int:
    """Requests that may be unanswered at a time, since the ring has room for as many."""
    return min(LARGEST_WINDOW, buffer_bytes(inference_bytes) // longest_frame(inference_bytes))
