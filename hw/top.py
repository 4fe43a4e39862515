"""The network as one component: a stream of bursts in, a stream of results out."""

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.configuration import LayerConfig, NeuronConfig, PoolingConfig, TopConfig
from hw.fork import Fork
from hw.neuron_bank import MembraneTap, NeuronBank
from hw.pooling import PoolingStage
from hw.projection_engine import ProjectionEngine, projection_latency
from hw.readout import Readout, result_layout
from hw.reset import RestartChain, reset_by
from hw.scanner import bursts_layout
from hw.skip_buffer import SkipBuffer


class BurstTap(wiring.Signature):
    """A burst stream as it is handed on: ``transferred`` for one cycle with each beat. Not a stream; for taps."""

    def __init__(self, group: int, burst_bits: int) -> None:
        super().__init__({"transferred": Out(1), "bursts": Out(bursts_layout(group, burst_bits))})


class FlowTap(wiring.Signature):
    """Valid and ready of a stream between two components. Not a stream; for taps."""

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "ready": Out(1)})


def flows(config: TopConfig) -> tuple[str, ...]:
    """The streams of the top: its own two, into every stage, from projection to target, into and out of skip queues."""
    names = ["bursts", "results", *(f"arriving_{stage.name}" for stage in config.stages)]
    names += [f"currents_{layer.name}" for layer in config.layers]
    for name, target, _ in config.populations:
        for index in range(len(target.skips)):
            names += [f"skip_{index}_arriving_{name}", f"skip_{index}_leaving_{name}"]
    return tuple(names)


def network_ports(config: TopConfig, *, taps: bool) -> dict[str, wiring.Member]:
    """Ports of :class:`NetworkTop`."""
    ports = {
        "bursts": In(stream.Signature(bursts_layout(config.input.group, config.input.burst_bits))),
        "results": Out(stream.Signature(result_layout(config.readout))),
        "rst": In(1),
        "restarting": Out(1),
        "sources_reset": Out(1),
    }
    for stage in config.stages if taps else ():
        if stage.output is not None:
            ports[f"tap_{stage.name}"] = Out(BurstTap(stage.output.group, stage.output.burst_bits))
        if isinstance(stage, LayerConfig):
            ports[f"working_{stage.name}"] = Out(1)
        if isinstance(stage, LayerConfig) and isinstance(stage.target, NeuronConfig):
            ports[f"membranes_{stage.name}"] = Out(MembraneTap(stage.target.cores, stage.target.membrane_bits))
    for name in flows(config) if taps else ():
        ports[f"flow_{name}"] = Out(FlowTap())
    return ports


class NetworkTop(wiring.Component):
    """Layer engines and pooling stages that all work at the same time, on different positions and inputs.

    Every stream leads into what reads it; one that several read is forked, and bursts of an identity skip wait in a
    queue of their own (:class:`hw.skip_buffer.SkipBuffer`).

    Each stage has its own reset register (:class:`hw.reset.RestartChain`); the domain itself needs no reset.

    Ports:
        bursts: the input's beats (docs/design.md, stream order); a direct input is sent once per inference. No beat is
            taken during a restart.
        results: ``result_layout``; one beat per class.
        rst: restart, for one cycle or more: the network forgets all that it has taken.
        restarting: the restart is not complete; from the cycle after ``rst``.
        sources_reset: resets what sends ``bursts`` and takes ``results``, so that nothing old is left there.
        tap_NAME, membranes_NAME: with ``taps`` only, what leaves each population and pooling, and the populations'
            membranes. The stages inside are the same with taps and without.
        working_NAME: with ``taps`` only, the layer's scanner works in this cycle.
        flow_NAME: with ``taps`` only, valid and ready of each of :func:`flows`.
    """

    def __init__(self, config: TopConfig, *, taps: bool = False) -> None:
        self.config, self.taps = config, taps
        super().__init__(network_ports(config, taps=taps))

    @property
    def latency(self) -> int:
        """Cycles from an inference's only beat to its first result, for one timestep, one event and no skip."""
        cycles = Readout.latency
        for stage in self.config.stages:
            if isinstance(stage, PoolingConfig):
                cycles += PoolingStage.latency
            else:
                cycles += projection_latency(stage.projection)
                cycles += NeuronBank.latency if isinstance(stage.target, NeuronConfig) else 0
        return cycles

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._watch(m, "bursts", self.bursts)
        self._watch(m, "results", self.results)
        m.submodules.restart = restart = RestartChain(len(self.config.stages))
        m.d.comb += [
            restart.begin.eq(self.rst),
            self.restarting.eq(restart.busy),
            self.sources_reset.eq(restart.sources),
        ]
        branches = self._branches(m, "input", self._entrance(m, restart.busy), restart.resets[0])
        for index, stage in enumerate(self.config.stages):
            reset = restart.resets[index]
            if isinstance(stage, PoolingConfig):
                pooling = PoolingStage(stage)
                m.submodules[f"{stage.name}_pooling"] = reset_by(reset)(pooling)
                connect(m, branches[stage.name], pooling.arriving)
                self._watch(m, f"arriving_{stage.name}", pooling.arriving)
                leaving = pooling.leaving
            else:
                engine = ProjectionEngine(stage.projection)
                m.submodules[f"{stage.name}_projection"] = reset_by(reset)(engine)
                connect(m, branches[stage.name], engine.bursts)
                self._watch(m, f"arriving_{stage.name}", engine.bursts)
                self._watch(m, f"currents_{stage.name}", engine.currents)
                if self.taps:
                    m.d.comb += getattr(self, f"working_{stage.name}").eq(engine.working)
                if not isinstance(stage.target, NeuronConfig):
                    self._read_out(m, stage, engine, reset)
                    continue
                leaving = self._fire(m, stage.name, stage.target, engine, branches, reset)
            if self.taps:
                tap = getattr(self, f"tap_{stage.name}")
                m.d.comb += [tap.transferred.eq(leaving.valid & leaving.ready), tap.bursts.eq(leaving.payload)]
            branches |= self._branches(m, stage.name, leaving, reset)
        return m

    def _entrance(self, m: Module, closed: Value) -> Any:
        """The stream ``bursts``, from which nothing is taken while it is ``closed``."""
        entering = stream.Signature(self.bursts.payload.shape()).create()
        m.d.comb += [
            entering.valid.eq(self.bursts.valid & ~closed),
            entering.payload.eq(self.bursts.payload),
            self.bursts.ready.eq(entering.ready & ~closed),
        ]
        return entering

    def _watch(self, m: Module, name: str, flow: Any) -> None:
        """Drive the tap of one of :func:`flows`."""
        if self.taps:
            tap = getattr(self, f"flow_{name}")
            m.d.comb += [tap.valid.eq(flow.valid), tap.ready.eq(flow.ready)]

    def _branches(self, m: Module, name: str, bursts: Any, reset: Value) -> dict[str, Any]:
        """The stream of node ``name`` for each of its readers, skips behind their queues."""
        readers = self.config.consumers(name)
        streams = [bursts]
        if len(readers) > 1:
            fork = Fork(bursts.payload.shape(), len(readers))
            m.submodules[f"{name}_fork"] = reset_by(reset)(fork)
            connect(m, bursts, fork.arriving)
            streams = [getattr(fork, f"branch_{index}") for index in range(len(readers))]
        return dict(zip(readers, streams, strict=True))

    def _fire(
        self,
        m: Module,
        name: str,
        target: NeuronConfig,
        engine: ProjectionEngine,
        branches: dict[str, Any],
        reset: Value,
    ) -> Any:
        """A population behind its projection and its skips; returns the stream that leaves it."""
        bank = NeuronBank(target)
        m.submodules[f"{name}_neurons"] = reset_by(reset)(bank)
        connect(m, engine.currents, bank.currents)
        for index, skip in enumerate(target.skips):
            queue = SkipBuffer(skip)
            m.submodules[f"{name}_skip_{index}"] = reset_by(reset)(queue)
            connect(m, branches[f"{name}.skip_{index}"], queue.arriving)
            connect(m, queue.leaving, getattr(bank, f"skip_{index}"))
            self._watch(m, f"skip_{index}_arriving_{name}", queue.arriving)
            self._watch(m, f"skip_{index}_leaving_{name}", queue.leaving)
        if self.taps:
            connect(m, bank.tap, flipped(getattr(self, f"membranes_{name}")))
        return bank.bursts

    def _read_out(self, m: Module, stage: LayerConfig, engine: ProjectionEngine, reset: Value) -> None:
        lanes_total = stage.projection.lanes * stage.projection.folds
        readout = Readout(self.config.readout, lanes_total=lanes_total)
        m.submodules.readout = reset_by(reset)(readout)
        connect(m, engine.currents, readout.currents)
        connect(m, readout.results, flipped(self.results))
