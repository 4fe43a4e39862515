"""Restart: one reset register per stage, so that no reset signal crosses the chip."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RestartChain(wiring.Component):
    """Resets the stages of a pipeline one after another, from the last to the first, and then the pipeline's sources.

    A single register would have to drive all corners of the chip within one cycle. Here each register drives its own
    stage and the next register. The resets last long enough for all of them to overlap: a beat that a stage still sends
    during a restart is discarded by the reset of the next stage. Each stage is released after the stages that follow
    it, so the first new beat meets no reset.

    Latency: ``cycles`` from the last cycle of ``begin`` until everything is released.

    Args:
        stages: number of stages.

    Ports:
        begin: 1 for one cycle or more to restart, at any time.
        resets: resets of the stages from the first to the last, in bits 0 .. stages - 1.
        sources: reset of the components that send beats to the first stage.
        busy: a restart is in progress; 1 from the cycle after ``begin``.
    """

    def __init__(self, stages: int) -> None:
        self.stages = stages
        super().__init__({"begin": In(1), "resets": Out(stages), "sources": Out(1), "busy": Out(1)})

    @property
    def cycles(self) -> int:
        """Cycles of a restart: each reset lasts ``stages + 2`` cycles and begins one cycle after the previous one."""
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
    """A transformer that holds a component of the domain ``sync`` in its initial state while ``reset`` is 1."""
    return ResetInserter({"sync": reset})
