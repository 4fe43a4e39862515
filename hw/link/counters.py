"""Activity counters that are read as one ring of bytes."""

from collections.abc import Mapping

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qblif.protocol import COUNTER_BYTES


class ActivityCounters(wiring.Component):
    """32-bit counters that wrap to 0 after 2^32 - 1, chained in a ring.

    A reader turns the ring byte by byte, so no selector is needed; after a full turn the ring is back in place. Nothing
    may be counted during a turn.

    Args:
        widths: name and width of every counter's increment.

    Ports:
        increments: the amount that is added to each counter in this cycle, by name.
        turn: turns the ring to the next byte.
        byte: the byte that is read now, beginning with the lowest byte of the first counter.
    """

    def __init__(self, widths: Mapping[str, int]) -> None:
        self.names = tuple(widths)
        super().__init__(
            {
                "increments": In(wiring.Signature({name: Out(width) for name, width in widths.items()})),
                "turn": In(1),
                "byte": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ring = Signal(data.ArrayLayout(8 * COUNTER_BYTES, len(self.names)))
        m.d.comb += self.byte.eq(ring.as_value()[:8])
        with m.If(self.turn):
            m.d.sync += ring.as_value().eq(ring.as_value().rotate_right(8))
        with m.Else():
            for index, name in enumerate(self.names):
                m.d.sync += ring[index].eq(ring[index] + getattr(self.increments, name))
        return m
