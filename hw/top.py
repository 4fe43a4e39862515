"""The network as one component: a stream of bursts in, a stream of results out."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.configuration import LayerConfig, NeuronConfig, ReadoutConfig, TopConfig
from hw.neuron_bank import MembraneTap, NeuronBank
from hw.projection_engine import ProjectionEngine, projection_latency
from hw.readout import Readout, result_layout
from hw.scanner import bursts_layout


class BurstTap(wiring.Signature):
    """A burst stream as it is handed on: ``transferred`` for one cycle with each beat. Not a stream; for taps."""

    def __init__(self, group: int, burst_bits: int) -> None:
        super().__init__({"transferred": Out(1), "bursts": Out(bursts_layout(group, burst_bits))})


def network_ports(config: TopConfig, *, taps: bool) -> dict[str, wiring.Member]:
    """Ports of :class:`NetworkTop`."""
    readout = config.layers[-1].target
    assert isinstance(readout, ReadoutConfig)
    ports = {
        "bursts": In(stream.Signature(bursts_layout(config.input.group, config.input.burst_bits))),
        "results": Out(stream.Signature(result_layout(readout))),
    }
    for layer in config.layers:
        if taps and isinstance(layer.target, NeuronConfig):
            ports[f"tap_{layer.name}"] = Out(BurstTap(layer.target.group, layer.target.burst_bits))
            ports[f"membranes_{layer.name}"] = Out(MembraneTap(layer.target.cores, layer.target.membrane_bits))
    return ports


class NetworkTop(wiring.Component):
    """A chain of layer engines that all work at the same time, on different timesteps and inputs.

    Ports:
        bursts: the input's beats (docs/design.md, stream order); a direct input is sent once an inference.
        results: ``result_layout``; one beat a class.
        tap_NAME, membranes_NAME: with ``taps`` only, what leaves each population and its membranes. The layers
            inside are the same with taps and without.

    Latency: ``latency`` cycles from an inference's only beat to its first result, for one timestep and one event.
    """

    def __init__(self, config: TopConfig, *, taps: bool = False) -> None:
        self.config, self.taps = config, taps
        super().__init__(network_ports(config, taps=taps))

    @property
    def latency(self) -> int:
        engines = sum(projection_latency(layer.projection) for layer in self.config.layers)
        return engines + NeuronBank.latency * (len(self.config.layers) - 1) + Readout.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bursts = flipped(self.bursts)
        for layer in self.config.layers:
            m.submodules[f"{layer.name}_projection"] = engine = ProjectionEngine(layer.projection)
            connect(m, bursts, engine.bursts)
            if isinstance(layer.target, NeuronConfig):
                m.submodules[f"{layer.name}_neurons"] = bank = NeuronBank(layer.target)
                connect(m, engine.currents, bank.currents)
                bursts = bank.bursts
                if self.taps:
                    self._tap(m, layer, bank)
            else:
                lanes_total = layer.projection.lanes * layer.projection.folds
                m.submodules.readout = readout = Readout(layer.target, lanes_total=lanes_total)
                connect(m, engine.currents, readout.currents)
                connect(m, readout.results, flipped(self.results))
        return m

    def _tap(self, m: Module, layer: LayerConfig, bank: NeuronBank) -> None:
        tap = getattr(self, f"tap_{layer.name}")
        m.d.comb += [
            tap.transferred.eq(bank.bursts.valid & bank.bursts.ready),
            tap.bursts.eq(bank.bursts.payload),
        ]
        connect(m, bank.tap, flipped(getattr(self, f"membranes_{layer.name}")))
