"""What is described is what was trained: every way to another network is refused, or gives exact results."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gen.frontend.checkpoint import load_checkpoint
from gen.frontend.fold import fold
from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.nodes import InputSpec
from snn import checkpoint, quantization
from snn.bursts import Encoder, Flatten
from snn.exactness import exact_below, plain_sums
from snn.layers import ReadoutLayer, SpikingLayer
from snn.neuron import QBLIF
from snn.projections import QuantConv2d, QuantLinear, QuantProjection
from snn.quantization import check_exact
from snn.tracing import traced

MKLDNN: Any = torch.backends.mkldnn
"""torch's types do not know its settings."""


class Skipping(nn.Module):
    """Two convolutions with an identity skip, and a readout; ``between`` and ``behind`` are what a user may add."""

    def __init__(self, call=None, between=None, behind=None, in_front=None) -> None:
        super().__init__()
        self.encoder = Encoder(InputSpec(shape=(1, 4, 4), coding="direct", bits=4), 3)
        self.first = SpikingLayer(QuantConv2d(1, 4, 3, padding=1), QBLIF(2))
        self.second = SpikingLayer(QuantConv2d(4, 4, 3, padding=1), QBLIF(2))
        self.flatten = Flatten()
        self.readout = ReadoutLayer(QuantLinear(64, 5, batch_norm=False))
        self.call = call or (lambda layer, x: layer(x, x))
        self.between = between or (lambda _, y: y)
        self.behind = behind or (lambda logits: logits)
        self.in_front = in_front or (lambda encoder, samples: encoder(samples))

    def forward(self, samples: Tensor) -> Tensor:
        first = self.first(self.in_front(self.encoder, samples))
        second = self.call(self.second, first)
        return self.behind(self.readout(self.flatten(self.between(first, second))))


def data(count: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    samples = torch.randint(0, 256, (count, 1, 4, 4), dtype=torch.uint8, generator=generator)
    return samples, torch.zeros(count, dtype=torch.long)


def begun(**options) -> Skipping:
    torch.manual_seed(2)
    model = Skipping(**options)
    quantization.begin(model, data()[0])
    return model


def network_of(content, path):
    checkpoint.save_atomically(content, path)
    return fold(load_checkpoint(path))


CALLS = {
    "both by name": lambda layer, x: layer(skip=x, bursts=x),
    "skip by name": lambda layer, x: layer(x, skip=x),
    "by place": lambda layer, x: layer(x, x),
}


@pytest.mark.parametrize("call", list(CALLS))
def test_a_skip_is_seen_however_it_is_passed(call, tmp_path):
    model = begun(call=CALLS[call])
    content = checkpoint.describe(model, *data())
    assert content["layers"][1]["skip"]["source"] == "first"
    network = network_of(content, tmp_path / "model.pt")
    samples, _ = data()
    logits = golden.run(network, encode(samples.numpy(), network.input)).logits
    with torch.no_grad():
        assert (model.eval()(samples).double() * 2.0 ** int(model.readout.fraction_bits) == logits).all()


def changed_in_place(_, bursts):
    bursts.counts.mul_(2)
    return bursts


def changed_behind_torch(_, bursts):
    bursts.counts.data.mul_(2)
    return bursts


BETWEEN = {
    "in place, and torch does not count it": changed_behind_torch,
    "in place": changed_in_place,
    "scaled": lambda _, y: replace(y, counts=y.counts * 2),
    "the same for these inputs alone": lambda _, y: replace(y, counts=y.counts.clamp(max=y.ceiling)),
    "added": lambda x, y: replace(y, counts=x.counts + y.counts),
    "of another layer": lambda x, y: replace(y, counts=x.counts),
    "turned": lambda _, y: replace(y, counts=y.counts.transpose(3, 4)),
    "turned and copied": lambda _, y: replace(y, counts=y.counts.flip(2).contiguous()),
    "more": lambda _, y: replace(y, ceiling=7),
    "longer": lambda _, y: replace(y, timesteps=4),
    "by nobody": lambda _, y: replace(y, node=""),
}


@pytest.mark.parametrize("what", list(BETWEEN))
@pytest.mark.parametrize("form", ["float", "integer"])
def test_an_operation_between_layers_is_refused(what, form):
    model = Skipping(between=BETWEEN[what])
    start = quantization.begin if form == "integer" else checkpoint.measured_activity
    with pytest.raises(UserError, match=r"readout does not read what (second|a layer) gave") as caught:
        start(model, data()[0])
    assert "\n" not in str(caught.value)


IN_FRONT = {
    "inverted": lambda encoder, samples: encoder(255 - samples),
    "the same for these samples alone": lambda encoder, samples: encoder(samples.clamp(max=255)),
    "turned": lambda encoder, samples: encoder(samples.transpose(2, 3)),
    "twice": lambda encoder, samples: (encoder(samples), encoder(samples))[1],
}


@pytest.mark.parametrize("what", list(IN_FRONT))
@pytest.mark.parametrize("form", ["float", "integer"])
def test_an_operation_in_front_of_the_encoder_is_refused(what, form):
    model = Skipping(in_front=IN_FRONT[what])
    with pytest.raises(UserError, match="the encoder does not read the model's samples"):
        quantization.begin(model, data()[0]) if form == "integer" else checkpoint.describe(model, *data())


@pytest.mark.parametrize("behind", [lambda logits: logits * 2, lambda logits: logits.flip(1), lambda _: torch.zeros(5)])
@pytest.mark.parametrize("form", ["float", "integer"])
def test_an_operation_behind_the_readout_is_refused(behind, form):
    model = Skipping(behind=behind)
    if form == "integer":
        quantization.begin(model, data()[0])
    with pytest.raises(UserError, match="what its readout gives"):
        checkpoint.describe(model, *data())


class Louder(QBLIF):
    """Neurons with a rule of their own."""

    def forward(self, *arguments, **named):
        return (super().forward(*arguments, **named) + 1).clamp(max=self.burst_ceiling)


def test_the_first_layer_that_differs_is_named():
    model = begun()
    model.second.neuron.__class__ = Louder
    with pytest.raises(UserError, match=r"^second: \d+ of \d+ bursts of PyTorch are not those of the integer network"):
        checkpoint.describe(model, *data())


@contextlib.contextmanager
def precision(name: str):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def single_backend(name: str):
    """The newer setting, of one backend alone."""
    matmul = MKLDNN.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, name
    try:
        yield
    finally:
        matmul.fp32_precision = before


AROUND: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "bfloat16 autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "half autocast": lambda: torch.autocast("cpu", dtype=torch.float16),
    "medium": lambda: precision("medium"),
    "high": lambda: precision("high"),
    "bf16": lambda: single_backend("bf16"),
    "tf32": lambda: single_backend("tf32"),
}


@pytest.fixture(scope="module")
def fine():
    """A model whose sums need all of float32's bits, and what it computes with nothing around it."""
    torch.manual_seed(7)
    model = Skipping()
    for part in model.modules():
        if isinstance(part, QuantProjection):
            part.weight_bits = 12
    samples, labels = data()
    quantization.begin(model, samples)
    with torch.no_grad():
        logits = model.eval()(samples)
    return model, samples, labels, logits


@pytest.mark.parametrize("around", list(AROUND))
def test_reduced_precision_around_it_changes_nothing(around, fine):
    model, samples, labels, exact = fine
    with AROUND[around]():
        before = MKLDNN.matmul.fp32_precision, torch.is_autocast_enabled("cpu")
        with torch.no_grad():
            logits = model(samples)
        content = checkpoint.describe(model, samples, labels)
        assert (MKLDNN.matmul.fp32_precision, torch.is_autocast_enabled("cpu")) == before
    assert logits.dtype == torch.float32
    assert (logits == exact).all()
    grid = 2.0 ** int(model.readout.fraction_bits)
    assert (content["references"]["logits"] == exact[:16].double() * grid).all()


def test_plain_sums_are_exact_under_every_setting():
    """Integers of up to 12 bits, whose products bfloat16 and TF32 cannot hold."""
    a, b = (torch.randint(-2047, 2048, (64, 64), generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    exact = a.numpy() @ b.numpy()
    assert np.abs(exact).max() < 2**31
    small = a // 32
    exact = small.numpy() @ b.numpy()
    for around in AROUND.values():
        with around(), plain_sums("cpu"):
            assert (torch.mm(small.float(), b.float()).long().numpy() == exact).all()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_modules_of_half_precision_are_refused(kind):
    model = begun().to(kind)
    with pytest.raises(UserError, match=f"sums in {kind} are not exact"):
        model(data()[0])
    with pytest.raises(UserError, match=f"sums in {kind} are not exact"):
        checkpoint.describe(model, *data())


def test_mixed_float_types_are_one_line():
    model = Skipping()
    model.readout.half()
    with pytest.raises(UserError, match=r"QuantLinear holds torch.float16 and gets torch.float32"):
        checkpoint.describe(model, *data())


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@torch.no_grad()
def test_sums_are_held_against_the_type_that_they_are_in(default, kind):
    """Sums may need more than float32 has; the default type says nothing of the layer's."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        torch.manual_seed(1)
        model = Skipping().to(kind)
        quantization.begin(model, data()[0])
        samples, _ = data()
        with traced(model.eval(), samples) as steps:
            model(samples)
        step = next(step for step in steps if step.name == "second")
        assert isinstance(step.module, SpikingLayer)
        # Bursts so large that the sums reach 2^30 units, which float64 holds and float32 does not.
        sources = [replace(source, ceiling=2**22) for source in step.sources]
        scale = torch.ones((), dtype=default)
        if kind == torch.float64:
            check_exact(step.module, sources, scale, 3)
        else:
            with pytest.raises(UserError, match=r"torch\.float32 are exact below 16777216"):
                check_exact(step.module, sources, scale, 3)
        checkpoint.describe(model, *data())
    finally:
        torch.set_default_dtype(before)


def test_the_shortest_type_decides():
    assert exact_below(torch.float64) == 2**53
    assert exact_below(torch.float64, torch.float32) == 2**24
    with pytest.raises(UserError, match="float16"):
        exact_below(torch.float32, torch.float16)
