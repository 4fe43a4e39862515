"""What a graph means: its operations by torch's own functions, one timestep after the other, in float64."""

import torch
from torch.nn import functional

from snn.convert.graph import (
    INPUT,
    AdaptivePool,
    Affine,
    Convolution,
    Dense,
    Flatten,
    Graph,
    Integrator,
    Neurons,
    Node,
    Pool,
)


def originally(values: torch.Tensor, node: Node) -> torch.Tensor:
    """What torch makes of (batch, ...) values."""
    if isinstance(node, Convolution):
        above, below, left, right = node.padding
        padded = functional.pad(values, (left, right, above, below))
        return functional.conv2d(padded, node.weight, node.bias, node.stride, 0, node.dilation, node.groups)
    if isinstance(node, Dense):
        return functional.linear(values, node.weight, node.bias)
    if isinstance(node, Affine):
        shape = (-1, *[1] * (values.dim() - 2))
        return values * node.scale.view(shape) + node.shift.view(shape)
    if isinstance(node, Flatten):
        return values.flatten(1)
    if isinstance(node, AdaptivePool):
        return functional.adaptive_avg_pool2d(values, node.size)
    assert isinstance(node, Pool)
    kernel = node.kernel or tuple(values.shape[2:])
    if node.kind == "max":
        return functional.max_pool2d(values, kernel, node.stride if node.kernel else kernel, node.padding)
    divisor = 1 if node.kind == "sum" else None
    stride = node.stride if node.kernel else kernel
    return functional.avg_pool2d(values, kernel, stride, node.padding, divisor_override=divisor)


class Population:
    """Neurons as their framework describes them: membranes in the framework's units, spikes at a threshold."""

    def __init__(self, node: Neurons | Integrator) -> None:
        self.node = node
        self.membrane = self.current = torch.zeros(1, dtype=torch.float64)
        self.fired = torch.zeros(1, dtype=torch.float64)

    def step(self, arriving: torch.Tensor) -> torch.Tensor:
        """The spikes of a timestep; of an integrator, its membranes."""
        node = self.node
        shape = (-1, *[1] * (arriving.dim() - 2))
        bias = torch.zeros(1) if node.bias is None else node.bias
        if isinstance(node, Integrator):
            self.membrane = node.beta * self.membrane + node.gain * arriving + bias.view(shape)
            return self.membrane
        form = node.form
        arriving = form.gain * arriving + bias.view(shape)
        if form.current_decay is not None:
            arriving = self.current = exact(form.current_decay) * self.current + arriving
        threshold = form.scale * (torch.ones(1) if node.thresholds is None else node.thresholds).view(shape)
        beta = exact(form.decay)
        if form.firing == "exceeded after leak":
            # snnTorch's: the threshold is taken off one step later, behind the leak. form.scale is threshold / beta.
            threshold = threshold * beta
            potential = beta * self.membrane + arriving - self.fired * threshold
            spikes = (potential > threshold).double()
            self.membrane, self.fired = potential, spikes
            return spikes
        potential = beta * self.membrane + arriving
        ratio = potential / threshold
        whole = {
            "nearest": torch.floor(ratio + 0.5),
            "reached": torch.floor(ratio),
            "exceeded": torch.ceil(ratio) - 1,
        }[form.firing]
        spikes = whole.clamp(0, form.burst_ceiling)
        self.membrane = potential - spikes * threshold if form.reset == "soft" else potential * (spikes == 0)
        return spikes


def exact(decay) -> float:
    """The decay that is taken."""
    return decay.leak.multiplier / 2**decay.leak.shift


def run(graph: Graph, frames: torch.Tensor) -> dict[str, torch.Tensor]:
    """What every node gives at every timestep, (T, batch, ...), for float64 frames (T, batch, C, H, W); of neurons the
    number of spikes."""
    populations = {node.name: Population(node) for node in graph.nodes if isinstance(node, Neurons | Integrator)}
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    found: dict[str, list[torch.Tensor]] = {node.name: [] for node in graph.nodes}

    def value(name: str, reader: Node, step: int) -> torch.Tensor | float:
        if name == INPUT:
            frame = frames[step]
            return frame.flatten(1) if isinstance(reader, Dense) and graph.shape[1:] == (1, 1) else frame
        late = places[name] >= places[reader.name]
        node = graph.nodes[places[name]]
        if not late or step:
            return found[name][step - late] * (node.form.amplitude if isinstance(node, Neurons) else 1.0)
        if name in populations:
            return 0.0
        # Before the first timestep nobody has fired, and only a bias is left of what a linear operation gives.
        assert isinstance(node, Dense)
        bias = torch.zeros(len(node.weight)) if node.bias is None else node.bias
        return bias.double()

    for step in range(len(frames)):
        for node in graph.nodes:
            arriving = sum(value(name, node, step) for name in node.sources)
            assert isinstance(arriving, torch.Tensor)
            if node.name in populations:
                found[node.name].append(populations[node.name].step(arriving))
            else:
                found[node.name].append(originally(arriving, node))
    return {name: torch.stack(values) for name, values in found.items()}
