"""Makes the graph of a recorded run: from what the model returns, back to its input."""

from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

import torch
from torch import Tensor

from qblif.errors import UserError
from qblif.network.checks import Shape
from snn.convert.graph import INPUT as INPUT_NAME
from snn.convert.graph import Affine, Convolution, Graph, Node
from snn.convert.modules.neuron_calls import Record
from snn.convert.modules.neurons import integrator, population
from snn.convert.modules.outputs import WAY_OUT, Output, returned
from snn.convert.modules.terms import ADD, INPUT, ZERO, Joined, Operation, Origin, Term, origins
from snn.convert.modules.trace import Trace


@dataclass(eq=False)
class Builder:
    """Collects nodes.

    Attributes:
        nodes: without their sources.
        sources: of each node: which nodes it reads, and whether as they were one timestep earlier.
        notes: what the user should know.
        parts: the node of each term and each neuron.
        used: identities of the parameters in the nodes.
        membranes: neurons whose membranes are the output.
        taken: all names.
    """

    trace: Trace
    tolerance: float
    nodes: dict[str, Node] = field(default_factory=dict)
    sources: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    parts: dict[Term | Record, str] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    membranes: set[Record] = field(default_factory=set)
    taken: set[str] = field(default_factory=lambda: {INPUT_NAME})

    def name(self, wanted: str) -> str:
        """A name that no node has."""
        numbered = (f"{wanted}_{number}" for number in count(2))
        name = next(one for one in chain([wanted], numbered) if one not in self.taken)
        self.taken.add(name)
        return name

    def add(self, node: Node, sources: list[tuple[str, bool]]) -> None:
        """Add a node."""
        self.nodes[node.name] = node
        self.sources[node.name] = sources

    def node(self, term: Term) -> list[tuple[str, bool]]:
        """The nodes that a term adds, and whether it reads them one timestep late."""
        head = term.head
        if head == ADD:
            return [one for argument in term.arguments for one in self.node(argument)]
        if head == ZERO:
            return []
        if head == INPUT:
            return [(INPUT_NAME, False)]
        if isinstance(head, Origin):
            return [self.neuron(head)]
        if isinstance(head, Joined):
            raise UserError("the model joins features that no Linear or Conv reads; let one read them")
        assert isinstance(head, Operation)
        if term not in self.parts:
            name = self.parts[term] = self.name(head.name)
            sources = self.node(term.arguments[0])
            if not sources:
                raise UserError(f"{name}: reads only zeros; let it read the input or a neuron")
            self.used |= {id(parameter) for parameter in head.parameters}
            self.add(head.kind(name=name, sources=(), **converted(head)), sources)
        return [(self.parts[term], False)]

    def neuron(self, origin: Origin) -> tuple[str, bool]:
        """The node of a neuron's output."""
        record: Record = origin.source
        kind = type(record.module).__name__
        expected = "membrane" if record in self.membranes else "spikes"
        if origin.port != expected:
            other = "returned" if record in self.membranes else "not supported"
            raise UserError(
                f"{record.name} ({kind}): another layer reads its {origin.port}, which is {other}; read its spikes"
                if expected == "spikes"
                else f"{record.name} ({kind}): its membrane is returned and its spikes are read; use one of them"
            )
        if record not in self.parts:
            name = self.parts[record] = self.name(record.name)
            self.used |= {id(parameter) for parameter in record.module.parameters()}
            nodes = self.made(record, name)
            self.sources[name] = []
            term = record.input(self.trace)
            sources = self.node(term)
            for recurrent in nodes[1:]:
                inner = replace(recurrent, name=self.name(recurrent.name))
                self.add(inner, [(name, True)])
                sources.append((inner.name, False))
            if not sources:
                raise UserError(f"{record.name} ({kind}): reads only zeros; let it read the input or a layer")
            self.add(nodes[0], sources)
        return self.parts[record], origin.delay > 0

    def made(self, record: Record, name: str) -> list[Node]:
        """The neuron's own node, and the one that reads its spikes within it."""
        if record in self.membranes:
            return [integrator(record.module, name, self.tolerance)]
        return population(record.module, name, record.shape, self.tolerance)

    def ordered(self) -> tuple[Node, ...]:
        """The nodes, so that those read late stand behind their readers and the others in front of them."""
        before: dict[str, set[str]] = {name: set() for name in self.nodes}
        for reader, sources in self.sources.items():
            for source, late in sources:
                if source in (INPUT_NAME, reader):
                    continue
                first, second = (reader, source) if late else (source, reader)
                before[second].add(first)
        order: dict[str, None] = {}
        while before:
            ready = next((name for name, needed in before.items() if needed <= order.keys()), None)
            if ready is None:
                raise UserError(
                    f"{next(iter(before))}: reads a layer both at the same and at the previous timestep, which has no "
                    "order; put a layer of its own between them"
                )
            order[ready] = None
            del before[ready]
        return tuple(
            replace(self.nodes[name], sources=tuple(source for source, _ in self.sources[name])) for name in order
        )


def converted(operation: Operation) -> dict[str, Any]:
    """The fields of an operation's node: tensors of its own, in float64; one row for one axis."""
    fields = {
        name: value.detach().to("cpu", torch.float64, copy=True) if isinstance(value, Tensor) else value
        for name, value in operation.fields.items()
    }
    if operation.kind is Convolution and fields["weight"].dim() == 3:
        fields["weight"] = fields["weight"].unsqueeze(2)
    return fields


def build(trace: Trace, result: Any, tolerance: float) -> tuple[Graph, Output, int]:
    """The graph of a run, what it returns, and how many timesteps it has."""
    timesteps = counted(trace)
    term, output, notes = returned(trace, result, timesteps)
    builder = Builder(trace, tolerance, notes=notes)
    if output.quantity == "membrane":
        assert isinstance(term.head, Origin)
        builder.membranes.add(term.head.source)
    for record in reached(trace, term):
        builder.neuron(Origin(source=record, port="membrane" if record in builder.membranes else "spikes"))
    sources = builder.node(term)
    if len(sources) != 1 or sources[0][0] == INPUT_NAME:
        if not sources or sources == [(INPUT_NAME, False)]:
            raise UserError(f"the model returns what no layer computes; {WAY_OUT}")
        one = torch.ones(1, dtype=torch.float64)
        name = builder.name("output")
        builder.add(Affine(name=name, sources=(), scale=one, shift=torch.zeros_like(one)), sources)
        sources = [(name, False)]
    trace.used = builder.used
    shape = input_shape(trace)
    graph = Graph(shape=shape, nodes=builder.ordered(), output=sources[0][0], notes=tuple(builder.notes))
    return graph, output, timesteps


def reached(trace: Trace, output: Term) -> list[Record]:
    """The neurons on which the output depends, in the order in which they are called."""
    found: set[Record] = set()
    queue = [output]
    while queue:
        new = {origin.source for origin in origins(queue.pop()) if origin not in (INPUT, ZERO)} - found
        found |= new
        queue += [record.input(trace) for record in new]
    return [record for record in trace.records.values() if record in found]


def counted(trace: Trace) -> int:
    """The timesteps of all neurons."""
    records = list(trace.records.values())
    if not records:
        raise UserError("the model has no neuron of snnTorch or SpikingJelly; convert a spiking network")
    for record in records[1:]:
        if record.timesteps != records[0].timesteps:
            raise UserError(
                f"{record.name} ({type(record.module).__name__}): is called for {record.timesteps} timesteps, and "
                f"{records[0].name} for {records[0].timesteps}; call each neuron once for each timestep"
            )
    return records[0].timesteps


def input_shape(trace: Trace) -> Shape:
    """(C, H, W) of the input."""
    shape = trace.shape
    if shape is None:
        raise UserError(f"the model's output does not depend on its input; {WAY_OUT}")
    if len(shape) == 3:
        return (shape[0], shape[1], shape[2])
    if len(shape) == 2:
        # Channels of one axis, unless all that reads them flattens them: then it was an image.
        return (shape[0], 1, shape[1]) if trace.rows else (1, shape[0], shape[1])
    return (shape[0], 1, 1)
