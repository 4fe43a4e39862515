"""Projection engine: from a stream of bursts to the accumulated currents of a layer's neurons."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.configuration import ProjectionConfig
from hw.handover import Handover
from hw.receptive_field import DenseReceptiveField
from hw.scanner import EventScanner, bursts_layout
from hw.stream_register import StreamRegister
from hw.synapse_array import SynapseArray, sums_layout


def projection_latency(config: ProjectionConfig) -> int:
    """Latency in cycles of a :class:`ProjectionEngine`."""
    field = DenseReceptiveField.latency if config.replayed else 0
    return field + StreamRegister.latency + EventScanner.latency + SynapseArray.latency + Handover.latency


class ProjectionEngine(wiring.Component):
    """``[receptive field ->] register -> event scanner -> synapse array -> hand-over``, in ``neuron_major`` order.

    Loop nest: fold -> timestep -> events. Throughput: one event a cycle, or P / M cycles a sum where that is more.
    Latency: ``latency`` cycles from the closing beat of an accumulation with one event to its first currents.

    Ports:
        bursts: the source's bursts.
        currents: ``sums_layout(cores, accumulator_bits)``.
    """

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config
        source = config.source
        super().__init__(
            {
                "bursts": In(stream.Signature(bursts_layout(source.group, source.burst_bits))),
                "currents": Out(stream.Signature(sums_layout(config.cores, config.accumulator_bits))),
            }
        )

    @property
    def latency(self) -> int:
        return projection_latency(self.config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.scanner = scanner = EventScanner(
            source=config.source, folds=config.folds, merged_steps=config.merged_steps
        )
        m.submodules.array = array = SynapseArray(config)
        m.submodules.handover = handover = Handover(
            lanes=config.lanes, cores=config.cores, bits=config.accumulator_bits, repeats=config.repeats
        )
        m.submodules.arrival = arrival = StreamRegister(self.bursts.payload.shape())
        connect(m, arrival.leaving, scanner.bursts)
        if config.replayed:
            m.submodules.receptive_field = field = DenseReceptiveField(
                source=config.source, folds=config.folds, memory=config.weight_memory
            )
            connect(m, flipped(self.bursts), field.arriving)
            connect(m, field.leaving, arrival.arriving)
        else:
            connect(m, flipped(self.bursts), arrival.arriving)
        connect(m, scanner.events, array.events)
        connect(m, array.sums, handover.sums)
        connect(m, handover.currents, flipped(self.currents))
        return m
