"""The bus between a control port (AXI4-Lite, Wishbone) and the registers: one access at a time."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WORD_BITS = 32
WORD_BYTES = WORD_BITS // 8


class RegisterBus(wiring.Signature):
    """One access at a time, as its port sees it.

    ``request`` stays 1, and everything that describes the access stays the same, until the cycle in which ``done`` is
    1. In that cycle the answer is valid: ``read_data``, and ``refused`` if the access is not allowed and did nothing.

    Args:
        address_bits: bits of the address of a word.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "request": Out(1),
                "write": Out(1),
                "whole": Out(1),
                "address": Out(address_bits),
                "data": Out(WORD_BITS),
                "done": In(1),
                "read_data": In(WORD_BITS),
                "refused": In(1),
            }
        )
