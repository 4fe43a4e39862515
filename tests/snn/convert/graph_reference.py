"""A graph computed by plain equations in float64, one timestep after the other, to compare others with."""

import torch
from torch import Tensor
from torch.nn import functional

from snn.convert import graph as graphs
from snn.convert.graph import INPUT, Graph

DIVISORS = {"sum": lambda _: 1, "average": lambda count: count}


class Stepper:
    """The states of a graph's nodes; ``step`` computes one timestep."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.outputs: dict[str, Tensor] = {}
        self.membranes: dict[str, Tensor] = {}
        self.currents: dict[str, Tensor] = {}

    def step(self, inputs: Tensor) -> dict[str, Tensor]:
        """Every node's output for (batch, C, H, W) of this timestep; membranes of integrators."""
        before, self.outputs = self.outputs, {INPUT: inputs}
        for node in self.graph.nodes:
            arriving = [self.outputs[name] if name in self.outputs else before.get(name) for name in node.sources]
            known = [one for one in arriving if one is not None]
            total = sum(known[1:], known[0]) if known else None
            self.outputs[node.name] = self.node(node, total)
        return self.outputs

    def node(self, node: graphs.Node, x: Tensor | None) -> Tensor:
        if x is None:  # nothing was sent before the first timestep
            x = self.silence(node)
        match node:
            case graphs.Dense():
                flat = x.flatten(1)
                result = flat @ node.weight.double().T
                return (result if node.bias is None else result + node.bias.double())[..., None, None]
            case graphs.Convolution():
                above, below, left, right = node.padding
                bias = None if node.bias is None else node.bias.double()
                padded = functional.pad(x, (left, right, above, below))
                weight, stride = node.weight.double(), node.stride
                return functional.conv2d(padded, weight, bias, stride, 0, node.dilation, node.groups)
            case graphs.Affine():
                return x * node.scale.double()[:, None, None] + node.shift.double()[:, None, None]
            case graphs.Pool() if node.kind == "max":
                kernel = node.kernel or tuple(x.shape[2:])
                return functional.max_pool2d(x, kernel, node.stride, node.padding)
            case graphs.Pool():
                kernel = node.kernel or tuple(x.shape[2:])
                divisor = DIVISORS[node.kind](kernel[0] * kernel[1])
                return functional.avg_pool2d(x, kernel, node.stride, node.padding, divisor_override=divisor)
            case graphs.AdaptivePool():
                kernel = (x.shape[2] // node.size[0], x.shape[3] // node.size[1])
                return self.node(graphs.Pool(name="", sources=(), kind=node.kind, kernel=kernel, stride=kernel), x)
            case graphs.Flatten():
                return x.flatten(1)[..., None, None]
            case graphs.Neurons():
                return self.neurons(node, x)
            case graphs.Integrator():
                current = node.gain * x + per_channel(node.bias)
                self.membranes[node.name] = node.beta * self.state(self.membranes, node, x) + current
                return self.membranes[node.name]
        raise AssertionError(node)

    def neurons(self, node: graphs.Neurons, x: Tensor) -> Tensor:
        form = node.form
        current = form.gain * x + per_channel(node.bias)
        if form.current_decay is not None:
            current = form.current_decay.beta * self.state(self.currents, node, x) + current
            self.currents[node.name] = current
        unit = form.scale if node.thresholds is None else per_channel(node.thresholds)
        beta = form.decay.beta
        membrane = beta * self.state(self.membranes, node, x) + current
        if form.firing == "nearest":
            spikes = torch.floor(membrane / unit + 0.5).clamp(0, form.burst_ceiling)
        elif form.firing == "reached":
            spikes = (membrane >= unit).double()
        else:
            spikes = (membrane > (beta * unit if form.firing == "exceeded after leak" else unit)).double()
        left = membrane - spikes * unit if form.reset == "soft" else membrane * (spikes == 0)
        self.membranes[node.name] = left
        return form.amplitude * spikes

    def state(self, states: dict[str, Tensor], node: graphs.Node, x: Tensor) -> Tensor:
        return states.get(node.name, torch.zeros_like(x))

    def silence(self, node: graphs.Node) -> Tensor:
        """Zeros of the shape of the population that a node reads late, which is that of its own reader or itself."""
        shapes = {name: value.shape for name, value in self.outputs.items()}
        batch = self.outputs[INPUT].shape[0]
        match node:
            case graphs.Dense():
                return torch.zeros(batch, node.weight.shape[1], 1, 1, dtype=torch.float64)
            case _:
                readers = [one for one in self.graph.nodes if node.name in one.sources]
                others = [name for reader in readers for name in reader.sources if name in shapes]
                return torch.zeros(shapes[others[0]], dtype=torch.float64)


def per_channel(values: Tensor | None) -> Tensor | float:
    return 0.0 if values is None else values.double()[:, None, None]


def run(graph: Graph, inputs: Tensor) -> dict[str, Tensor]:
    """Every node's output at every timestep, (T, batch, C, H, W), for inputs (T, batch, C, H, W)."""
    stepper = Stepper(graph)
    steps = [stepper.step(one) for one in inputs.double()]
    return {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
