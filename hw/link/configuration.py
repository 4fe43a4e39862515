"""The configuration of the host link."""

from dataclasses import dataclass
from functools import cached_property

from hw.configuration import TopConfig
from qblif.protocol import CRC_BYTES, HEADER_BYTES, Command, Identity, Mode, command_of, request_bytes
from qblif.streams import BurstStream

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

    @property
    def steps(self) -> bool:
        """Whether requests carry single timesteps."""
        return self.identity.command == Command.STEP

    @cached_property
    def longest_frame(self) -> int:
        """Bytes of an ``INFER`` or ``STEP`` request before stuffing."""
        return longest_frame(self.identity.request_bytes)

    @cached_property
    def buffer_bytes(self) -> int:
        """Bytes that the ring of requests holds."""
        return buffer_bytes(self.identity.request_bytes)


def link_mode(config: TopConfig) -> Mode:
    """What a network's requests carry."""
    return "sample" if config.schedule == "position_major" else config.mode


def longest_frame(request_bytes: int) -> int:
    """Bytes of an ``INFER`` or ``STEP`` request before stuffing."""
    return HEADER_BYTES + request_bytes + CRC_BYTES


def buffer_bytes(request_bytes: int) -> int:
    """A power of two with room for at least two of the longest frames, and for four if they are short."""
    longest = longest_frame(request_bytes)
    wanted = min(BUFFERED_FRAMES * longest, max(FEWEST_FRAMES * longest, AMPLE_BUFFER))
    return max(SMALLEST_BUFFER, 1 << (wanted - 1).bit_length())


def window(stream: BurstStream, mode: Mode) -> int:
    """Requests that may be unanswered at a time: as many samples as the ring has room for, at most ``LARGEST_WINDOW``;
    but one timestep, since only one answer is kept."""
    if command_of(mode) == Command.STEP:
        return 1
    size = request_bytes(stream, mode)
    return min(LARGEST_WINDOW, buffer_bytes(size) // longest_frame(size))
