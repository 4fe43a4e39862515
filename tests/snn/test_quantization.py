"""The trained model, the checkpoint's integers and the golden model are one function."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold, references
from gen.frontend.origin import read_network
from qblif import golden
from qblif.network.coding import encode
from qblif.network.nodes import InputSpec, Leak
from snn import checkpoint, quantization
from snn.architecture import ModelOptions
from snn.bursts import Encoder, Flatten, MaxPool2d, SumPool2d
from snn.layers import ReadoutLayer, SpikingLayer
from snn.models import make_model
from snn.neuron import QBLIF
from snn.projections import QuantConv2d, QuantLinear
from snn.quantizers import choose_grid, quantize_weights
from tests.reference import scalar_run


class Residual(nn.Module):
    """A network with everything the integer network knows: both poolings, an identity skip, a shortcut convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(InputSpec(shape=(2, 8, 8), coding="direct", bits=3), 3)
        self.stem = SpikingLayer(QuantConv2d(2, 4, 3, padding=1), QBLIF(2))
        self.block = SpikingLayer(QuantConv2d(4, 4, 3, padding=1), QBLIF(2, reset="hard"))
        self.down = SpikingLayer(
            QuantConv2d(4, 6, 3, stride=2, padding=1), QBLIF(3, leak=Leak(multiplier=3, shift=2)),
            shortcut=QuantConv2d(4, 6, 1, stride=2),
        )  # fmt: skip
        self.sum, self.maximum, self.flatten = SumPool2d(2), MaxPool2d(2), Flatten()
        self.readout = ReadoutLayer(QuantLinear(6, 5, batch_norm=False))

    def forward(self, samples: Tensor) -> Tensor:
        stem = self.stem(self.encoder(samples))
        block = self.block(stem, stem)
        down = self.down(block, stem)
        return self.readout(self.flatten(self.sum(self.maximum(down))))


def trained_a_little(model: nn.Module, samples: Tensor, labels: Tensor) -> nn.Module:
    """Float steps, then integer steps, so that statistics, scales and weights have all moved."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(8):
        if step == 4:
            quantization.begin(model, samples)
        model.train()
        loss = nn.functional.cross_entropy(model(samples), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def models():
    yield "mlp", lambda: make_model("mlp", ModelOptions(input_shape=(1, 6, 6), hidden=(20, 12), timesteps=3))
    yield "cnn", lambda: make_model("cnn", ModelOptions(input_shape=(1, 8, 8), channels=(4, 6), hidden=(10,)))
    yield "hard", lambda: make_model("mlp", ModelOptions(input_shape=(1, 6, 6), reset="hard", weight_bits=2))
    yield "residual", Residual
    small: dict[str, Any] = {"input_shape": (1, 8, 8), "timesteps": 2}
    yield "affine", lambda: make_model("mlp", ModelOptions(input_shape=(1, 6, 6), affine=False))
    yield "surrogate", lambda: make_model("mlp", ModelOptions(input_shape=(1, 6, 6), surrogate="triangle"))
    mixed: dict[str, Any] = {"weight_bits": 2, "first_weight_bits": 8}
    yield "first_bits", lambda: make_model("mlp", ModelOptions(input_shape=(1, 6, 6), hidden=(20,), **mixed))
    yield "vgg_small", lambda: make_model("vgg_small", ModelOptions(channels=(4, 6), **small))
    yield "resnet18", lambda: make_model("resnet18", ModelOptions(channels=(4, 6, 6, 8), **small))
    yield "resnet19", lambda: make_model("resnet19", ModelOptions(channels=(4, 6, 8), hidden=(10,), **small))
    yield "resnet20", lambda: make_model("resnet20", ModelOptions(channels=(4, 6, 8), **small))


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in models()])
def test_identical_logits_from_model_and_golden(make, tmp_path):
    torch.manual_seed(3)
    model = make()
    shape = next(module.spec.shape for module in model.modules() if isinstance(module, Encoder))
    samples = torch.randint(0, 256, (64, *shape), dtype=torch.uint8)
    labels = torch.randint(0, 5, (64,))
    trained_a_little(model, samples, labels)
    content = checkpoint.describe(model, samples, labels)
    path = tmp_path / "model.pt"
    checkpoint.save_atomically(content, path)

    loaded = load_checkpoint(path)
    network = fold(loaded)
    known = references(loaded, network)
    result = golden.run(network, encode(samples.numpy(), network.input))
    grid = 2.0 ** int(model.readout.fraction_bits)
    with torch.no_grad():
        assert (model(samples).double() * grid == result.logits.double()).all()
    assert (result.logits[:16].numpy() == known.logits).all()
    assert len(set(result.logits.flatten().tolist())) > 5, "all logits alike would prove nothing"


@pytest.mark.parametrize("threshold", [1.0, 0.75, 0.3, 0.0])
@pytest.mark.parametrize("bits", [1, 2])
def test_every_threshold_has_an_integer_form(threshold, bits, tmp_path):
    """The threshold of LIF neurons is a whole unit; others are rounded to the grid."""
    torch.manual_seed(4)
    options = ModelOptions(input_shape=(1, 6, 6), burst_bits=bits, threshold=threshold)
    model = make_model("mlp", options)
    samples = torch.randint(0, 256, (32, 1, 6, 6), dtype=torch.uint8)
    quantization.begin(model, samples)
    content = checkpoint.describe(model, samples, torch.zeros(32, dtype=torch.long))
    checkpoint.save_atomically(content, tmp_path / "model.pt")
    _, network, _ = read_network(tmp_path / "model.pt")
    [population] = network.populations
    unit = 2**population.fraction_bits
    assert abs(population.rounding_constant - (1 - threshold) * unit) <= (0.5 if threshold else 1)
    result = golden.run(network, encode(samples.numpy(), network.input))
    grid = 2.0**network.readout.fraction_bits
    with torch.no_grad():
        assert (model.eval()(samples).double() * grid == result.logits.double()).all()
    assert (result.bursts[population.name] > 0).any()
    inference = scalar_run(network, encode(samples.numpy(), network.input)[0])
    assert inference.logits == result.logits[0].tolist()


def test_gradients_reach_every_parameter_in_the_integer_form():
    torch.manual_seed(4)
    model = Residual()
    samples, labels = torch.randint(0, 256, (32, 2, 8, 8), dtype=torch.uint8), torch.randint(0, 5, (32,))
    trained_a_little(model, samples, labels)
    model.train()
    model.zero_grad()
    nn.functional.cross_entropy(model(samples), labels).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name


def test_clipped_weights_get_no_gradient():
    scaled = torch.tensor([-20.0, -8.4, 0.3, 7.2, 20.0], requires_grad=True)
    quantized = quantize_weights(scaled, 4)
    assert quantized.tolist() == [-8, -8, 0, 7, 7]
    quantized.sum().backward()
    assert scaled.grad is not None
    assert scaled.grad.tolist() == [0, 0, 1, 0, 0]


def test_each_channel_fills_its_bits():
    folded = torch.randn(6, 50, generator=torch.Generator().manual_seed(1)) * torch.tensor([1, 1, 2, 2, 4, 4]).view(
        6, 1
    )
    fraction_bits, exponent = choose_grid(folded, 4)
    assert exponent.min() == 0
    assert exponent.tolist() == sorted(exponent.tolist())
    quantized = quantize_weights(folded * 2.0**fraction_bits / torch.exp2(exponent).view(6, 1), 4)
    assert (quantized.abs().amax(dim=1) >= 5).all()


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        (3, {"stride": 2, "padding": 1}),
        ((2, 3), {"stride": (1, 2), "padding": (0, 1), "dilation": (2, 1)}),
        (3, {"padding": 2, "dilation": 2, "groups": 4}),
        (1, {"groups": 2}),
    ],
)
def test_exact_convolution_in_evaluation(kernel, options):
    projection = QuantConv2d(4, 8, kernel, **options).eval()
    bursts = torch.randint(0, 8, (2, 4, 4, 9, 9)).float()
    weight = torch.randint(-8, 8, projection.weight.shape).float()
    expected = nn.functional.conv2d(bursts.flatten(0, 1).double(), weight.double(), **options)
    assert torch.allclose(projection.train().apply_weight(bursts, weight).flatten(0, 1).double(), expected)
    projection.eval()
    got = projection.apply_weight(bursts, weight)
    assert (got.flatten(0, 1).double() == expected.round()).all()
    assert np.prod(got.shape) == np.prod(expected.shape)
