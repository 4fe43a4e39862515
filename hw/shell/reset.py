"""Restart: one reset register per stage, so that no reset has far to go."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RestartChain(wiring.Component):
    """Resets the stages of a pipeline one after the other, from the last one to the first and then to its sources.

    One register for all stages would drive every corner of the chip within one cycle. Here each register drives its own
    stage and the next register. Every reset lasts so long that all of them overlap: what one stage still sends during a
    restart ends in a reset of the next. What stands behind a stage is released before it, so that the first new beat
    meets no reset.

    Latency: ``cycles`` from the last cycle of ``begin`` until all is released.

    Args:
        stages: how many stages there are.

    Ports:
        begin: restart; for one cycle or more, at any time.
        resets: of the stages from the first to the last, in bits 0 .. stages - 1.
        sources: reset of what sends beats to the first stage.
        busy: something is reset or still will be; from the cycle after ``begin``.
    """

    def __init__(self, stages: int) -> None:
        self.stages = stages
        super().__init__({"begin": In(1), "resets": Out(stages), "sources": Out(1), "busy": Out(1)})

    @property
    def cycles(self) -> int:
        """Cycles that a restart takes: each reset lasts ``stages + 2`` and begins a cycle after the one before."""
        return 2 * self.stages + 3

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(range(self.cycles + 1))
        m.d.sync += self.busy.eq(self.begin | (left > 1))
        with m.If(self.begin):
            m.d.sync += left.eq(self.cycles)
        with m.Elif(self.busy):
            m.d.sync += left.eq(left - 1)
        before = left > self.stages + 1
        for stage in reversed(range(self.stages)):
            m.d.sync += self.resets[stage].eq(before)
            before = self.resets[stage]
        m.d.sync += self.sources.eq(before)
        return m


def reset_by(reset: Signal) -> ResetInserter:
    """Puts a component of the domain ``sync`` into its initial state while ``reset`` is 1."""
    return ResetInserter({"sync": reset})
