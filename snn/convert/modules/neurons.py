"""The nodes that a neuron of snnTorch or SpikingJelly becomes: a population and what reads its own spikes, or an
integrator."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from snn.convert.graph import Affine, Convolution, Dense, Integrator, Neurons, Node
from snn.convert.neurons import READERS, SNNTORCH, Reader, check_state, read_snntorch, reciprocal_tau

RECURRENT = SNNTORCH | {"spk", "all_to_all", "learn_recurrent", "linear_features", "kernel_size", "conv2d_channels"}
RECURRENT |= {"recurrent"}
CLASSES = READERS | {
    ("snntorch", "RLeaky"): (read_snntorch, RECURRENT),
    ("snntorch", "RSynaptic"): (read_snntorch, RECURRENT | {"alpha", "syn"}),
}
"""Neurons that become nodes: those of :func:`snn.convert.neurons.neuron_form`, and those that read their own spikes."""
SILENT = {"NonSpikingIFNode", "NonSpikingLIFNode"}
"""Neurons of SpikingJelly that never fire."""


def fires(module: nn.Module) -> bool:
    """Whether a neuron can send spikes that reset its membrane."""
    never = getattr(module, "reset_mechanism", "") == "none" or getattr(module, "v_threshold", 0) == math.inf
    return not never and type(module).__name__ not in SILENT


def kind_of(module: nn.Module) -> tuple[str, str]:
    """The framework and the class of a neuron."""
    return type(module).__module__.partition(".")[0], type(module).__name__


def known_neurons(framework: str) -> str:
    """The neurons of a framework that can be converted."""
    return ", ".join(name for one, name in CLASSES if one == framework)


def population(module: nn.Module, name: str, shape: tuple[int, ...], tolerance: float) -> list[Node]:
    """The population, and the node that reads its own spikes, if there is one.

    Args:
        module: the neuron, of a class in :data:`CLASSES`.
        name: of the population.
        shape: of its features.
        tolerance: the largest error of its decay.
    """
    label = f"{name} ({type(module).__name__})"
    read, attributes = CLASSES[kind_of(module)]
    recurrent = "recurrent" in attributes
    if recurrent:
        attributes = attributes | ({"padding"} if "padding" in vars(module) else set())
        attributes = attributes | ({"V"} if not vars(module)["all_to_all"] else set())
    thresholds = channel_thresholds(module, shape, label)
    reader = Reader(module=module, label=label, tolerance=tolerance, unit_threshold=thresholds is not None)
    reader.check_attributes(attributes)
    if recurrent and hasattr(module, "alpha"):
        reader.require(bool(module.reset_delay), "snnTorch's reset_delay=False fails here; train with reset_delay=True")
        subtracts = module.reset_mechanism == "subtract"
        reader.require(
            subtracts, "its reset_mechanism is not 'subtract', the only one that is supported; train with it"
        )
    form = read(reader)
    if thresholds is not None:
        thresholds = thresholds * form.scale
        form = replace(form, scale=1.0)
    neurons = Neurons(name=name, sources=(), form=form, thresholds=thresholds)
    return [neurons, *([feedback(module, f"{name}.recurrent", shape, label)] if recurrent else [])]


def channel_thresholds(module: Any, shape: tuple[int, ...], label: str) -> Tensor | None:
    """(channels,) thresholds in float64, or None where all are equal."""
    threshold = getattr(module, "threshold", None)
    if not isinstance(threshold, Tensor) or bool((threshold == threshold.flatten()[:1]).all()):
        return None
    values = per_channel(threshold, shape, f"{label}: threshold")
    if not bool(((values > 0) & values.isfinite()).all()):
        raise UserError(f"{label}: threshold has values that are not finite and above 0; set them to ones that are")
    return values


def per_channel(values: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """Values that neurons of a shape get, as one for each channel, in float64."""
    try:
        spread = values.detach().double().expand(shape).reshape(shape[0], -1)
    except RuntimeError as error:
        raise UserError(f"{name} has the shape {list(values.shape)}, not that of the neurons {list(shape)}") from error
    if not bool((spread == spread[:, :1]).all()):
        raise UserError(f"{name} differs within a channel, which is not supported; take one value for each channel")
    return spread[:, 0].clone()


def feedback(module: Any, name: str, shape: tuple[int, ...], label: str) -> Node:
    """What a recurrent neuron of snnTorch gets from its own spikes of the timestep before."""
    inner = module.recurrent
    kind = type(inner).__name__
    if kind == "RecurrentOneToOne":
        scale = (
            inner.V.detach().double().reshape(1) if inner.V.numel() == 1 else per_channel(inner.V, shape, f"{label}: V")
        )
        return Affine(name=name, sources=(), scale=scale.clone(), shift=torch.zeros_like(scale))
    weight, bias = (
        None if one is None else one.detach().to("cpu", torch.float64, copy=True) for one in (inner.weight, inner.bias)
    )
    assert weight is not None
    if kind == "Linear":
        return Dense(name=name, sources=(), weight=weight, bias=bias)
    plain = kind == "Conv2d" and inner.padding_mode == "zeros" and isinstance(inner.padding, tuple)
    if not plain:
        raise UserError(f"{label}: its recurrent layer {kind} was exchanged; take the one that the neuron makes")
    rows, columns = inner.padding
    return Convolution(
        name=name,
        sources=(),
        weight=weight,
        bias=bias,
        stride=inner.stride,
        padding=(rows, rows, columns, columns),
        dilation=inner.dilation,
        groups=inner.groups,
    )


def integrator(module: Any, name: str, tolerance: float) -> Node:
    """The node of a neuron whose membrane is read; raises UserError if spikes reset it."""
    kind = kind_of(module)
    reader = Reader(module=module, label=f"{name} ({kind[1]})", tolerance=tolerance)
    ways = {
        "snntorch": "take reset_mechanism='none'",
        "spikingjelly": "take v_threshold=float('inf') and v_reset=0.0",
        "snn": "what its last layer computes without it",
    }
    way = ways[kind[0]]
    reader.require(not fires(module), f"its membrane is returned, and its spikes reset it; return spikes, or {way}")
    if kind[1] in SILENT:
        share = 1.0 if kind[1] == "NonSpikingIFNode" else reciprocal_tau(reader)[0]
        return Integrator(name=name, sources=(), gain=share, beta=1.0 if kind[1] == "NonSpikingIFNode" else 1 - share)
    reader.require(kind in CLASSES, "is not a neuron whose membrane can be returned; take Leaky or LIFNode")
    reader.check_attributes(CLASSES[kind][1])
    if kind == ("snntorch", "Leaky"):
        fine = not module.state_quant and getattr(module.state_function, "__name__", "") == "_base_int"
        reader.require(
            fine, "was built with another reset_mechanism than 'none', or quantizes its membrane; build it again"
        )
        return Integrator(name=name, sources=(), beta=min(max(reader.number("beta"), 0.0), 1.0))
    reader.require(
        kind[0] == "spikingjelly" and kind[1] != "ILIFNode",
        "is not a neuron whose membrane can be returned; take Leaky or LIFNode",
    )
    reader.require(module.v_reset == 0, "needs v_reset=0.0, because an infinite threshold is taken off otherwise")
    check_state(reader, 0.0)
    if not hasattr(module, "decay_input"):
        return Integrator(name=name, sources=())
    share = reciprocal_tau(reader)[0]
    return Integrator(name=name, sources=(), gain=share if module.decay_input else 1.0, beta=1 - share)
