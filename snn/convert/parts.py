"""The snn layers that stand for the parts of a graph."""

import torch
from torch import Tensor, nn

from qblif.errors import UserError
from snn.bursts import Flatten as FlattenBursts
from snn.bursts import MaxPool2d, SumPool2d
from snn.convert.folding import Weights
from snn.convert.graph import Flatten, Neurons, Pool
from snn.convert.neurons import NeuronForm
from snn.neuron import LIF
from snn.projections import QuantConv2d, QuantLinear, QuantProjection


def projection(weights: Weights, bits: int) -> QuantProjection:
    """A projection with these weights, quantized to ``bits``, and this bias."""
    made: QuantProjection
    if weights.dense:
        outputs, inputs = weights.weight.shape
        made = QuantLinear(inputs, outputs, weight_bits=bits, batch_norm=False)
    else:
        weights = weights.even()
        made = QuantConv2d(
            weights.weight.shape[1] * weights.groups,
            len(weights.weight),
            (weights.weight.shape[2], weights.weight.shape[3]),
            stride=weights.stride,
            padding=(weights.padding[0], weights.padding[2]),
            dilation=weights.dilation,
            groups=weights.groups,
            weight_bits=bits,
            batch_norm=False,
        )
    made.double()
    made.weight.data.copy_(weights.weight)
    made.shift.data.copy_(weights.bias)
    return made


def neurons(form: NeuronForm) -> LIF:
    """Neurons of a form, whose threshold is 1."""
    beta = form.decay.leak.multiplier / 2**form.decay.leak.shift
    threshold = {"nearest": 0.5, "exceeded after leak": beta}.get(form.firing, 1.0)
    return LIF(
        levels=form.burst_ceiling,
        leak=form.decay.leak,
        reset=form.reset,
        threshold=threshold,
        fires_at="above" if form.firing.startswith("exceeded") else "threshold",
        current_leak=None if form.current_decay is None else form.current_decay.leak,
    )


def factors(node: Neurons, channels: int) -> tuple[Tensor, Tensor]:
    """What the currents of a population are multiplied by, and what is then added, both (channels,)."""
    ones = torch.ones(channels, dtype=torch.float64)
    thresholds = ones if node.thresholds is None else node.thresholds.double()
    bias = 0 * ones if node.bias is None else node.bias.double()
    for values in (thresholds, bias):
        if len(values) not in (1, channels):
            raise node.refuse(f"has {len(values)} channels, and {channels} arrive")
    unit = node.form.scale * thresholds.expand(channels)
    return node.form.gain / unit, bias.expand(channels) / unit


def stage_of(stage: Pool | Flatten) -> nn.Module:
    """The layer that does to spikes what a node of the graph does; raises UserError."""
    if isinstance(stage, Flatten):
        return FlattenBursts()
    assert stage.kernel is not None
    kind = MaxPool2d if stage.kind == "max" else SumPool2d
    try:
        return kind(stage.kernel, stride=stage.stride, padding=stage.padding)
    except UserError as error:
        raise stage.refuse(str(error)) from error
