"""A graph of :mod:`snn.convert.graph` run in float64, one timestep after the other."""

import torch
from torch.nn import functional

from snn.convert.graph import INPUT, Affine, Convolution, Dense, Flatten, Integrator, Neurons, Pool


def run(graph, inputs):
    """What every node gives in every timestep, name -> (T, *shape), of ``inputs``, (T, C, H, W)."""
    states: dict[str, torch.Tensor] = {}
    before: dict[str, torch.Tensor] = {}
    given: dict[str, list] = {node.name: [] for node in graph.nodes}
    for arriving in inputs.double():
        now = {INPUT: arriving}
        for node in graph.nodes:
            # A source without a value yet is one that comes later: its last timestep counts.
            read = [now.get(source, before.get(source)) for source in node.sources]
            shape = next((value.shape for value in read if value is not None), None)
            if shape is None:
                shape = (node.weight.shape[1], 1, 1) if isinstance(node, Dense) else states[node.name].shape
            value = sum((value for value in read if value is not None), torch.zeros(shape).double())
            now[node.name] = step(node, value, states)
            given[node.name].append(now[node.name])
        before = now
    return {name: torch.stack(values) for name, values in given.items()}


def channelwise(values, like):
    """(channels,) or (1,) values that broadcast over (C, H, W)."""
    return values.view(-1, *[1] * (like.dim() - 1))


def step(node, x, states):
    match node:
        case Dense():
            features = node.weight @ x.flatten() + (0 if node.bias is None else node.bias)
            return features.view(-1, 1, 1)
        case Convolution():
            above, below, left, right = node.padding
            padded = functional.pad(x.unsqueeze(0), (left, right, above, below))
            return functional.conv2d(padded, node.weight, node.bias, node.stride, 0, node.dilation, node.groups)[0]
        case Affine():
            return channelwise(node.scale, x) * x + channelwise(node.shift, x)
        case Pool(kernel=(rows, columns)):
            divisor = rows * columns if node.kind == "average" else 1
            pooled = functional.avg_pool2d(x[None], (rows, columns), node.stride, node.padding, divisor_override=1)
            return pooled[0] / divisor
        case Flatten():
            return x.flatten().view(-1, 1, 1)
        case Integrator():
            constant = 0 if node.bias is None else channelwise(node.bias, x)
            states[node.name] = node.beta * states.get(node.name, 0) + node.gain * x + constant
            return states[node.name]
        case Neurons():
            return fire(node, x, states)
    raise TypeError(node)


def fire(node, x, states):
    form = node.form
    membrane, current = states.get(node.name, (torch.zeros_like(x), torch.zeros_like(x)))
    current_decay = 0 if form.current_decay is None else form.current_decay.beta
    constant = 0 if node.bias is None else channelwise(node.bias, x)
    current = current_decay * current + form.gain * x + constant
    membrane = form.decay.beta * membrane + current
    threshold = form.scale if node.thresholds is None else channelwise(node.thresholds, x)
    spikes = (membrane >= threshold if form.firing == "reached" else membrane > threshold).double()
    after = membrane - spikes * threshold if form.reset == "soft" else membrane * (1 - spikes)
    states[node.name] = (after, current)
    return spikes
