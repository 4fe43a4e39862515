"""What timesteps need beside samples: their numbers, and a copy of the last result for a host that asks again."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.logic import counter
from hw.memory import MemoryDeclaration
from hw.stages.readout_unit import ReadoutConfig, result_layout
from qblif.protocol import NUMBER_BYTES


class StepCounter(wiring.Component):
    """Counts the timesteps since the last restart.

    Args:
        steps_per_result: timesteps for each result.

    Ports:
        numbered: a ``RESET`` has begun the numbering; before, no number is right.
        number: of a timestep that arrives.
        is_next, is_last: the number is that of the next timestep, or of the one executed last.
        execute: the next timestep is executed; 1 for one cycle.
        next: number of the next timestep.
        completes: the timestep executed last gives a result.
    """

    def __init__(self, steps_per_result: int) -> None:
        self.steps_per_result = steps_per_result
        bits = 8 * NUMBER_BYTES
        super().__init__(
            {
                "numbered": In(1),
                "number": In(bits),
                "is_next": Out(1),
                "is_last": Out(1),
                "execute": In(1),
                "next": Out(bits),
                "completes": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        begun = Signal()
        last = Signal.like(self.next, name="last")
        result_ends = counter(m, "step", self.steps_per_result, self.execute)[1]
        m.d.comb += [
            self.is_next.eq(self.numbered & (self.number == self.next)),
            self.is_last.eq(begun & (self.number == last)),
        ]
        with m.If(self.execute):
            m.d.sync += [begun.eq(1), last.eq(self.next), self.next.eq(self.next + 1), self.completes.eq(result_ends)]
        return m


def stored_memory(readout: ReadoutConfig) -> MemoryDeclaration:
    """The result of the timestep executed last."""
    layout = result_layout(readout)
    return MemoryDeclaration(name="stored", depth=readout.classes, layout=layout, style="block")


class ResultStore(wiring.Component):
    """Takes a result at once, and offers it again and again until it is told to forget it.

    Throughput: one logit per cycle to take, one in two cycles to offer.

    Ports:
        results: ``result_layout``, from the network.
        forget: 1 for one cycle when the next timestep begins; not while the result is being read.
        stored: ``result_layout``, the result, from its first logit to its last, and so on.
    """

    def __init__(self, readout: ReadoutConfig) -> None:
        self.readout = readout
        layout = result_layout(readout)
        super().__init__(
            {
                "results": In(stream.Signature(layout)),
                "forget": In(1),
                "stored": Out(stream.Signature(layout)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        declaration = stored_memory(self.readout)
        m.submodules[declaration.name] = memory = declaration.memory()
        write, read = memory.write_port(), memory.read_port()
        whole = Signal()
        fetched = Signal()
        sent = Signal()
        taken = self.results.valid
        m.d.comb += [
            self.results.ready.eq(1),
            write.en.eq(taken),
            write.addr.eq(counter(m, "class_taken", self.readout.classes, taken)[0]),
            write.data.eq(self.results.payload),
            read.en.eq(1),
            read.addr.eq(counter(m, "class_sent", self.readout.classes, sent)[0]),
            self.stored.valid.eq(fetched),
            self.stored.payload.eq(read.data),
            sent.eq(self.stored.valid & self.stored.ready),
        ]
        m.d.sync += fetched.eq(whole & ~sent & ~self.forget)
        with m.If(self.forget):
            m.d.sync += whole.eq(0)
        with m.Elif(taken & self.results.payload.last):
            m.d.sync += whole.eq(1)
        return m
