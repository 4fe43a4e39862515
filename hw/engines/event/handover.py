"""Hand-over from the synapse array to the neuron cores: P sums in at once, M sums out per cycle."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import sums_layout
from hw.logic import counter


class Handover(wiring.Component):
    """Takes the sums of all lanes in one cycle and hands them on ``cores`` lanes at a time, lowest lanes first.

    The lanes form a ring that turns by ``cores`` lanes per beat, so after a full turn the sums are back in place:
    the sums of a direct input are handed on ``repeats`` times without being computed again. While the ring turns, the
    array accumulates the next sums. ``sums.ready`` comes from a register, which ends the chain of ready signals here.

    Throughput: one beat per cycle; one idle cycle between two loads. Latency: ``latency`` = 1 cycle.

    Ports:
        sums: ``sums_layout(lanes, bits)``.
        currents: ``sums_layout(cores, bits)``, ``repeats * lanes / cores`` beats for each beat of ``sums``.
    """

    latency = 1

    def __init__(self, *, lanes: int, cores: int, bits: int, repeats: int) -> None:
        self.lanes, self.cores, self.bits, self.repeats = lanes, cores, bits, repeats
        super().__init__(
            {
                "sums": In(stream.Signature(sums_layout(lanes, bits))),
                "currents": Out(stream.Signature(sums_layout(cores, bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # One signal per lane: a single wide vector slows some simulators down badly.
        ring = [Signal(signed(self.bits), name=f"ring_{lane}", reset_less=True) for lane in range(self.lanes)]
        taken = self.currents.valid & self.currents.ready
        turn_ends = counter(m, "beat", self.lanes // self.cores, taken)[1]
        last_turn = counter(m, "turn", self.repeats, taken & turn_ends)[1]

        # A register of its own, so that the many lanes of the ring do not delay the array's ready.
        vacant = Signal(init=1)
        m.d.comb += self.sums.ready.eq(vacant)
        for core in range(self.cores):
            m.d.comb += self.currents.payload[core].eq(ring[core])
        with m.If(~self.currents.valid | self.currents.ready):
            for lane in range(self.lanes):
                turned = ring[(lane + self.cores) % self.lanes]
                m.d.sync += ring[lane].eq(Mux(self.currents.valid, turned, self.sums.payload[lane]))
            turning = Mux(self.currents.valid, ~(turn_ends & last_turn), self.sums.valid)
            m.d.sync += [self.currents.valid.eq(turning), vacant.eq(~turning)]
        return m
