"""Models as people write them in PyTorch: containers, torch's own modules, and layers that are called twice."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold, references
from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.nodes import InputSpec
from snn import checkpoint, quantization
from snn.bursts import Encoder, Flatten, MaxPool2d, SumPool2d
from snn.layers import ReadoutLayer, SpikingLayer
from snn.neuron import QBLIF
from snn.projections import QuantConv2d, QuantLinear, QuantProjection


def encoder(coding="direct", timesteps=2):
    return Encoder(InputSpec(shape=(1, 8, 8), coding=coding, bits=2), timesteps)


def conv(inputs=1, outputs=3):
    return SpikingLayer(QuantConv2d(inputs, outputs, 3, padding=1), QBLIF(2))


@pytest.fixture(autouse=True)
def seeded():
    """Models are drawn alike, whichever tests ran before."""
    torch.manual_seed(0)


def head(inputs, classes=4):
    return ReadoutLayer(QuantLinear(inputs, classes, batch_norm=False))


def samples_for(model, count=24):
    first = next(module for module in model.modules() if isinstance(module, Encoder))
    if first.spec.coding == "direct":
        return torch.randint(0, 256, (count, *first.spec.shape), dtype=torch.uint8)
    rare = torch.rand(count, first.timesteps, *first.spec.shape) < 0.1
    return rare * torch.randint(1, 4, rare.shape, dtype=torch.uint8)


def written(model, tmp_path):
    """Train a little, write, read back; holds the golden model against the trained one and returns the network."""
    torch.manual_seed(6)
    samples = samples_for(model)
    labels = torch.randint(0, 4, (len(samples),))
    for projection in (module for module in model.modules() if isinstance(module, QuantProjection)):
        projection.momentum = 0.5  # statistics that follow in a few steps
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(6):
        if step == 3:
            quantization.begin(model, samples)
        model.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(samples), labels).backward()
        optimizer.step()
    checkpoint.save_atomically(checkpoint.describe(model, samples, labels), tmp_path / "model.pt")
    loaded = load_checkpoint(tmp_path / "model.pt")
    network = fold(loaded)
    ran = golden.run(network, encode(samples.numpy(), network.input))
    readout = next(module for module in model.modules() if isinstance(module, ReadoutLayer))
    with torch.no_grad():
        ours = model.eval()(samples).double() * 2.0 ** int(readout.fraction_bits)
    assert (ours == ran.logits.double()).all()
    assert (references(loaded, network).logits == ran.logits[:16].numpy()).all()
    assert len(set(ran.logits.flatten().tolist())) > 5, "all logits alike would prove nothing"
    planes = {
        node: sum(np.bitwise_count(bursts.numpy().astype(np.uint64)).sum((2, 3, 4)).astype(int)) / len(samples)
        for node, bursts in ran.bursts.items()
        if any(projection.source == node for projection in network.projections)
    }
    assert all(np.allclose(loaded.activity[node], steps) for node, steps in planes.items()), "activity is measured"
    return network


def test_a_sequential_model_becomes_hardware(tmp_path):
    model = nn.Sequential(encoder(), conv(), Flatten(), head(3 * 64))
    network = written(model, tmp_path)
    assert [node.name for node in network.nodes] == ["layer_1"]


def test_an_event_network_knows_how_rare_its_events_are(tmp_path):
    model = nn.Sequential(encoder("events", 3), conv(), nn.AvgPool2d(2), nn.Flatten(), head(3 * 16))
    written(model, tmp_path)
    activity = load_checkpoint(tmp_path / "model.pt").activity
    assert {node: len(steps) for node, steps in activity.items()} == {"input": 3, "layer_1": 3, "pooling": 3}
    assert 0 < max(activity["input"]) < 0.2 * 2 * 64


def test_the_activity_is_of_the_samples_that_are_named():
    front = encoder()
    model = nn.Sequential(front, nn.Flatten(), head(64))
    samples, labels = samples_for(model), torch.zeros(24, dtype=torch.long)
    for counted, expected in ((None, samples), (samples[:5], samples[:5])):
        planes = np.bitwise_count(encode(expected.numpy(), front.spec).astype(np.uint64)).sum() / len(expected)
        assert checkpoint.describe(model, samples, labels, counted)["activity"]["input"] == [pytest.approx(planes)]


def test_every_kind_of_window_from_training_to_the_network(tmp_path):
    """Grouped, depthwise, dilated and rectangular convolutions, and a pooling that overlaps."""

    def spiking(*arguments, **options):
        return SpikingLayer(QuantConv2d(*arguments, **options), QBLIF(2))

    model = nn.Sequential(
        encoder(),
        spiking(1, 6, (3, 1), stride=(1, 2), padding=(1, 0)),
        spiking(6, 6, 3, padding=(2, 1), dilation=(2, 1), groups=6),
        MaxPool2d(3, stride=1, padding=1),
        spiking(6, 4, 1, groups=2),
        SumPool2d((2, 3), stride=2),
        Flatten(),
        head(16),
    )
    network = written(model, tmp_path)
    first, depthwise, pointwise, _ = network.projections
    assert (first.stride, first.padding, first.weights.shape) == ((1, 2), (1, 0), (6, 1, 3, 1))
    assert (depthwise.dilation, depthwise.groups, depthwise.padding) == ((2, 1), 6, (2, 1))
    assert (pointwise.groups, pointwise.weights.shape) == (2, (4, 3, 1, 1))
    poolings = [node for node in network.nodes if hasattr(node, "kernel")]
    assert [(node.kernel, node.stride, node.padding) for node in poolings] == [(3, 1, 1), ((2, 3), 2, 0)]


class Tricky(nn.Module):
    """Attributes whose names are not names, are taken, or become the same."""

    def __init__(self):
        super().__init__()
        self.coding = encoder()
        self.input, self._first, self.readout = conv(), conv(3), conv(3)
        self.größe = nn.ModuleDict({"a b": conv(3), "a-b": conv(3), "a_b": conv(3)})
        self.flatten, self.last = Flatten(), head(3 * 64)

    def forward(self, samples):
        bursts = self.coding(samples)
        for layer in (self.input, self._first, self.readout, *self.größe.values()):
            bursts = layer(bursts)
        return self.last(self.flatten(bursts))


def test_every_layer_gets_a_name_of_its_own(tmp_path):
    names = [node.name for node in written(Tricky(), tmp_path).nodes]
    assert len(set(names)) == 6
    assert not {"input", "readout"} & set(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in names)


SAME: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "flatten": (nn.Flatten, Flatten),
    "identity": (lambda: nn.Sequential(nn.Identity(), nn.Flatten()), Flatten),
    "dropout": (lambda: nn.Sequential(nn.Dropout(0.3), nn.Dropout2d(0.3), nn.Flatten()), Flatten),
    "avg_pool": (lambda: nn.Sequential(nn.AvgPool2d(2), nn.Flatten()), lambda: nn.Sequential(SumPool2d(2), Flatten())),
    "max_pool": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.Flatten()), lambda: nn.Sequential(MaxPool2d(2), Flatten())),
    "adaptive": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()),
        lambda: nn.Sequential(SumPool2d(4), Flatten()),
    ),
    "adaptive_max": (
        lambda: nn.Sequential(nn.AvgPool2d((1, 1)), nn.AdaptiveMaxPool2d((4, 4)), nn.Flatten()),
        lambda: nn.Sequential(MaxPool2d(2), Flatten()),
    ),
    "adaptive_one": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d((8, None)), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        lambda: nn.Sequential(SumPool2d(8), Flatten()),
    ),
    "avg_pool_that_overlaps": (
        lambda: nn.Sequential(nn.AvgPool2d(3, stride=2, padding=1), nn.Flatten()),
        lambda: nn.Sequential(SumPool2d(3, stride=2, padding=1), Flatten()),
    ),
    "max_pool_that_overlaps": (
        lambda: nn.Sequential(nn.MaxPool2d((3, 2), (1, 2), (1, 0)), nn.Flatten()),
        lambda: nn.Sequential(MaxPool2d((3, 2), stride=(1, 2), padding=(1, 0)), Flatten()),
    ),
    "avg_pool_of_columns": (
        lambda: nn.Sequential(nn.AvgPool2d((2, 1)), nn.Flatten()),
        lambda: nn.Sequential(SumPool2d((2, 1)), Flatten()),
    ),
    "adaptive_to_other_rows_than_columns": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d((2, 4)), nn.Flatten()),
        lambda: nn.Sequential(SumPool2d((4, 2)), Flatten()),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_torchs_own_modules_that_are_exact(name, tmp_path):
    """Each gives the network that our own module gives, and means to floats what torch means by it."""
    theirs, ours = (make() for make in SAME[name])
    torch.manual_seed(5)
    front = nn.Sequential(encoder(), conv()).eval()
    inputs = front(samples_for(front))
    given, expected = theirs.eval()(inputs), ours.eval()(inputs)
    assert (given.counts == expected.counts).all()
    assert (given.scale, given.ceiling) == (expected.scale, expected.ceiling)
    plain = theirs(inputs.counts.flatten(0, 1) * inputs.scale)
    assert torch.allclose((given.counts * given.scale).flatten(0, 1), plain, atol=1e-6)
    network = written(nn.Sequential(*front, theirs, head(given.counts[0, 0].numel())), tmp_path)
    assert len(network.nodes) == 1 + ("pool" in name or "adaptive" in name)


class Functional(nn.Module):
    """torch's functions where others have modules."""

    def __init__(self):
        super().__init__()
        self.encoder, self.first, self.second, self.readout = encoder(), conv(), conv(3), head(3 * 4)

    def forward(self, samples):
        functional = nn.functional
        bursts = functional.max_pool2d(self.first(self.encoder(samples)), 2)
        bursts = functional.avg_pool2d(self.second(bursts), kernel_size=2, stride=2)
        bursts = functional.dropout(bursts, 0.2, training=self.training)
        return self.readout(torch.flatten(bursts, 1))


def test_torchs_functions_that_are_exact(tmp_path):
    network = written(Functional(), tmp_path)
    assert [node.kind for node in network.nodes if hasattr(node, "kind")] == ["max", "sum"]


REFUSED = {
    "QuantLinear and QuantConv2d have BatchNorm": lambda: nn.BatchNorm2d(3),
    "SpikingLayer(QuantConv2d": lambda: nn.Conv2d(3, 3, 3),
    "SpikingLayer(QuantLinear": lambda: nn.Linear(8, 8),
    "ceil_mode has no hardware; take SumPool2d(kernel": lambda: nn.AvgPool2d(2, ceil_mode=True),
    "divisor_override": lambda: nn.AvgPool2d(2, divisor_override=3),
    "count_include_pad=False": lambda: nn.AvgPool2d(3, padding=1, count_include_pad=False),
    "dilation has no hardware; take MaxPool2d(kernel": lambda: nn.MaxPool2d(2, dilation=2),
    "max_pool2d": lambda: nn.MaxPool2d(2, return_indices=True),
    "windows of several sizes": lambda: nn.AdaptiveAvgPool2d(3),
    "never negative": nn.ReLU,
    "layer_norm": lambda: nn.LayerNorm(8),
    "SpikingLayer, SumPool2d": lambda: nn.Softmax(1),
    "'unflatten'": lambda: nn.Unflatten(1, (1, 3)),
    "dimension 1 to -1": lambda: nn.Flatten(2),
    "pad": lambda: nn.ZeroPad2d(1),
}


@pytest.mark.parametrize("line", REFUSED)
def test_the_others_are_refused_before_anything_is_trained(line):
    model = nn.Sequential(encoder(), conv(), REFUSED[line](), Flatten(), head(3 * 64))
    with pytest.raises(UserError, match=re.escape(line)) as refusal:
        model(samples_for(model))
    assert "\n" not in str(refusal.value)


def test_sums_and_products_of_bursts_are_refused():
    front = nn.Sequential(encoder(), conv())
    bursts = front(samples_for(front))
    for wrong in (
        lambda: bursts + bursts, lambda: sum([bursts]), lambda: 2 * bursts, lambda: bursts / 2,
        lambda: torch.tensor(0.5) * bursts, lambda: torch.cat([bursts, bursts], 1),
        lambda: bursts.view(4, -1), lambda: bursts.mean(0),
    ):  # fmt: skip
        with pytest.raises(UserError):
            wrong()


class Twice(nn.Module):
    """One layer called twice, one pooling called twice, and one projection in two layers."""

    def __init__(self):
        super().__init__()
        shared = QuantConv2d(3, 3, 3, padding=1)
        self.encoder, self.first, self.again = encoder(), conv(), conv(3)
        self.third, self.fourth = SpikingLayer(shared, QBLIF(1)), SpikingLayer(shared, QBLIF(3, reset="hard"))
        self.pool, self.flatten, self.readout = SumPool2d(2), Flatten(), head(3 * 4)

    def forward(self, samples):
        bursts = self.first(self.encoder(samples))
        bursts = self.again(self.again(bursts))
        bursts = self.pool(self.third(self.pool(bursts)))
        return self.readout(self.flatten(self.fourth(bursts)))


def test_shared_layers_are_layers_of_the_hardware_each_time(tmp_path):
    network = written(Twice(), tmp_path)
    assert [node.name for node in network.nodes] == [
        "first", "again", "again_2", "pool", "third", "pool_2", "fourth"
    ]  # fmt: skip


def two_readouts():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.flatten, self.one, self.two = encoder(), nn.Flatten(), head(64), head(64)

        def forward(self, samples):
            bursts = self.flatten(self.encoder(samples))
            return self.one(bursts) + self.two(bursts)

    return Two()


def test_models_without_one_input_and_one_output_are_refused():
    samples, labels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.long)
    for model, line in (
        (two_readouts(), "2 readouts"),
        (nn.Sequential(encoder(), conv()), "0 readouts"),
        (nn.Sequential(nn.Sequential(encoder(), encoder()), nn.Flatten(), head(64)), "unsigned bytes|Encoder"),
    ):
        with pytest.raises(UserError, match=line):
            checkpoint.describe(model, samples, labels)


def test_layers_that_do_not_fit_say_so():
    bursts = encoder()(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    linear: Any = nn.Linear(3, 3)
    relu: Any = nn.ReLU()
    for call, line in (
        (lambda: head(8)(bursts), r"Flatten\(\)"),
        (lambda: conv(2)(bursts), r"\(2, H, W\)"),
        (lambda: conv()(Flatten()(bursts)), r"before Flatten"),
        (lambda: conv()(torch.zeros(2, 1, 8, 8)), "Encoder"),
        (lambda: head(64)(torch.zeros(2, 64)), "Encoder"),
        (lambda: SumPool2d(2)(Flatten()(bursts)), r"\(C, H, W\)"),
        (lambda: SumPool2d(9)(bursts), "nothing"),
        (lambda: SpikingLayer(linear, QBLIF()), "QuantLinear"),
        (lambda: SpikingLayer(QuantLinear(3, 3), relu), "QBLIF"),
    ):
        with pytest.raises(UserError, match=line):
            call()


def test_the_mode_of_a_model_is_left_as_it_was():
    model = nn.Sequential(encoder(), conv(), nn.Dropout(0.9), nn.Flatten(), head(3 * 64))
    samples, labels = samples_for(model), torch.zeros(24, dtype=torch.long)
    model.train()
    model[1].eval()
    model(samples)
    quantization.begin(model, samples)
    content = checkpoint.describe(model, samples, labels)
    assert [module.training for module in model] == [True, False, True, True, True]
    again = checkpoint.describe(model.eval(), samples, labels)
    assert (content["references"]["logits"] == again["references"]["logits"]).all()
    assert content["activity"] == again["activity"]
