"""Layers of PyTorch, and SpikingJelly's versions of them, as operations."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from snn.convert.graph import AdaptivePool, Affine, Convolution, Dense, Pool
from snn.convert.modules.terms import Operation
from snn.convert.modules.trace import Call
from snn.convert.modules.values import Traced, merged

Layer = Callable[[Call], list[Operation]]


def linear(call: Call) -> list[Operation]:
    """Linear."""
    module: Any = call.module
    return [call.operation(Dense, weight=module.weight, bias=module.bias)]


def convolution(call: Call) -> list[Operation]:
    """Conv1d and Conv2d."""
    module: Any = call.module
    if module.padding_mode != "zeros":
        raise call.refuse(f"padding_mode {module.padding_mode!r} is not supported; train with 'zeros'")
    return [convolved(call, module.weight, module.bias, module.stride, module.padding, module.dilation, module.groups)]


def convolved(
    call: Call, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Operation:
    """A convolution over one or two axes, as its function gets it."""
    axes = weight.dim() - 2
    steps, holes = spread(stride, axes), spread(dilation, axes)
    if isinstance(padding, str):
        totals = [hole * (length - 1) for hole, length in zip(holes, weight.shape[2:], strict=True)]
        edges = [(total // 2, total - total // 2) if padding == "same" else (0, 0) for total in totals]
    else:
        edges = [(one, one) for one in spread(padding, axes)]
    sides = [(0, 0)] * (2 - axes) + edges
    return call.operation(
        Convolution,
        weight=weight,
        bias=bias,
        stride=pair(steps, 1),
        padding=(*sides[0], *sides[1]),
        dilation=pair(holes, 1),
        groups=groups,
    )


def normalization(call: Call) -> list[Operation]:
    """Batch normalisation with the statistics of training."""
    module: Any = call.module
    if module.running_mean is None or module.running_var is None:
        raise call.refuse("has no running statistics; train with track_running_stats=True")
    return [
        normalized(call, module.running_mean, module.running_var, module.weight, module.bias, module.eps),
    ]


def normalized(
    call: Call, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Operation:
    """Batch normalisation in float64."""
    scale = 1 / torch.sqrt(variance.detach().double() + eps)
    if weight is not None:
        scale = scale * weight.detach().double()
    shift = -mean.detach().double() * scale
    if bias is not None:
        shift = shift + bias.detach().double()
    return call.operation(Affine, call.trace.parameters([weight, bias]), scale=scale, shift=shift)


def pooling(kind: str, axes: int) -> Layer:
    """AvgPool and MaxPool."""

    def pool(call: Call) -> list[Operation]:
        module: Any = call.module
        return [pooled(call, kind, axes, **{name: getattr(module, name, None) for name in POOL_OPTIONS})]

    return pool


POOL_OPTIONS = (
    *("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    *("return_indices", "count_include_pad", "divisor_override"),
)


def pooled(
    call: Call,
    kind: str,
    axes: int,
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = None,
    ceil_mode: Any = False,
    return_indices: Any = False,
    count_include_pad: Any = None,
    divisor_override: Any = None,
) -> Operation:
    """Pooling, with the options that PyTorch has for it; None where it has none."""
    kernel, edges = spread(kernel_size, axes), spread(padding, axes)
    steps = kernel if stride is None or stride == [] else spread(stride, axes)
    if ceil_mode:
        raise call.refuse(
            "ceil_mode=True is not supported; pad or crop the image so that the windows fit, and set False"
        )
    if return_indices:
        raise call.refuse("return_indices=True is not supported; set it to False")
    if dilation is not None and any(one != 1 for one in spread(dilation, axes)):
        raise call.refuse("a dilation other than 1 is not supported; pool without it")
    if count_include_pad is False and any(edges):
        raise call.refuse("padding with count_include_pad=False divides by another number at the edges; set it to True")
    if divisor_override is not None:
        raise call.refuse("divisor_override is not supported; divide by the kernel's size")
    return call.operation(Pool, kind=kind, kernel=pair(kernel, 1), stride=pair(steps, 1), padding=pair(edges, 0))


def adaptive(kind: str, axes: int) -> Layer:
    """AdaptiveAvgPool and AdaptiveMaxPool."""

    def pool(call: Call) -> list[Operation]:
        if getattr(call.module, "return_indices", False):
            raise call.refuse("return_indices=True is not supported; set it to False")
        return [adapted(call, kind, axes, call.argument(0, "input", call.options.get("x")))]

    return pool


def adapted(call: Call, kind: str, axes: int, tensor: Tensor) -> Operation:
    """Pooling to the size of the result."""
    before, after = tensor.shape[-axes:], call.result.shape[-axes:]
    if any(one % other for one, other in zip(before, after, strict=True)):
        raise call.refuse(
            f"pools {tuple(before)} to {tuple(after)} by windows of different sizes; take sizes that divide"
        )
    return call.operation(AdaptivePool, kind=kind, size=pair(tuple(after), 1))


def voting(call: Call) -> list[Operation]:
    """SpikingJelly's VotingLayer: the mean of each class's outputs."""
    module: Any = call.module
    classes = call.result.shape[-1]
    weight = torch.eye(classes, dtype=torch.float64).repeat_interleave(module.voting_size, 1) / module.voting_size
    return [call.operation(Dense, weight=weight, bias=None)]


def spread(value: Any, axes: int) -> tuple[int, ...]:
    """One number for each axis."""
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    return tuple(int(one) for one in (values * axes if len(values) == 1 else values))


def pair(values: tuple[int, ...], row: int) -> tuple[int, int]:
    """Rows and columns; ``row`` where there is only one axis."""
    return (row, values[0]) if len(values) == 1 else (values[0], values[1])


ANY: tuple[int, ...] = ()
LAYERS: dict[str, tuple[Layer | None, tuple[int, ...]]] = {
    "Linear": (linear, (1,)),
    "Conv1d": (convolution, (2,)),
    "Conv2d": (convolution, (3,)),
    "BatchNorm1d": (normalization, (1, 2)),
    "BatchNorm2d": (normalization, (3,)),
    "SyncBatchNorm": (normalization, (1, 2, 3)),
    "AvgPool1d": (pooling("average", 1), (2,)),
    "AvgPool2d": (pooling("average", 2), (3,)),
    "MaxPool1d": (pooling("max", 1), (2,)),
    "MaxPool2d": (pooling("max", 2), (3,)),
    "AdaptiveAvgPool1d": (adaptive("average", 1), (2,)),
    "AdaptiveAvgPool2d": (adaptive("average", 2), (3,)),
    "AdaptiveMaxPool1d": (adaptive("max", 1), (2,)),
    "AdaptiveMaxPool2d": (adaptive("max", 2), (3,)),
    "VotingLayer": (voting, (1,)),
    **dict.fromkeys(
        ("Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
        (None, ANY),
    ),
}
"""For every class of layer: its operations, and how many dimensions of features it reads; None and any number
for those that do nothing in eval mode."""
EVERYWHERE = {"Linear"}
"""Layers that read the last dimension, whatever stands before it."""
INSTEAD = {
    **dict.fromkeys(
        ("ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Hardtanh", "Softplus"),
        "take a spiking neuron in its place",
    ),
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "Softmin"), "leave it out, and apply it to what the model returns if you need it"
    ),
    **dict.fromkeys(
        ("LayerNorm", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "RMSNorm", "LocalResponseNorm"),
        "its statistics differ from input to input; train with BatchNorm",
    ),
    **dict.fromkeys(
        ("ConvTranspose1d", "ConvTranspose2d", "Upsample"), "take convolutions with a stride; nothing enlarges images"
    ),
    **dict.fromkeys(("GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"), "take snnTorch's RLeaky or RSynaptic"),
    **dict.fromkeys(("Conv3d", "AvgPool3d", "MaxPool3d", "BatchNorm3d"), "take layers of one or two axes"),
    **dict.fromkeys(
        ("PoissonEncoder", "LatencyEncoder", "PeriodicEncoder", "WeightedPhaseEncoder"),
        "leave the coding out of the model; it is an option of the conversion",
    ),
}
"""What to do about classes that are not supported."""


def layer_called(call: Call) -> None:
    """Record a call of a layer that is not a neuron."""
    module, trace = call.module, call.trace
    kind = type(module).__name__
    tensor = call.argument(0, "input", call.options.get("x"))
    if kind != "Flatten" and kind not in LAYERS:
        raise call.refuse(f"is not supported; {INSTEAD.get(kind, 'take one of ' + ', '.join(sorted(LAYERS)))}")
    read, counts = LAYERS.get(kind, (None, ANY))
    value = trace.read(call, tensor, counts[0] if counts else 1)
    if value is None:
        trace.derive(call, tuple(module.parameters()) if module else ())
        return
    several = multi_step(module) and kind not in EVERYWHERE
    lead = value.lead
    if several:
        if len(value.lead) < 2:
            raise call.refuse("works on sequences; give it (T, N, ...), or set its step_mode to 's'")
        value = call.guarded(merged, value)
    if kind == "Flatten":
        value = flat(call, value, module)
    elif read is not None:
        value = trace.features(call, value, counts)
        if kind not in EVERYWHERE and len(value.lead) > 1:
            raise call.refuse("gets both time and batch, which it takes for channels; let it see one of them")
        term = trace.applied(call, value, *read(call))
        value = replace(value, term=term, shape=tuple(call.result.shape[2 if several else len(value.lead) :]))
    if several:
        value = replace(value, lead=(*lead[:2], *value.lead[1:]))
    trace.tag(call.result, value)


def multi_step(module: Any) -> bool:
    """Whether a module of SpikingJelly works on sequences."""
    return getattr(module, "step_mode", "s") == "m"


def flat(call: Call, value: Traced, module: Any) -> Traced:
    """What Flatten makes of a value."""
    sizes = value.sizes
    first, last = module.start_dim % len(sizes), module.end_dim % len(sizes)
    size = math.prod(sizes[first : last + 1])
    return call.trace.reshaped(call, value, [*sizes[:first], size, *sizes[last + 1 :]])
