"""Payloads of the streams between components."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data


def bursts_layout(group: int, burst_bits: int) -> data.ArrayLayout:
    """Payload of a burst stream: ``group`` burst counts, the lowest channel in the lowest bits."""
    return data.ArrayLayout(unsigned(burst_bits), group)


def sums_layout(lanes: int, bits: int) -> data.ArrayLayout:
    """Payload of a stream of accumulated sums, one for each lane."""
    return data.ArrayLayout(signed(bits), lanes)
