"""Finding a model's graph by running it once: which layers read the bursts of which."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from qblif.errors import UserError
from qblif.network.checks import NAME
from qblif.network.nodes import InputSpec, Readout
from snn.bursts import Bursts, Encoder, Flatten, MaxPool2d, SumPool2d
from snn.layers import Layer, ReadoutLayer
from snn.torch_operations import WAY_OUT

READOUT = Readout.name
POOLING = "pooling"
"""Name of a pooling that is a function, not a module."""
Traced = Layer | SumPool2d | MaxPool2d


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a layer or pooling: its name in the graph, its sources and its output (of the readout: logits)."""

    name: str
    module: Traced
    sources: list[Bursts]
    output: Bursts | Tensor


def node_names(model: nn.Module) -> dict[nn.Module, str]:
    """A unique name in the graph for every layer and pooling of ``model``, made of letters, digits and _.

    ``stages.0.conv`` becomes ``stages_0_conv``; a name that would not begin with a letter becomes, say, ``layer_1``.
    """
    names: dict[nn.Module, str] = {}
    taken = {InputSpec.name, READOUT}
    for path, module in model.named_modules():
        if isinstance(module, ReadoutLayer):
            names[module] = READOUT
        elif isinstance(module, Traced):
            name = re.sub(r"[^A-Za-z0-9_]", "_", path)
            names[module] = free_name(name if NAME.fullmatch(name) else f"layer_{name}", taken)
    return names


def free_name(name: str, taken: set[str]) -> str:
    """``name``, with the first number appended that makes it unique if it is ``taken``; the result is added there."""
    tries = (name if number == 1 else f"{name}_{number}" for number in count(1))
    free = next(each for each in tries if each not in taken)
    taken.add(free)
    return free


def sources_of(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> list[Bursts]:
    """The bursts that a module is called with, in the order of its parameters."""
    bound = signature(module.forward).bind(*arguments, **named)
    return [value for value in bound.arguments.values() if isinstance(value, Bursts)]


Given = dict[str, list[tuple[Bursts, Tensor]]]
"""What each node produced, as itself and flattened, with a copy of its counts."""


def unchanged(source: Bursts, given: Given) -> bool:
    """Whether ``source`` is what its node produced, and nothing has changed it since."""
    return any(same(source, one) and torch.equal(source.counts, copy) for one, copy in given.get(source.node, []))


def same(one: Bursts, other: Bursts) -> bool:
    """Whether the counts are the same memory in the same order, and have the same meaning."""
    a, b = one.counts, other.counts
    if (one.ceiling, one.timesteps) != (other.ceiling, other.timesteps):
        return False
    if a is b:
        return True
    if (a.data_ptr(), a.shape[:2]) != (b.data_ptr(), b.shape[:2]):
        return False
    return torch.equal(a.flatten(2), b.flatten(2))


def check_encoder_call(arguments: tuple[Any, ...], named: dict[str, Any], samples: Tensor, *, first: bool) -> None:
    """Raise UserError unless the encoder is called once, with the model's samples."""
    [given] = [*arguments, *named.values()]
    same_memory = given is samples or given.data_ptr() == samples.data_ptr()
    if not (first and same_memory and torch.equal(given.flatten(1), samples.flatten(1))):
        raise UserError(
            "the encoder does not read the model's samples, once and as they are, and no hardware changes them; "
            "prepare the data before the model"
        )


@contextmanager
def traced(model: nn.Module, samples: Tensor) -> Iterator[list[Call]]:
    """While open, a forward pass of ``model`` over ``samples`` appends its steps, in order, to the yielded list.

    A layer that is called several times is a step with its own name each time. The forward pass raises UserError if
    the encoder reads anything but the samples or is called twice, or if a layer reads anything but bursts that the
    encoder, a layer or a pooling produced, at most flattened.
    """
    steps: list[Call] = []
    names = node_names(model)
    taken, called = {InputSpec.name, *names.values()}, set[nn.Module]()
    given: Given = {}

    def record(
        module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Bursts | Tensor
    ) -> Bursts | Tensor | None:
        if isinstance(module, Encoder) and isinstance(output, Bursts):
            check_encoder_call(arguments, named, samples, first=output.node not in given)
            given[output.node] = [(output, output.counts.clone())]
        if isinstance(module, Flatten) and isinstance(output, Bursts):
            source = sources_of(module, arguments, named)[0]
            if unchanged(source, given):
                given[output.node].append((output, output.counts.clone()))
        if not isinstance(module, Traced):
            return None
        # torch's functions on bursts create separate poolings, which are not a part of the model.
        name = names.get(module)
        if name is None or module in called:
            name = free_name(POOLING if name is None else name, taken)
        called.add(module)
        sources = sources_of(module, arguments, named)
        for source in sources:
            if not unchanged(source, given):
                raise UserError(
                    f"{name} does not read what {source.node or 'a layer'} gave, and no hardware does what the model "
                    f"does in between; {WAY_OUT}, and a skip is a layer's second argument"
                )
        if isinstance(output, Bursts):
            output = replace(output, node=name)
            given[name] = [(output, output.counts.clone())]
        steps.append(Call(name=name, module=module, sources=sources, output=output))
        return output

    # A hook's result replaces the output; torch's annotation does not mention it.
    handle = register_module_forward_hook(record, with_kwargs=True)  # type: ignore[arg-type]
    try:
        yield steps
    finally:
        handle.remove()
