"""What layers remember from one piece of a long recording to the next.

A forward pass begins at rest. A :class:`Stateful` model continues where its previous call ended, so that a recording
can be run, or trained with truncated backpropagation through time, piece by piece.
"""

from collections.abc import Callable

from torch import Tensor, nn

from qblif.errors import UserError

State = dict[str, Tensor]
"""The values that a layer keeps between timesteps, (batch, *shape) each, by name: of a population V, J and its bursts
n, of the readout L and its largest value so far. They are in the units of the layer's form, float or integer."""


class Memory:
    """The states of one layer, one for each call of the layer in a forward pass."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.calls = 0

    def before(self) -> State | None:
        """The state in which the next call begins; None for rest."""
        return self.states[self.calls] if self.calls < len(self.states) else None

    def after(self, state: State) -> None:
        """Keep the state in which that call ended."""
        self.states[self.calls : self.calls + 1] = [state]
        self.calls += 1


class Remembering(nn.Module):
    """A layer with states. Its ``memory`` is None, and each call begins at rest, unless a :class:`Stateful` runs it."""

    memory: Memory | None = None


class Stateful:
    """A model that continues where its previous call ended.

    Args:
        model: the model, whose encoder is in ``stream`` mode, so that pieces may have any length.
        call: what runs the model, if that is not the model itself.
    """

    def __init__(self, model: nn.Module, call: Callable[[Tensor], Tensor] | None = None) -> None:
        self.call = model if call is None else call
        self.layers = [layer for layer in model.modules() if isinstance(layer, Remembering)]
        self.reset()

    def reset(self) -> None:
        """Return to rest."""
        self.memories = [Memory() for _ in self.layers]
        self.batch: int | None = None

    def detach(self) -> None:
        """Cut the gradient's way into the past."""
        for memory in self.memories:
            memory.states = [{name: value.detach() for name, value in state.items()} for state in memory.states]

    def __call__(self, samples: Tensor) -> Tensor:
        """The model's result for the next piece of the same recordings; raises UserError if there are other many."""
        if self.batch not in (None, len(samples)):
            raise UserError(f"{len(samples)} recordings cannot continue {self.batch}; reset the model's state first")
        self.batch = len(samples)
        for layer, memory in zip(self.layers, self.memories, strict=True):
            memory.calls, layer.memory = 0, memory
        try:
            return self.call(samples)
        finally:
            for layer in self.layers:
                layer.memory = None
