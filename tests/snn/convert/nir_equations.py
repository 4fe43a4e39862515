"""The documented equations of NIR's nodes, one value at a time, in steps of dt.

Written from the docstrings of nir 1.0.8, without any of the algebra of the reader under test.
"""

import math

import numpy as np


def simulate(nodes, edges, order, inputs, *, dt, rule="euler", reset="hard", per_second=False):
    """What every node gives in every timestep, name -> (T, *shape).

    Nodes are computed in ``order``; a node that reads one which comes later, or itself, reads its last timestep.
    """
    state: dict[str, dict] = {}
    given: dict[str, list] = {name: [] for name in order}
    for arriving in inputs:
        for name in order:
            if type(nodes[name]).__name__ == "Input":
                given[name].append(np.array(arriving, dtype=float))
                continue
            values, time = [], len(given[name])
            for source in [source for source, target in edges if target == name]:
                late = order.index(source) >= order.index(name)
                if not late or time > 0:
                    values.append(given[source][time - late])
            x = sum(values) if values else np.zeros(nodes[name].input_type["input"])
            settings = {"dt": dt, "rule": rule, "reset": reset, "per_second": per_second}
            given[name].append(evaluate(nodes[name], x, state.setdefault(name, {}), **settings))
    return {name: np.array(values) for name, values in given.items()}


def evaluate(node, x, state, **settings):
    kind = type(node).__name__
    if kind in ("Affine", "Linear"):
        y = np.array([sum(w * v for w, v in zip(row, x, strict=True)) for row in np.asarray(node.weight, dtype=float)])
        return y + node.bias if kind == "Affine" else y
    if kind == "Conv1d":
        pads = sides(node.padding, node.weight.shape[2:], (node.dilation,))
        rows = windows(x[:, None], node.weight[:, :, None], (1, node.stride), [(0, 0), *pads], (1, node.dilation))
        return correlate(rows, node.weight[:, :, None], node.groups)[:, 0] + node.bias[:, None]
    if kind == "Conv2d":
        pads = sides(node.padding, node.weight.shape[2:], node.dilation)
        rows = windows(x, node.weight, node.stride, pads, node.dilation)
        return correlate(rows, node.weight, node.groups) + node.bias[:, None, None]
    if kind in ("SumPool2d", "AvgPool2d"):
        kernel, stride, padding = (np.broadcast_to(v, 2) for v in (node.kernel_size, node.stride, node.padding))
        shape = np.zeros((1, 1, *kernel))
        summed = windows(x, shape, stride, [(pad, pad) for pad in padding], (1, 1)).sum((-1, -2))
        return summed / (kernel[0] * kernel[1] if kind == "AvgPool2d" else 1)
    if kind == "Flatten":
        return x.reshape(-1)
    if kind == "Scale":
        return x * node.scale
    if kind in ("Output", "Delay"):
        return x
    return neurons(node, kind, x, state, **settings)


def sides(padding, kernel, dilation):
    """Zeros before and behind each axis."""
    if padding == "valid":
        return [(0, 0) for _ in kernel]
    if padding == "same":
        totals = [(size - 1) * gap for size, gap in zip(kernel, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(int(pad), int(pad)) for pad in np.broadcast_to(padding, len(kernel))]


def windows(x, weight, stride, pads, dilation):
    """Every window of an image: (channels, rows, columns, *kernel)."""
    padded = np.pad(x, [(0, 0), *pads])
    reach = [(size - 1) * gap + 1 for size, gap in zip(weight.shape[2:], dilation, strict=True)]
    counts = [(padded.shape[i + 1] - reach[i]) // stride[i] + 1 for i in (0, 1)]
    return np.array(
        [
            [
                [
                    image[
                        r * stride[0] : r * stride[0] + reach[0] : dilation[0],
                        c * stride[1] : c * stride[1] + reach[1] : dilation[1],
                    ]
                    for c in range(counts[1])
                ]
                for r in range(counts[0])
            ]
            for image in padded
        ]
    )


def correlate(rows, weight, groups):
    """Sums of products of windows and weights, channel by channel."""
    outputs, inputs = weight.shape[:2]
    result = []
    for channel in range(outputs):
        first = channel // (outputs // groups) * inputs
        result.append(sum((rows[first + i] * weight[channel, i]).sum((-1, -2)) for i in range(inputs)))
    return np.array(result)


def neurons(node, kind, x, state, *, dt, rule, reset, per_second):
    """One timestep of a population, neuron by neuron."""
    values = {
        name: np.broadcast_to(np.asarray(value, dtype=float), x.shape)
        for name, value in vars(node).items()
        if isinstance(value, np.ndarray)
    }
    out = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        p = {name: float(value[index]) for name, value in values.items()}
        start = p.get("v_reset", 0.0) if reset == "hard" else 0.0
        v, i = state.get(index, (start, 0.0))
        if kind == "Threshold":
            out[index] = float(x[index] >= p["threshold"])
            continue
        arriving = float(x[index])
        if kind.startswith("Cuba"):
            i = approach(i, p["w_in"] * arriving, p["tau_syn"], dt, rule)
            arriving = i
        if kind in ("IF", "I"):
            v = v + p["r"] * arriving * (dt if per_second else 1)
        else:
            tau = p["tau_mem"] if kind.startswith("Cuba") else p["tau"]
            v = approach(v, p["v_leak"] + p["r"] * arriving, tau, dt, rule)
        fired = "v_threshold" in p and v >= p["v_threshold"]
        out[index] = float(fired) if "v_threshold" in p else v
        if fired:
            v = p["v_reset"] if reset == "hard" else v - p["v_threshold"]
        state[index] = (v, i)
    return out


def approach(value, target, tau, dt, rule):
    """A step of ``tau * d value / dt = target - value``."""
    if rule == "euler":
        return value + dt / tau * (target - value)
    return target + (value - target) * math.exp(-dt / tau)
