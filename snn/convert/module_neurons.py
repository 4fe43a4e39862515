"""The nodes that a neuron of snnTorch or SpikingJelly becomes."""

import math
from typing import Any

import torch

from qblif.errors import UserError
from snn.convert.graph import Integrator, Neurons, Node
from snn.convert.neuron_calls import Record
from snn.convert.neurons import neuron_form


def neuron_nodes(record: Record, name: str, membrane: bool, tolerance: float) -> list[Node]:
    """The population, and what reads its spikes within the neuron."""
    label = f"{record.name} ({type(record.module).__name__})"
    if membrane:
        return [integrator(record, name, label)]
    try:
        form = neuron_form(record.module, tolerance)
    except UserError as error:
        raise UserError(f"{record.name}: {error}") from error
    return [Neurons(name=name, sources=(), form=form)]


def integrator(record: Record, name: str, label: str) -> Node:
    """The node of a neuron whose membrane is read, which must never fire."""
    module: Any = record.module
    if type(module).__name__ == "Leaky" and module.reset_mechanism == "none":
        beta = float(torch.as_tensor(module.beta).detach().double().clamp(0, 1).flatten()[0])
        return Integrator(name=name, sources=(), beta=beta)
    raise UserError(f"{label}: its membrane is returned, and it resets; {math.inf}")
