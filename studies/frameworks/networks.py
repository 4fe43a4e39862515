"""Whole networks of the frameworks against the models that they are converted to, spike by spike."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snn.bursts import Bursts
from snn.convert.assembly import assemble
from snn.convert.comparison import quantized
from snn.convert.graph import Graph, Neurons
from snn.convert.model import Converted
from snn.convert.modules.reader import Reading, read_modules
from snn.convert.modules.recording import untouched
from snn.convert.sources import feed_for
from studies.frameworks.architectures import Model

COUNTS = 4
"""Input spikes per value and timestep, from 0 to one less."""
GRID = 64
"""Weights, biases and normalisations are multiples of 1/64, so that every sum is exact in all arithmetics."""
WEIGHT_BITS = 12


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Spikes of one network, over all neurons, timesteps and samples.

    Attributes:
        decisions: their number; ``fired``: those that were a spike.
        different: those of the converted model, in floats, that are not the framework's.
        different_integers: those of the integers.
    """

    layers: int
    decisions: int
    fired: int
    different: int
    different_integers: int


def on_grid(module: nn.Module) -> nn.Module:
    """The module with numbers that all arithmetics hold exactly; BatchNorm scales by powers of two."""
    part: Any
    with torch.no_grad():
        for one in module.modules():
            part = one
            if isinstance(one, nn.Linear | nn.Conv1d | nn.Conv2d):
                for values in (part.weight, part.bias):
                    if values is not None:
                        values.mul_(GRID).round_().div_(GRID)
            if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d):
                part.eps = 0.0
                part.running_var.log2_().div_(2).round_().mul_(2).exp2_()
                part.weight.log2_().round_().exp2_()
                for values in (part.running_mean, part.bias):
                    values.mul_(GRID).round_().div_(GRID)
    return module


def compare_network(model: Model, decisions: int) -> Outcome:
    """Run a network and its conversion on random counts, until there are so many decisions."""
    module = on_grid(model.module())
    reading = read_modules(module, model.sample())
    total = Outcome(layers=0, decisions=0, fired=0, different=0, different_integers=0)
    generator = torch.Generator().manual_seed(11)
    integers: Converted | None = None
    floats: Converted | None = None
    while total.decisions < decisions:
        samples = [
            torch.randint(0, COUNTS, model.shape, generator=generator).double() for _ in range(model.called or 1)
        ]
        recordings = frames_of(model, reading, samples).transpose(0, 1).to(torch.uint8)
        if floats is None or integers is None:
            feed = feed_for(coding="events", timesteps=recordings.shape[1])
            floats = assemble(reading.graph, feed, weight_bits=WEIGHT_BITS, guard_bits=12)
            integers = quantized(floats, recordings)
        theirs, _ = framework_run(module, reading.graph, samples)
        ours, whole = (converted_spikes(one, recordings, set(theirs)) for one in (floats, integers))
        total = Outcome(
            layers=len(theirs),
            decisions=total.decisions + sum(sent.numel() for sent in theirs.values()),
            fired=total.fired + sum(int((sent > 0).sum()) for sent in theirs.values()),
            different=total.different + sum(int((ours[name] != sent).sum()) for name, sent in theirs.items()),
            different_integers=total.different_integers
            + sum(int((whole[name] != sent).sum()) for name, sent in theirs.items()),
        )
    return total


def frames_of(model: Model, reading: Reading, samples: list[Tensor]) -> Tensor:
    """What the network of a model gets, (T, batch, C, H, W).

    Args:
        model: the model.
        reading: of its module.
        samples: what the module is called with, one after the other.
    """
    if model.called is not None:
        frames = torch.stack(samples)
    elif reading.time_axis is None:
        frames = torch.stack(samples * reading.timesteps)
    else:
        frames = samples[0].movedim(reading.time_axis, 0)
    return frames.reshape(*frames.shape[:2], *reading.graph.shape)


@torch.no_grad()
def framework_run(module: nn.Module, graph: Graph, samples: list[Tensor]) -> tuple[dict[str, Tensor], list[Any]]:
    """What the framework's neurons send, (T, batch, neurons), by the names of the graph, and what the calls return."""
    sent: dict[str, list[Tensor]] = {}
    names = {node.name for node in graph.nodes if isinstance(node, Neurons)}

    def keep(name: str, several: bool) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            spikes = output[0] if isinstance(output, tuple) else output
            sent.setdefault(name, []).extend(spikes.clone() if several else [spikes.clone()])

        return hook

    hooks = [
        one.register_forward_hook(keep(name, getattr(one, "step_mode", "s") == "m"))
        for name, one in module.named_modules()
        if name in names
    ]
    with untouched(module):
        results = [module(sample) for sample in samples]
    for hook in hooks:
        hook.remove()
    assert set(sent) == names
    return {name: torch.stack(steps).flatten(2) for name, steps in sent.items()}, results


@torch.no_grad()
def converted_spikes(model: Converted, recordings: Tensor, names: set[str]) -> dict[str, Tensor]:
    """What the populations of a converted model send, (T, batch, neurons)."""
    values = model.eval().run(recordings)
    sent = {name: value.counts for name, value in values.items() if isinstance(value, Bursts)}
    return {name: counts.flatten(2) for name, counts in sent.items() if name in names}
