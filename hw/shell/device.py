"""The whole device except its clock and pins: network, self-test, host link and lights."""

from amaranth.hdl import DomainRenamer, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hw.configuration import TopConfig
from hw.link.configuration import LinkConfig
from hw.link.counters import ActivityCounters
from hw.link.host_link import HostLink, link_memories
from hw.logic import counter
from hw.memory import Inventory, under
from hw.shell.activity import count_activity, counter_widths
from hw.shell.reset import reset_by
from hw.shell.selftest import SelfTest, SelfTestVectors, self_test_memories
from hw.shell.sharing import NetworkShare
from hw.stages.readout_unit import result_layout
from hw.top import NetworkTop

NETWORK, SELF_TEST, LINK = "network", "self_test", "link"
"""Submodules that have memories."""


def device_memories(config: TopConfig, vectors: SelfTestVectors, link: LinkConfig | None) -> Inventory:
    """Every memory of a :class:`Device` except the link's queue of jobs."""
    for stage in config.stages:
        yield from under(NETWORK, stage.memories())
    yield from under(SELF_TEST, self_test_memories(config, vectors))
    if link is not None:
        identity, stored = link.identity.to_bytes(), config.readout if link.steps else None
        yield from under(LINK, link_memories(link.buffer_bytes, stored, len(identity), identity))


class NetworkDevice(wiring.Component):
    """After a reset the self-test replays its inputs, first all of them at full speed, then two per second. The first
    inference of a host takes over the network until the next restart.

    A network in mode ``stream`` keeps its state from timestep to timestep, so its self-test runs only once, after
    power-on. A host restarts such a network and then finds it at rest; the lights keep showing how the self-test ended.

    There are two domains: ``sync``, and ``network``, which has the same clock and no reset signal. Components in
    ``network`` are restarted stage by stage, after a reset of ``sync`` and by the host
    (:class:`hw.shell.reset.RestartChain`).

    Args:
        config: the network.
        vectors: the inputs and logits of the self-test.
        link: the host link; None for a board without a serial line.
        clock_hz: clock frequency of both domains.

    Ports:
        receive, transmit: the serial lines.
        heartbeat: blinks once per second, or twice if a logit of the self-test was wrong.
        passed: the self-test has run all its inputs, and every logit was right.
        busy: an inference is in progress, or was in the current half second.
        winner: predicted class of the last inference.
    """

    def __init__(self, config: TopConfig, vectors: SelfTestVectors, link: LinkConfig | None, clock_hz: int) -> None:
        self.config, self.vectors, self.link, self.clock_hz = config, vectors, link, clock_hz
        self.network = NetworkTop(config, taps=link is not None)
        super().__init__(
            {
                "receive": In(1, init=1),
                "transmit": Out(1, init=1),
                "heartbeat": Out(1),
                "passed": Out(1),
                "busy": Out(1),
                "winner": Out(result_layout(config.readout).members["winner"]),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        network = self.network
        share, test = NetworkShare(self.config), SelfTest(self.config, self.vectors)
        renamed, restarted = DomainRenamer("network"), reset_by(network.sources_reset)
        m.submodules[NETWORK] = renamed(network)
        m.submodules.share = renamed(restarted(share))
        m.submodules[SELF_TEST] = renamed(restarted(test))
        restart = Signal()
        m.d.comb += network.rst.eq(ResetSignal() | restart)
        connect(m, share.bursts, network.bursts)
        connect(m, network.results, share.results)
        connect(m, test.bursts, share.test_bursts)
        connect(m, share.test_results, test.results)

        tick, quarter = self._clockwork(m)
        failed, hosted = Signal(), Signal()
        m.d.comb += [share.test_offering.eq(test.offering), self.heartbeat.eq(Mux(failed, quarter[0], quarter[1]))]
        if self.config.mode == "stream":
            m.d.comb += test.allowed.eq(share.test_may_begin & ~test.complete & ~hosted)
            with m.If(~hosted):
                m.d.sync += [self.passed.eq(test.passed), failed.eq(test.failed)]
        else:
            m.d.comb += test.allowed.eq(share.test_may_begin & (~test.complete | tick))
            m.d.comb += [self.passed.eq(test.passed), failed.eq(test.failed)]
        with m.If(share.active | tick):
            m.d.sync += self.busy.eq(share.active)
        with m.If(network.results.valid & network.results.payload.last):
            m.d.sync += self.winner.eq(network.results.payload.winner)

        if self.link is not None:
            m.submodules[LINK] = link = HostLink(self.link, self.config)
            counters = ActivityCounters(counter_widths(self.config))
            # Each has its own reset register, as every stage has, one cycle after that of the self-test.
            link_reset, counters_reset = Signal(), Signal()
            m.d.network += [link_reset.eq(network.sources_reset), counters_reset.eq(link_reset)]
            m.submodules.counters = renamed(reset_by(counters_reset)(counters))
            connect(m, link.bursts, share.link_bursts)
            connect(m, share.link_results, link.results)
            m.d.comb += [
                link.receive.eq(self.receive),
                self.transmit.eq(link.transmit),
                restart.eq(link.restart),
                hosted.eq(link.restarted),
                link.restarting.eq(network.restarting | link_reset | counters_reset),
                link.reset.eq(link_reset),
                counters.turn.eq(link.turn),
                link.counter.eq(counters.byte),
            ]
            results = share.link_results
            count_activity(
                m,
                network,
                counters.increments,
                counters.names,
                arriving=share.bursts,
                finished=results.valid & results.ready & results.payload.last,
                active=share.linked & share.active,
                counted=share.linked,
            )
        return m

    def _clockwork(self, m: Module) -> tuple[Signal, Signal]:
        """A pulse of one cycle every half second, and a count of quarter seconds modulo four."""
        cycles_end = counter(m, "quarter_cycle", max(2, self.clock_hz // 4), 1)[1]
        quarter = Signal(2)
        tick = Signal()
        m.d.comb += tick.eq(cycles_end & quarter[0])
        m.d.sync += quarter.eq(quarter + cycles_end)
        return tick, quarter
