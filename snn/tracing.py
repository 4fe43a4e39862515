"""Finding a model's graph by running it once: which layer's bursts lead into which."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from snn.bursts import Bursts, MaxPool2d, SumPool2d
from snn.layers import Layer

Traced = Layer | SumPool2d | MaxPool2d


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call of a layer or pooling: its name in the graph, what it read and what it gave (the readout: logits)."""

    name: str
    module: Traced
    sources: list[Bursts]
    output: Bursts | Tensor


@contextmanager
def traced(model: nn.Module) -> Iterator[list[Step]]:
    """While open, every forward pass of ``model`` appends its steps, in order, to the list that is given."""
    steps: list[Step] = []
    calls: Counter[str] = Counter()
    names = {module: name.replace(".", "_") for name, module in model.named_modules()}

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Bursts | Tensor) -> Bursts | Tensor:
        assert isinstance(module, Traced)
        calls[names[module]] += 1
        name = names[module]
        if calls[name] > 1:
            name = f"{name}_call{calls[name]}"
        if isinstance(output, Bursts):
            output = replace(output, node=name)
        sources = [source for source in inputs if isinstance(source, Bursts)]
        steps.append(Step(name=name, module=module, sources=sources, output=output))
        return output

    handles = [module.register_forward_hook(record) for module in model.modules() if isinstance(module, Traced)]
    try:
        yield steps
    finally:
        for handle in handles:
            handle.remove()
