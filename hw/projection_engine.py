"""Projection engine: from a stream of bursts to the accumulated currents of a layer's neurons."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.configuration import ProjectionConfig
from hw.handover import Handover
from hw.receptive_field import ReceptiveField
from hw.scanner import EventScanner, bursts_layout
from hw.stream_register import StreamRegister
from hw.synapse_array import SynapseArray, array_latency, sums_layout


def projection_latency(config: ProjectionConfig) -> int:
    """Latency in cycles of a :class:`ProjectionEngine`."""
    arrival = ReceptiveField.latency if config.window.rows_kept else StreamRegister.latency
    return arrival + EventScanner.latency + array_latency(config.banks) + Handover.latency


class ProjectionEngine(wiring.Component):
    """``receptive field or register -> event scanner -> synapse array -> hand-over``, in ``neuron_major`` order.

    Loop nest: window -> fold -> timestep -> events. Throughput: E events a cycle, or P / M cycles a sum where that is
    more. Latency: ``latency`` cycles from the closing beat of an accumulation with one event to its first currents.

    Ports:
        bursts: the source's bursts.
        currents: ``sums_layout(cores, accumulator_bits)``.
        working: the scanner works in this cycle; for taps.
    """

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config
        source = config.window.source
        super().__init__(
            {
                "bursts": In(stream.Signature(bursts_layout(source.group, source.burst_bits))),
                "currents": Out(stream.Signature(sums_layout(config.cores, config.accumulator_bits))),
                "working": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        return projection_latency(self.config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        if config.window.rows_kept:
            m.submodules.receptive_field = arrival = ReceptiveField(config.window)
        else:
            m.submodules.arrival = arrival = StreamRegister(self.bursts.payload.shape())
        m.submodules.scanner = scanner = EventScanner(config)
        m.submodules.array = array = SynapseArray(config)
        m.submodules.handover = handover = Handover(
            lanes=config.lanes, cores=config.cores, bits=config.accumulator_bits, repeats=config.repeats
        )
        connect(m, flipped(self.bursts), arrival.arriving)
        connect(m, arrival.leaving, scanner.bursts)
        connect(m, scanner.events, array.events)
        connect(m, array.sums, handover.sums)
        connect(m, handover.currents, flipped(self.currents))
        m.d.comb += self.working.eq(scanner.working)
        return m
