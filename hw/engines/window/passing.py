"""Passing slices: the beats of a source that is the only window of a dense projection."""

from amaranth.hdl import Module, Value
from amaranth.lib import wiring

from hw.engines.window.config import ConstantConfig
from hw.engines.window.matrix import slicer_ports
from hw.logic import counter


class PassingSlices(wiring.Component):
    """Makes every beat a slice with all its bit-planes; the number of the beat is the phase.

    Throughput: one beat per cycle. Latency: ``latency`` = 0.

    Ports:
        arriving: ``bursts_layout(group, burst_bits)``.
        slices: :func:`hw.engines.window.matrix.slices_layout`.
    """

    latency = 0

    def __init__(self, config: ConstantConfig) -> None:
        self.config = config
        super().__init__(slicer_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, slices = self.config, self.slices
        taken = slices.valid & slices.ready
        word, words_end = counter(m, "word", config.words, taken)
        step, steps_end = counter(m, "step", config.slices // config.words, taken & words_end)
        m.d.comb += [
            slices.valid.eq(self.arriving.valid),
            self.arriving.ready.eq(slices.ready),
            slices.payload.bits.eq(Value.cast(self.arriving.payload)),
            slices.payload.phase.eq(word),
            slices.payload.first.eq((word == 0) & (step == 0)),
            slices.payload.shift.eq(0),
            slices.payload.last.eq(words_end & steps_end),
        ]
        return m
