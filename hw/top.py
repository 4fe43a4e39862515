"""The network as one component: a stream of bursts in, a stream of results out."""

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.configuration import INPUT, TopConfig
from hw.fork import Fork
from hw.layouts import bursts_layout
from hw.shell.reset import RestartChain, reset_by
from hw.stages.readout_unit import result_layout
from hw.stages.stage import Edge


class BurstTap(wiring.Signature):
    """Tap of a burst stream: ``transferred`` is 1 for one cycle with each beat. Not itself a stream."""

    def __init__(self, group: int, burst_bits: int) -> None:
        super().__init__({"transferred": Out(1), "bursts": Out(bursts_layout(group, burst_bits))})


class FlowTap(wiring.Signature):
    """Tap of valid and ready of a stream between two components. Not itself a stream."""

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "ready": Out(1)})


def flows(config: TopConfig) -> tuple[str, ...]:
    """The streams that taps can watch: the top's own two, and those into and inside every stage."""
    return ("bursts", "results", *(flow for stage in config.stages for flow in stage.flows()))


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
        ports |= stage.taps()
    for name in flows(config) if taps else ():
        ports[f"flow_{name}"] = Out(FlowTap())
    return ports


class NetworkTop(wiring.Component):
    """Layer engines and pooling stages that all work at the same time, on different positions and inputs.

    Every stream is connected to its reader, through a fork if it has several; bursts of each identity skip wait in a
    separate queue (:class:`hw.neurons.skip_queue.SkipQueue`).

    Each stage has its own reset register (:class:`hw.shell.reset.RestartChain`); the domain itself needs no reset.

    Ports:
        bursts: the input's beats (docs/design.md, stream order); a direct input is sent once per inference. No beat is
            taken during a restart.
        results: ``result_layout``.
        rst: 1 for one cycle or more to restart: the network drops everything that it has taken.
        restarting: a restart is in progress; 1 from the cycle after ``rst``.
        sources_reset: reset of the components that send ``bursts`` and take ``results``, so that no old beat is left.
        tap_NAME, membranes_NAME: only with ``taps``: the output of each population and pooling, and the populations'
            membranes. The stages are the same with and without taps.
        working_NAME: only with ``taps``: the layer's scanner works in this cycle.
        flow_NAME: only with ``taps``: valid and ready of each of :func:`flows`.
    """

    def __init__(self, config: TopConfig, *, taps: bool = False) -> None:
        self.config, self.taps = config, taps
        super().__init__(network_ports(config, taps=taps))

    @property
    def latency(self) -> int:
        """Cycles from an inference's only beat to its first result, for one timestep, one event and no skip."""
        return sum(stage.latency for stage in self.config.stages)

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
        # A recurrent stream leads to a stage before its source, so its reader is connected before it exists.
        branches = {edge: stream.Signature(beat_layout(self.config, edge)).create() for edge in self.config.loops}
        branches |= self._branches(m, INPUT, self._entrance(m, restart.busy), restart.resets[0])
        for index, stage in enumerate(self.config.stages):
            site = StageSite(self, m, restart.resets[index])
            leaving = stage.assemble(site, [branches[edge] for edge in stage.edges])
            if leaving is None:
                continue
            if self.taps:
                tap = getattr(self, f"tap_{stage.name}")
                m.d.comb += [tap.transferred.eq(leaving.valid & leaving.ready), tap.bursts.eq(leaving.payload)]
            for edge, branch in self._branches(m, stage.name, leaving, restart.resets[index]).items():
                if edge in branches:
                    connect(m, branch, flipped(branches[edge]))
                else:
                    branches[edge] = branch
        return m

    def _entrance(self, m: Module, closed: Value) -> Any:
        """The stream ``bursts``; no beat is taken from it while ``closed`` is 1."""
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

    def _branches(self, m: Module, name: str, bursts: Any, reset: Value) -> dict[Edge, Any]:
        """The stream of node ``name`` for each of its readers."""
        readers = self.config.readers(name)
        streams = [bursts]
        if len(readers) > 1:
            fork = Fork(bursts.payload.shape(), len(readers))
            m.submodules[f"{name}_fork"] = reset_by(reset)(fork)
            connect(m, bursts, fork.arriving)
            streams = [fork.leaving[index] for index in range(len(readers))]
        return dict(zip(readers, streams, strict=True))


def beat_layout(config: TopConfig, edge: Edge) -> data.ArrayLayout:
    """The payload of a stream between two stages."""
    sent = config.stream(edge.source)
    return bursts_layout(sent.group, sent.burst_bits)


class StageSite:
    """Where a stage is assembled (see :class:`hw.stages.stage.Site`): the top's module and the stage's reset."""

    def __init__(self, top: NetworkTop, m: Module, reset: Value) -> None:
        self.top, self.m, self.reset = top, m, reset

    def add(self, name: str, component: Any) -> Any:
        self.m.submodules[name] = reset_by(self.reset)(component)
        return component

    def connect(self, source: Any, sink: Any) -> None:
        connect(self.m, source, sink)

    def watch(self, flow: str, ends: Any) -> None:
        self.top._watch(self.m, flow, ends)

    def tap(self, name: str, shown: Any) -> None:
        if self.top.taps:
            port = getattr(self.top, name)
            if hasattr(shown, "signature"):
                connect(self.m, shown, flipped(port))
            else:
                self.m.d.comb += port.eq(shown)

    def results(self, ends: Any) -> None:
        connect(self.m, ends, flipped(self.top.results))
