"""The membranes of a model after every timestep, which its forward pass does not keep."""

from typing import Any

import torch
from torch import Tensor, nn

from snn.dynamics import Neuron
from snn.layers import SpikingLayer
from snn.modes import in_mode
from snn.state import Memory


@torch.no_grad()
def membranes(model: nn.Module, samples: Tensor) -> dict[str, Tensor]:
    """V of every population after each timestep, (T, batch, *shape), by the layer's name in the model.

    They are in the units of the layer's form: of its currents, or of s in the integer form.
    """
    calls: dict[Neuron, tuple[Any, ...]] = {}

    def remember(neuron: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        assert isinstance(neuron, Neuron)
        calls[neuron] = (*given, named.get("feedback"))

    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, SpikingLayer)}
    hooks = [layer.neuron.register_forward_pre_hook(remember, with_kwargs=True) for layer in layers.values()]
    try:
        with in_mode(model, training=False):
            model(samples)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: potentials(layer.neuron, *calls[layer.neuron]) for name, layer in layers.items()}


def potentials(neuron: Neuron, current: Tensor, timesteps: int, *rest: Any) -> Tensor:
    """V after each timestep, (T, batch, *shape): the neurons run one timestep at a time, and keep their state."""
    *bits, feedback = rest
    memory, found = Memory(), []
    for step in range(timesteps):
        memory.calls = 0
        arriving = current[min(step, len(current) - 1)].unsqueeze(0)
        neuron(arriving, 1, *bits, feedback=feedback, memory=memory)
        found.append(memory.states[0]["V"])
    return torch.stack(found)
