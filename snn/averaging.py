"""A moving average of a model's weights."""

import copy

import torch
from torch import nn

WARM_UP = 10.0
"""Steps after which the average begins to be as slow as requested."""


class WeightAverage:
    """Follows a model: every floating-point value becomes ``decay`` times itself plus the rest of the model's value.

    The first steps follow faster, with a decay of ``(1 + steps) / (10 + steps)``, so that the start is forgotten.

    Attributes:
        model: a copy of the model with the averaged values.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self._decay, self._steps = copy.deepcopy(model), decay, 0

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Update the average after a step of ``model``."""
        decay = min(self._decay, (1 + self._steps) / (WARM_UP + self._steps))
        self._steps += 1
        for mine, other in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(other, 1 - decay)
            else:
                mine.copy_(other)

    def state(self) -> dict[str, object]:
        """The state that :meth:`restore` needs."""
        return {"model": self.model.state_dict(), "steps": self._steps}

    def restore(self, state: dict[str, object]) -> None:
        """Continue from :meth:`state`; raises TypeError if ``state`` is not one."""
        steps, values = state["steps"], state["model"]
        if type(steps) is not int or not isinstance(values, dict):
            raise TypeError("the average is not a number of steps and a model's state")
        self._steps = steps
        self.model.load_state_dict(values)
