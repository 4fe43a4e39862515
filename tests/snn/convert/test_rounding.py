"""Weights that are rounded so that the errors of a neuron's currents are small."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from qblif.network.nodes import InputSpec, Leak
from snn.bursts import Encoder, Flatten
from snn.convert.assembly import Feed, assemble
from snn.convert.comparison import quantized
from snn.convert.graph import INPUT, Dense, Graph, Neurons
from snn.convert.model import Call, Converted
from snn.convert.neurons import Decay, NeuronForm
from snn.convert.rounding import compensate, moments_of, remembered
from snn.layers import ReadoutLayer, SpikingLayer
from snn.neuron import LIF
from snn.projections import QuantConv2d, QuantLinear

INPUTS, SAMPLES, STEPS = 12, 400, 3


def model_of(weight):
    """Neurons that leak by 1/2 behind a dense layer."""
    form = NeuronForm(scale=1.0, firing="reached", reset="soft", decay=Decay(beta=0.5, leak=Leak()))
    nodes = (Dense(name="fc", sources=(INPUT,), weight=weight), Neurons(name="lif", sources=("fc",), form=form))
    graph = Graph(nodes=nodes, shape=(INPUTS, 1, 1), output="lif", notes=())
    return assemble(graph, Feed(coding="events", bits=2, timesteps=STEPS), weight_bits=3, guard_bits=4)


def samples_of(active):
    """Spikes of inputs that go together in threes; ``active`` of them."""
    torch.manual_seed(4)
    groups = torch.randint(0, 4, (SAMPLES, STEPS, active // 3)).repeat_interleave(3, 2)
    flips = torch.randint(0, 2, (SAMPLES, STEPS, active)) * (torch.rand(SAMPLES, STEPS, active) < 0.2)
    spikes = torch.zeros(SAMPLES, STEPS, INPUTS, 1, 1, dtype=torch.uint8)
    spikes[:, :, :active, 0, 0] = (groups - flips).clamp_min(0).to(torch.uint8)
    return spikes


def integers_of(model):
    layer = model.layer("lif")
    step = torch.exp2(layer.exponent.double())[:, None] * layer.resolution
    return layer.projections[0].weight.detach() / step


def membranes(weight, samples):
    """Of neurons that never fire, at every timestep, (T, samples, neurons)."""
    total, steps = 0.0, []
    for step in range(STEPS):
        total = 0.5 * total + samples[:, step, :, 0, 0].double() @ weight.T
        steps.append(total)
    return torch.stack(steps)


def test_membranes_are_nearer_than_with_the_nearest_weights():
    torch.manual_seed(3)
    weight, samples = torch.randn(8, INPUTS, dtype=torch.float64), samples_of(INPUTS)
    nearest = quantized(model_of(weight), samples)
    step = torch.exp2(nearest.layer("lif").exponent.double())[:, None] * nearest.layer("lif").resolution
    plain = torch.floor(weight / step + 0.5).clamp(-4, 3) * step
    compensate(nearest, samples)
    whole, found = integers_of(nearest), nearest.layer("lif").projections[0].weight.detach()
    assert torch.equal(whole, whole.round())
    assert whole.min() >= -4
    assert whole.max() <= 3
    wanted = membranes(weight, samples)
    before, after = ((membranes(weights, samples) - wanted).square().sum().item() for weights in (plain, found))
    assert after < 0.5 * before


def test_weights_on_the_grid_stay():
    torch.manual_seed(5)
    weight, samples = torch.randint(-4, 4, (8, INPUTS)).double() / 4, samples_of(INPUTS)
    weight[0] = 0
    model = quantized(model_of(weight), samples)
    compensate(model, samples)
    assert torch.equal(model.layer("lif").projections[0].weight.detach(), weight)


def test_inputs_that_are_never_active_change_nothing():
    torch.manual_seed(6)
    weight, samples = torch.randn(8, INPUTS, dtype=torch.float64), samples_of(6)
    model = quantized(model_of(weight), samples)
    compensate(model, samples)
    step = torch.exp2(model.layer("lif").exponent.double())[:, None] * model.layer("lif").resolution
    expected = torch.floor(weight / step + 0.5).clamp(-4, 3)
    assert torch.equal(integers_of(model)[:, 6:], expected[:, 6:])
    assert not torch.equal(integers_of(model)[:, :6], expected[:, :6])


def test_too_few_samples_change_nothing():
    torch.manual_seed(7)
    weight, samples = torch.randn(8, INPUTS, dtype=torch.float64), samples_of(INPUTS)[: INPUTS - 1]
    model = quantized(model_of(weight), samples)
    compensate(model, samples)
    assert torch.equal(model.layer("lif").projections[0].weight.detach(), weight)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_moments_give_the_squares_of_a_convolution_s_currents(groups):
    torch.manual_seed(8)
    projection = QuantConv2d(4, 4, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), groups=groups, batch_norm=False)
    inputs = torch.randint(0, 4, (3, 9, 4, 7, 6)).double()
    moments = moments_of(projection, inputs)
    weight = torch.randn(4, 4 // groups, 3, 2, dtype=torch.float64)
    currents = functional.conv2d(inputs.flatten(0, 1), weight, stride=(2, 1), padding=1, dilation=(1, 2), groups=groups)
    rows = weight.flatten(1).unflatten(0, (groups, -1))
    squares = torch.einsum("gci,gij,gcj->gc", rows, moments, rows).flatten()
    torch.testing.assert_close(squares, currents.square().sum((0, 2, 3)))


def test_a_membrane_remembers_what_its_leak_leaves():
    counts = torch.tensor([1.0, 0.0, 2.0, 0.0])[:, None]
    assert remembered(counts, Leak(multiplier=3, shift=2))[:, 0].tolist() == [1.0, 0.75, 2.5625, 1.921875]


def test_shortcuts_and_readouts():
    torch.manual_seed(9)
    layers: dict[str, Any] = {
        "first": SpikingLayer(QuantConv2d(1, 2, 3, padding=1, weight_bits=3, batch_norm=False), LIF()),
        "second": SpikingLayer(
            QuantConv2d(2, 2, 3, padding=1, weight_bits=3, batch_norm=False),
            LIF(),
            shortcut=QuantConv2d(2, 2, 1, weight_bits=3, batch_norm=False),
        ),
        "flat": Flatten(),
        "readout": ReadoutLayer(QuantLinear(2 * 36, 5, weight_bits=3, batch_norm=False)),
    }
    sources = {"first": (INPUT,), "second": ("first", "first"), "flat": ("second",), "readout": ("flat",)}
    encoder = Encoder(InputSpec(shape=(1, 6, 6), coding="direct", bits=8), 4)
    calls = [Call(name=name, module=module, sources=sources[name]) for name, module in layers.items()]
    for name in ("first", "second"):
        for projection in layers[name].projections:
            projection.weight.data = 4 * projection.weight.data.abs()
    samples = torch.randint(0, 256, (200, 1, 6, 6), dtype=torch.uint8)
    model = quantized(Converted(encoder, calls).eval(), samples)
    logits = model(samples)
    compensate(model, samples)
    for name in ("first", "second", "readout"):
        layer: Any = model.layer(name)
        for projection in layer.projections:
            steps = projection.weight / (torch.exp2(layer.exponent_of(projection)) * layer.resolution)
            if name == "first":
                steps = steps / 255  # the input's scale is folded into its weights
            torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-4)
    assert not torch.equal(model(samples), logits)
