"""A model of snn layers as a NIR graph.

NIR says what a network computes between its input and its output, in real numbers. So the input of the graph is burst
counts, and its output is the readout's L, in every timestep. A projection becomes Conv2d, Affine or Linear with
BatchNorm folded into it, neurons become IF, LIF or CubaLIF, the readout I or LI, and a recurrent projection closes a
cycle. Time constants follow Euler's rule: ``tau = dt / (1 - beta)``; r and w_in make the gain of the current 1.

What NIR has no words for is refused if it changes the spikes: bursts of more than one, max pooling, limits, a soft
reset that takes away another amount than the threshold. The graph's metadata says the rest: how samples become counts,
what is done with L, and that the integer form rounds leaks down.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qblif.errors import UserError
from snn.bursts import Bursts, MaxPool2d, Pool2d
from snn.checkpoint import check_graph, sole_encoder
from snn.decay import Decay
from snn.dynamics import Neuron
from snn.layers import Layer, ReadoutLayer, SpikingLayer
from snn.modes import in_mode
from snn.projections import QuantConv2d, QuantProjection
from snn.tracing import Call, free_name, traced

Floats = NDArray[np.floating[Any]]


@torch.no_grad()
def nir_graph_of(nir: Any, model: nn.Module, dt: float) -> Any:
    """The ``nir.NIRGraph`` of a model; ``nir`` is the package. Raises UserError if NIR has no words for it."""
    untrained = [name for name, part in model.named_modules() if isinstance(part, Neuron) and not part.initialised]
    if untrained:
        raise UserError(f"{untrained[0]}: its scale is not known before the first batch; train the model first")
    encoder = sole_encoder(model)
    spec = encoder.spec
    steps_of_input = () if spec.coding == "direct" else (encoder.timesteps,)
    samples = torch.zeros(1, *steps_of_input, *spec.shape, dtype=torch.uint8, device=encoder.table.device)
    with in_mode(model, training=False), traced(model, samples) as calls:
        logits = model(samples)
    check_graph(calls, logits)
    writer = Writer(nir, dt, {spec.name, *(call.name for call in calls)})
    writer.nodes[spec.name] = nir.Input(input_type={"input": np.array(spec.shape)})
    writer.shapes[spec.name] = spec.shape
    for call in calls:
        writer.add(call)
    readout = calls[-1].module
    assert isinstance(readout, ReadoutLayer)
    given = writer.shapes[calls[-1].name]
    sink = nir.Output(output_type={"output": np.array(given)})
    writer.place(free_name("output", writer.taken), sink, given, [calls[-1].name])
    metadata = {
        "dt": dt,
        "rule": "euler: tau = dt / (1 - beta)",
        "integration": "IF and I add r times their current in a timestep",
        "timesteps": encoder.timesteps,
        "mode": encoder.mode,
        "input": f"burst counts 0 to {spec.burst_ceiling} of samples of bytes, coding {spec.coding}, {spec.bits} bits",
        "answer": answer_of(readout),
        "form": "integer: leaks round down to multiples of 2^-F" if readout.quantized else "float",
    }
    return nir.NIRGraph(nodes=writer.nodes, edges=writer.edges, metadata=metadata, type_check=False)


def answer_of(readout: ReadoutLayer) -> str:
    """What the model gives of the readout's L."""
    value = "the largest output so far" if readout.maximum else "the output"
    return f"{value}, {'after every timestep' if readout.per_step else 'after the last timestep'}"


class Writer:
    """Collects nodes and edges.

    Attributes:
        nodes: name -> NIR node.
        edges: (source, target).
        shapes: what every node gives.
    """

    def __init__(self, nir: Any, dt: float, taken: Iterable[str]) -> None:
        self.nir, self.dt, self.taken = nir, dt, set(taken)
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.flat: dict[str, str] = {}

    def add(self, call: Call) -> None:
        """The nodes of one step of the model; raises UserError."""
        module = call.module
        if isinstance(module, Pool2d):
            if isinstance(module, MaxPool2d):
                raise UserError(f"{call.name} (MaxPool2d): NIR has no max pooling; train with SumPool2d")
            window = module.node.window
            pool = self.nir.SumPool2d(*(np.array(sizes) for sizes in (window.kernel, window.stride, window.padding)))
            self.place(call.name, pool, shape_of(call.output), [self.read(call.sources[0])])
        elif isinstance(module, SpikingLayer):
            self.population(call, module)
        else:
            assert isinstance(module, ReadoutLayer)
            self.readout(call, module)

    def place(self, name: str, node: Any, shape: tuple[int, ...], sources: Iterable[str]) -> str:
        """Enter a node that gives ``shape``; returns its name."""
        self.nodes[name], self.shapes[name] = node, shape
        self.edges += [(source, name) for source in sources]
        return name

    def read(self, source: Bursts) -> str:
        """The node that gives these bursts; a Flatten for those that were flattened."""
        shape = self.shapes[source.node]
        if shape_of(source) == shape:
            return source.node
        if source.node not in self.flat:
            flatten = self.nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=-1)
            name = free_name(f"{source.node}_flat", self.taken)
            self.flat[source.node] = self.place(name, flatten, shape_of(source), [source.node])
        return self.flat[source.node]

    def population(self, call: Call, layer: SpikingLayer) -> None:
        """Neurons and their projections; raises UserError."""
        neuron, shape = layer.neuron, shape_of(call.output)
        # Weights on the grid of the integer form are exact in units of the neurons' scale, others in their own.
        scale = neuron.scale if layer.quantized else torch.ones_like(neuron.scale)
        synapses = layer.synapses(call.sources, neuron.scale)
        incoming = len(layer.incoming(call.sources))
        sources = []
        for place, (projection, source) in enumerate(synapses):
            suffix = ("weights", "shortcut")[place] if place < incoming else "recurrent"
            reads = self.read(source) if place < incoming else call.name
            sources.append(self.project(f"{call.name}_{suffix}", layer, projection, source, scale, reads, shape))
        if len(call.sources) > incoming:
            skip = call.sources[-1]
            factor = layer.identity_weight(skip, scale) if layer.quantized else skip.scale
            node = self.nir.Scale(np.full(shape, float(factor)))
            sources.append(self.place(free_name(f"{call.name}_skip", self.taken), node, shape, [self.read(skip)]))
        own = self.neurons(f"{call.name} ({type(neuron).__name__})", layer, shape)
        self.place(call.name, own, shape, sources)

    def project(
        self,
        name: str,
        layer: Layer,
        projection: QuantProjection,
        source: Bursts,
        scale: Tensor,
        reads: str,
        target: tuple[int, ...],
    ) -> str:
        """The weights of a projection, in units of ``scale`` for each burst; returns their node."""
        if layer.quantized:
            weight = layer.integer_weight(projection, source, scale)
            bias = layer.integer_bias(projection, source, scale)
        else:
            folded = projection.folded(source.scale, scale)
            weight, bias = folded.weight, folded.bias
        weights, biases = weight.numpy(force=True), bias.numpy(force=True)
        if isinstance(projection, QuantConv2d):
            window = projection.window
            shape = self.shapes.get(reads, target)  # a recurrent projection reads what is written last
            node = self.nir.Conv2d(
                input_shape=shape[1:],
                weight=weights,
                stride=window.stride,
                padding=window.padding,
                dilation=window.dilation,
                groups=projection.groups,
                bias=biases,
            )
        elif biases.any():
            node = self.nir.Affine(weight=weights, bias=biases)
        else:
            node = self.nir.Linear(weight=weights)
        return self.place(free_name(name, self.taken), node, target, [reads])

    def neurons(self, label: str, layer: SpikingLayer, shape: tuple[int, ...]) -> Any:
        """IF, LIF or CubaLIF; raises UserError."""
        neuron = layer.neuron
        if neuron.burst_ceiling != 1:
            raise UserError(f"{label}: NIR has no bursts, and its K is {neuron.burst_ceiling}; train with K = 1")
        if neuron.membrane_limits is not None or neuron.current_limits is not None:
            raise UserError(f"{label}: NIR has no limits of membranes or currents; train without them")
        threshold = neuron.threshold
        if layer.quantized:
            above = neuron.fires_at == "above"
            threshold = 1 - (neuron.rounding(int(layer.fraction_bits)) + above) * layer.resolution
        if neuron.reset == "soft" and threshold != 1:
            raise UserError(
                f"{label}: its soft reset takes away 1 / {threshold:g} of its threshold, and in NIR all of it; "
                "train with reset 'hard' or threshold 1"
            )
        if not layer.quantized:
            threshold *= float(neuron.scale)
        beta = beta_of(neuron.decay, layer)
        parameters = {"v_threshold": threshold, "v_reset": 0.0}
        if neuron.current_decay is not None:
            alpha = beta_of(neuron.current_decay, layer)
            if beta == 1 or alpha == 1:
                raise UserError(f"{label}: a CubaLIF of NIR always leaks; train with leaks below 1")
            parameters |= {"tau_syn": self.tau(alpha), "w_in": self.tau(alpha) / self.dt}
            parameters |= {"tau_mem": self.tau(beta), "r": self.tau(beta) / self.dt, "v_leak": 0.0}
            kind = self.nir.CubaLIF
        elif beta == 1:
            parameters["r"] = 1.0
            kind = self.nir.IF
        else:
            parameters |= {"tau": self.tau(beta), "r": self.tau(beta) / self.dt, "v_leak": 0.0}
            kind = self.nir.LIF
        fires = "at v_threshold" if neuron.fires_at == "threshold" else "above v_threshold"
        metadata = {"reset": neuron.reset, "fires": fires}
        return kind(**{name: np.full(shape, value) for name, value in parameters.items()}, metadata=metadata)

    def readout(self, call: Call, layer: ReadoutLayer) -> None:
        """I, or LI if it leaks; raises UserError."""
        if layer.limits is not None:
            raise UserError(f"{call.name} (ReadoutLayer): NIR has no limits of L; train without them")
        [(projection, source)] = layer.incoming(call.sources)
        shape = (len(projection.shift),)
        weights = self.project(
            f"{call.name}_weights", layer, projection, source, torch.ones_like(source.scale), self.read(source), shape
        )
        beta = 1.0 if layer.decay is None else beta_of(layer.decay, layer)
        if beta == 1:
            node = self.nir.I(r=np.ones(shape))
        else:
            tau = self.tau(beta)
            node = self.nir.LI(tau=np.full(shape, tau), r=np.full(shape, tau / self.dt), v_leak=np.zeros(shape))
        self.place(call.name, node, shape, [weights])

    def tau(self, beta: float) -> float:
        """The time constant that Euler's rule makes this decay of."""
        return self.dt / (1 - beta)


def beta_of(decay: Decay, layer: Layer) -> float:
    """The decay of a layer's form."""
    if decay.raw is not None and not layer.quantized:
        return float(torch.sigmoid(decay.raw.double()))
    return decay.leak.multiplier / 2**decay.leak.shift


def shape_of(bursts: Bursts | Tensor) -> tuple[int, ...]:
    """Neurons of a population."""
    assert isinstance(bursts, Bursts)
    return tuple(bursts.counts.shape[2:])
