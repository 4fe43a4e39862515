"""Reads a model of snnTorch or SpikingJelly: what it computes, from one run on a sample.

Neither framework is imported. The run says which layer reads which; the layers' attributes say what they compute.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from snn.convert.graph import Graph
from snn.convert.modules.builder import build
from snn.convert.modules.neuron_calls import module_called
from snn.convert.modules.outputs import Output
from snn.convert.modules.recording import Recorder, module_names, untouched, unwrapped
from snn.convert.modules.torch_functions import function_called
from snn.convert.modules.trace import Trace
from snn.convert.neurons import TOLERANCE


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """A model that was read.

    Attributes:
        graph: one timestep of the network.
        timesteps: how many the model computes.
        constant: whether every timestep reads the same input; None if one timestep cannot tell.
        time_axis: the sample's axis of timesteps, usually 0 or 1; None for a sample without timesteps.
        output: what the model returns.
    """

    graph: Graph
    timesteps: int
    constant: bool | None
    time_axis: int | None
    output: Output


def read_modules(module: nn.Module, sample: Tensor, *, tolerance: float = TOLERANCE) -> Reading:
    """The network that a model computes, from runs on a sample and on another input of its shape.

    Args:
        module: a model of snnTorch or SpikingJelly; it is run in eval mode from rest, and left as it was.
        sample: what the model takes: (N, C, H, W), (N, features), or these with an axis of timesteps in front or
            behind N.
        tolerance: the largest error of a decay that is not a multiple of 2^-8.

    Raises:
        UserError: the model does something that has no form here; the message names the layer and the way out.
    """
    module = unwrapped(module)
    names = module_names(module)
    check(names)
    parameter = next(module.parameters(), torch.zeros(()))
    sample = sample.detach().to(parameter.device, parameter.dtype, copy=True)
    readings = [read(module, names, one, tolerance) for one in (sample, other(sample))]
    first, second = (reading.graph for reading in readings)
    first.check()
    if not same(first, second):
        raise UserError("the model computes something else for another input; let its structure not depend on values")
    return readings[0]


def read(module: nn.Module, names: dict[nn.Module, str], sample: Tensor, tolerance: float) -> Reading:
    """The network, from one run."""
    recorder = Recorder(names, module_called, function_called)
    trace = recorder.trace
    trace.begin(sample)
    with untouched(module):
        try:
            with recorder.running():
                result = module(sample)
        except UserError:
            raise
        except Exception as error:
            if error is recorder.failure:
                raise
            line = " ".join(str(error).split())
            raise UserError(f"the model does not run on the sample: {type(error).__name__}: {line}") from error
        graph, output, timesteps = build(trace, result, tolerance)
    check_used(names, trace)
    constant = False if trace.time is not None else None if timesteps == 1 else True
    return Reading(graph=graph, timesteps=timesteps, constant=constant, time_axis=trace.time, output=output)


def check(names: dict[nn.Module, str]) -> None:
    """Raise UserError if a module does more than its class says."""
    for module, name in names.items():
        label = f"{name or 'the model'} ({type(module).__name__})"
        if module._forward_hooks or module._forward_pre_hooks:
            raise UserError(
                f"{label}: has a forward hook, which might change what it computes; remove it, as prune.remove does"
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise UserError(f"{label}: is a script; give the module from which it was made")


def check_used(names: dict[nn.Module, str], trace: Trace) -> None:
    """Raise UserError if a parameter of the model is in no node."""
    for owner, name in names.items():
        for parameter, value in owner._parameters.items():
            if value is not None and id(value) not in trace.used:
                raise UserError(
                    f"{name or 'the model'} ({type(owner).__name__}): its {parameter} does not reach what the model "
                    "returns; take it out of the model, or return what it computes"
                )


def other(sample: Tensor) -> Tensor:
    """Another input of the same shape, within the same bounds."""
    generator = torch.Generator().manual_seed(1)
    share = torch.rand(sample.shape, generator=generator, dtype=torch.float64).to(sample)
    low, high = sample.min(), sample.max()
    return low + share * (high - low) if bool(high > low) else share


def same(one: Any, two: Any) -> bool:
    """Whether two graphs are equal, with every number."""
    if isinstance(one, Tensor):
        return torch.equal(one, two)
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(two) and same(list(vars(one).items()), list(vars(two).items()))
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two
