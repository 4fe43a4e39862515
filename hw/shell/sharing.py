"""Sharing of the network: it works for the self-test until a host's first inference."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.configuration import TopConfig
from hw.layouts import bursts_layout
from hw.logic import counter
from hw.stages.readout_unit import result_layout

MOST_IN_FLIGHT = 255


class NetworkShare(wiring.Component):
    """Connects the self-test or the host link to the network. Once the link offers its first beat, the self-test begins
    no further inference, and after its last result the network belongs to the link until reset.

    Latency: none, all streams pass combinationally.

    Ports:
        test_bursts, link_bursts, bursts: to the network.
        results, test_results, link_results: from it.
        test_may_begin: the self-test may begin an inference.
        test_offering: the self-test has begun an inference, and some of its beats are not taken yet.
        linked: the network belongs to the link.
        active: an inference is in progress.
    """

    def __init__(self, config: TopConfig) -> None:
        self.config = config
        bursts = stream.Signature(bursts_layout(config.input.group, config.input.burst_bits))
        results = stream.Signature(result_layout(config.readout))
        super().__init__(
            {
                "test_bursts": In(bursts),
                "link_bursts": In(bursts),
                "bursts": Out(bursts),
                "results": In(results),
                "test_results": Out(results),
                "link_results": Out(results),
                "test_may_begin": Out(1),
                "test_offering": In(1),
                "linked": Out(1),
                "active": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for wanted, bursts, results in (
            (0, self.test_bursts, self.test_results),
            (1, self.link_bursts, self.link_results),
        ):
            with m.If(self.linked == wanted):
                m.d.comb += [
                    self.bursts.valid.eq(bursts.valid),
                    self.bursts.payload.eq(bursts.payload),
                    bursts.ready.eq(self.bursts.ready),
                    results.valid.eq(self.results.valid),
                    self.results.ready.eq(results.ready),
                ]
            m.d.comb += results.payload.eq(self.results.payload)

        taken = Signal()
        begins = Signal()
        ends = Signal()
        in_flight = Signal(range(MOST_IN_FLIGHT + 1))
        m.d.comb += [
            taken.eq(self.bursts.valid & self.bursts.ready),
            begins.eq(taken & (counter(m, "beat", self.config.beats_per_result, taken)[0] == 0)),
            ends.eq(self.results.valid & self.results.ready & self.results.payload.last),
            self.active.eq(in_flight != 0),
            self.test_may_begin.eq(~self.linked & ~self.link_bursts.valid),
        ]
        m.d.sync += in_flight.eq(in_flight + begins - ends)
        with m.If(self.link_bursts.valid & ~self.test_offering & ~self.active):
            m.d.sync += self.linked.eq(1)
        return m
