"""Functions of PyTorch between layers: arithmetic, layers as functions, and what reads or draws values."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from snn.convert.graph import Affine, Dense
from snn.convert.modules.shape_functions import SHAPES
from snn.convert.modules.terms import ADD, ZERO
from snn.convert.modules.torch_layers import INSTEAD, adapted, convolved, normalized, pooled
from snn.convert.modules.trace import Call, tensors_in
from snn.convert.modules.values import Collected, Traced, joined

Handler = Callable[[Call], None]
READS = re.compile(
    r"item|tolist|numpy|equal|allclose|is_nonzero|__(bool|int|float|index|complex|contains|array|repr|format)__"
)
"""Functions that make a tensor's values known to Python."""
RANDOM = re.compile(
    r"(rand|randn|randint|randperm|bernoulli|poisson|normal|multinomial|uniform|exponential|geometric|random"
    r"|cauchy|log_normal)(_like)?_?"
)
SHAPED = {f"{name}_like" for name in ("zeros", "ones", "full", "empty")} | {
    f"new_{name}" for name in ("zeros", "ones", "full", "empty", "tensor")
}
"""Functions that only take a tensor's shape."""
CODING = "leave the coding out of the model; it is an option of the conversion"


def unchanged(call: Call) -> None:
    """A function that gives the same values."""
    tensor = call.argument(0, "input")
    value = call.trace.read(call, tensor, 0)
    if value is None or not isinstance(call.result, Tensor):
        return
    if call.result.dtype not in (torch.float32, torch.float64):
        raise call.refuse(f"makes the numbers {call.result.dtype}, which rounds them; leave them float32 or float64")
    call.trace.tag(call.result, value)


def dropout(call: Call) -> None:
    """Dropout as a function: nothing, as long as it is not told to train."""
    if call.argument(2, "training", True):
        raise call.refuse("drops values at random also in eval mode; pass training=self.training")
    unchanged(call)


def added(sign: float) -> Handler:
    """``a + b`` or ``a - b``."""

    def add(call: Call) -> None:
        left, right = call.argument(0, "input"), call.argument(1, "other")
        if call.options.get("alpha", 1) != 1:
            raise call.refuse("alpha is not supported; multiply before")
        if call.function in ("__rsub__", "rsub"):
            left, right = right, left
        summed(call, left, right, sign)

    return add


def summed(call: Call, left: Any, right: Any, sign: float) -> None:
    """``left + sign * right``."""
    one, other = (operand(call, value) for value in (left, right))
    if isinstance(other, Traced) and sign < 0:
        other = scaled(call, other, -1.0, 0.0)
    if isinstance(one, Traced) and isinstance(other, Traced):
        finish(call, both(call, one, other))
    elif isinstance(one, Traced):
        finish(call, shifted(call, one, sign * other, False))
    elif isinstance(other, Traced):
        finish(call, shifted(call, other, one, True))


def shifted(call: Call, value: Traced, constant: Any, left: bool) -> Traced:
    """The value with a constant added. Zeros of the same shape may be a state that has no timestep before it."""
    if not is_zero(constant) or call.trace.parameters([*call.arguments, *call.options.values()]):
        return scaled(call, value, 1.0, constant)
    if not isinstance(constant, Tensor) or list(constant.shape) != value.sizes:
        return value
    terms = call.trace.terms
    both = [terms.make(ZERO), value.term] if left else [value.term, terms.make(ZERO)]
    return replace(value, term=terms.make(ADD, both))


def both(call: Call, one: Traced, other: Traced) -> Traced:
    """The sum of two recorded tensors."""
    trace = call.trace
    if one.raw != other.raw:
        counts = (len((other if one.raw else one).shape),)
        one, other = (trace.features(call, value, counts) if value.raw else value for value in (one, other))
    if one.shape != other.shape:
        raise call.refuse(f"adds features of shapes {one.shape} and {other.shape}; give them the same")
    if one.reduction != other.reduction or one.reduction == "max":
        raise call.refuse("adds tensors reduced over time; reduce their sum")
    lead = call.guarded(joined, one.lead, other.lead)
    return replace(one, term=trace.terms.make(ADD, [one.term, other.term]), lead=lead)


def multiplied(call: Call) -> None:
    """``a * b`` where one of them is constant."""
    left, right = operand(call, call.argument(0, "input")), operand(call, call.argument(1, "other"))
    if isinstance(left, Traced) and isinstance(right, Traced):
        raise call.refuse("multiplies two tensors that depend on the input; only constant factors are supported")
    value, factor = (left, right) if isinstance(left, Traced) else (right, left)
    assert isinstance(value, Traced)
    finish(call, scaled(call, value, factor, 0.0))


def divided(call: Call) -> None:
    """``a / b`` where b is constant."""
    left, right = operand(call, call.argument(0, "input")), operand(call, call.argument(1, "other"))
    if not isinstance(left, Traced) or isinstance(right, Traced):
        raise call.refuse("divides by a tensor that depends on the input; only constant divisors are supported")
    if call.options.get("rounding_mode") is not None:
        raise call.refuse("rounds the quotient; divide without rounding_mode")
    finish(call, scaled(call, left, 1.0 / right, 0.0))


def negated(call: Call) -> None:
    """``-a``."""
    value = call.trace.read(call, call.argument(0, "input"), 0)
    assert value is not None
    finish(call, scaled(call, value, -1.0, 0.0))


def operand(call: Call, value: Any) -> Any:
    """A recorded value, or a constant in float64."""
    if not isinstance(value, Tensor):
        return value
    if call.trace.value(value) is not None:
        return call.trace.read(call, value, 0)
    if value is call.result and call.before is not None:
        value = call.before
    return value.detach().double()


def is_zero(value: Any) -> bool:
    """Whether a constant is zero."""
    return not bool(torch.as_tensor(value).any())


def scaled(call: Call, value: Traced, factor: Any, shift: Any) -> Traced:
    """``factor * value + shift`` with constants."""
    plain = is_zero(shift) and torch.as_tensor(factor).numel() == 1
    if value.reduction == "sum" and plain and abs(float(factor) * value.length - 1) < 1e-6:
        return replace(value, reduction="mean")
    factor, shift = (torch.as_tensor(one, dtype=torch.float64) for one in (factor, shift))
    widest = max(factor.dim(), shift.dim())
    single = factor.numel() == shift.numel() == 1
    if value.raw and not single:
        value = call.trace.features(call, value, (min(3, max(widest, len(value.lead) - 1)),))
    scale, offset = (channels(call, value, one, single) for one in (factor, shift))
    parameters = call.trace.parameters([*call.arguments, *call.options.values()])
    operation = call.operation(Affine, parameters, scale=scale, shift=offset)
    return replace(value, term=call.trace.applied(call, value, operation))


def channels(call: Call, value: Traced, constant: Tensor, single: bool) -> Tensor:
    """A constant as one value for each channel, or one for all."""
    if single:
        return constant.reshape(1)
    sizes = [1] * len(value.lead) + list(value.shape)
    try:
        spread = constant.expand(sizes).reshape(value.shape[0], -1)
    except RuntimeError as error:
        raise call.refuse("adds or multiplies by a constant with its own time or batch axis; take one value") from error
    if not bool((spread == spread[:, :1]).all()):
        raise call.refuse("adds or multiplies by a constant that differs within a channel; take one for each channel")
    return spread[:, 0].clone()


def finish(call: Call, value: Traced) -> None:
    """Say what the result is; a function that works in place must not change another recorded tensor."""
    target = call.argument(0, "input")
    if call.result is target and isinstance(target, Tensor):
        whole = target.untyped_storage().nbytes() == target.numel() * target.element_size()
        if not whole or call.trace.sharing(target):
            raise call.refuse("changes a tensor in place that is used elsewhere; make a new one, as in a = a + b")
    if list(call.result.shape) != value.sizes:
        raise call.refuse(f"makes {list(call.result.shape)} of {value.sizes}; give both operands the same axes")
    call.trace.tag(call.result, value)


def stored(call: Call) -> None:
    """``record[step] = value`` in a tensor of zeros."""
    target, index, source = call.arguments
    value = call.trace.read(call, source, 0) if isinstance(source, Tensor) else None
    before = call.trace.value(target)
    indices = index if isinstance(index, tuple) else (index,)
    dimension = sum(one == slice(None) for one in indices)
    fine = (
        isinstance(indices[-1], int)
        and dimension == len(indices) - 1
        and (before is None or isinstance(before, Collected))
    )
    if not fine or not isinstance(value, Traced):
        raise call.refuse("stores into a recorded tensor; collect the timesteps in a list and use torch.stack")
    known = before if isinstance(before, Collected) else Collected(target.shape[dimension], dimension)
    call.trace.tag(target, known)
    step = indices[-1] % known.length
    slot = [length for position, length in enumerate(target.shape) if position != dimension]
    if value.sizes != slot or not target.is_floating_point():
        raise call.refuse(f"stores {value.sizes} in {slot} of {target.dtype}; store floats of the same shape")
    if known.dimension != dimension or step in known.items:
        raise call.refuse("stores a timestep twice; collect the timesteps in a list and use torch.stack")
    known.items[step] = value


def layered(count: int, operation: Callable[[Call], Any]) -> Handler:
    """A layer as a function, of a tensor with so many dimensions of features."""

    def apply(call: Call) -> None:
        trace = call.trace
        value = trace.read(call, call.argument(0, "input"), count)
        if value is None:
            trace.derive(call)
            return
        value = trace.features(call, value, (count,))
        if count > 1 and len(value.lead) > 1:
            raise call.refuse("gets both time and batch, which it takes for channels; let it see one of them")
        term = trace.applied(call, value, operation(call))
        trace.tag(call.result, replace(value, term=term, shape=tuple(call.result.shape[len(value.lead) :])))

    return apply


def linear(call: Call) -> Any:
    """F.linear."""
    return call.operation(Dense, weight=constant(call, 1, "weight"), bias=constant(call, 2, "bias"))


def convolution(call: Call) -> Any:
    """F.conv1d and F.conv2d."""
    names = ("stride", "padding", "dilation", "groups")
    options = [call.argument(position, name, int(name != "padding")) for position, name in enumerate(names, 3)]
    return convolved(call, constant(call, 1, "weight"), constant(call, 2, "bias"), *options)


def constant(call: Call, position: int, name: str) -> Any:
    """A tensor that must not depend on the input."""
    value = call.argument(position, name)
    if call.trace.known(value):
        raise call.refuse(f"{name} depends on the input; only constant weights are supported")
    return value


def normalization(call: Call) -> None:
    """F.batch_norm."""
    value = call.traced(call.argument(0, "input"))
    if call.argument(5, "training", False):
        raise call.refuse("normalizes by the statistics of the batch; pass training=self.training")
    mean, variance, weight, bias = (
        constant(call, position, name)
        for position, name in enumerate(("running_mean", "running_var", "weight", "bias"), 1)
    )
    eps = call.argument(7, "eps", 1e-5)
    count = len(value.shape) if not value.raw else len(value.lead) - 1
    layered(count, lambda inner: normalized(inner, mean, variance, weight, bias, eps))(call)


def pool(kind: str, axes: int) -> Handler:
    """Pooling as a function."""
    names = (
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
        if kind == "average"
        else ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    )

    def operation(call: Call) -> Any:
        found = {name: call.argument(position, name) for position, name in enumerate(names, 1)}
        return pooled(call, kind, axes, **{name: value for name, value in found.items() if value is not None})

    return layered(axes + 1, operation)


def adaptive(kind: str, axes: int) -> Handler:
    """Adaptive pooling as a function."""
    return layered(axes + 1, lambda call: adapted(call, kind, axes, call.argument(0, "input")))


ADDED = added(1.0), added(-1.0)
FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(
        (
            "detach",
            "detach_",
            "clone",
            "contiguous",
            "cpu",
            "cuda",
            "to",
            "float",
            "double",
            "data",
            "requires_grad_",
            "type_as",
        ),
        unchanged,
    ),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"), dropout),
    **dict.fromkeys(("add", "add_", "__add__", "__radd__", "__iadd__"), ADDED[0]),
    **dict.fromkeys(("sub", "sub_", "subtract", "__sub__", "__rsub__", "__isub__", "rsub"), ADDED[1]),
    **dict.fromkeys(("mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"), multiplied),
    **dict.fromkeys(("div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"), divided),
    **dict.fromkeys(("neg", "negative", "__neg__"), negated),
    "__setitem__": stored,
    "linear": layered(1, linear),
    "conv1d": layered(2, convolution),
    "conv2d": layered(3, convolution),
    "batch_norm": normalization,
    **{f"avg_pool{axes}d": pool("average", axes) for axes in (1, 2)},
    **{f"max_pool{axes}d": pool("max", axes) for axes in (1, 2)},
    **{f"adaptive_avg_pool{axes}d": adaptive("average", axes) for axes in (1, 2)},
    **{f"adaptive_max_pool{axes}d": adaptive("max", axes) for axes in (1, 2)},
    **SHAPES,
}
"""For every function: what it means."""


def function_called(call: Call) -> None:
    """Record a call of a function."""
    trace, name = call.trace, call.function
    if RANDOM.fullmatch(name):
        raise call.refuse(f"draws random numbers; {CODING}")
    if not trace.known([call.arguments, call.options]):
        trace.derive(call)
        return
    if name in SHAPED:
        return
    handler = FUNCTIONS.get(name)
    if handler is not None:
        handler(call)
        return
    if READS.fullmatch(name):
        raise call.refuse("lets Python see values, on which the network's structure might depend; leave it out")
    if any(True for _ in tensors_in(call.result)):
        known = {layer.lower(): advice for layer, advice in INSTEAD.items()}
        advice = known.get(name.replace("_", ""), "leave it out, or take layers and sums")
        if coding(sys._getframe()):
            advice = CODING
        raise call.refuse(f"is not supported; {advice}")


def coding(frame: Any) -> bool:
    """Whether the function was called by a framework's coding of inputs."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(("snntorch.spikegen", "spikingjelly.activation_based.encod")):
            return True
        frame = frame.f_back
    return False
