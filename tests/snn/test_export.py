"""Models as NIR graphs: what comes back from the file spikes as the model does."""

import numpy as np
import pytest
import torch
from torch import nn

from qblif.errors import UserError
from qblif.network.nodes import InputSpec, Leak
from snn import quantization
from snn.architecture import ModelOptions
from snn.bursts import Bursts, Encoder, Flatten, MaxPool2d, SumPool2d
from snn.convert.nir.graph import graph_of, read_nir
from snn.export import main, to_nir
from snn.layers import ReadoutLayer, SpikingLayer
from snn.models import make_model
from snn.neuron import LIF, QBLIF, SynapticLIF
from snn.projections import QuantConv2d, QuantLinear
from snn.tracing import traced
from tests.snn.convert.graph_reference import run

nir = pytest.importorskip("nir")

TIMESTEPS = 12
DT = 2e-3
THREE_QUARTERS = Leak(multiplier=3, shift=2)
KEEPS = Leak(multiplier=1, shift=0)


def linear(inputs, outputs, **options):
    layer = QuantLinear(inputs, outputs, **options)
    nn.init.normal_(layer.weight, 0.2, 0.6)
    nn.init.normal_(layer.shift, 0, 0.2)
    return layer


def conv(inputs, outputs, kernel, **options):
    layer = QuantConv2d(inputs, outputs, kernel, **options)
    nn.init.normal_(layer.shift, 0, 0.2)
    return layer


class Chain(nn.Module):
    """Layers one after the other."""

    def __init__(self, shape, *layers, coding="events", bits=2, readout=None):
        super().__init__()
        self.encoder = Encoder(InputSpec(shape=shape, coding=coding, bits=bits), TIMESTEPS)
        self.layers = nn.ModuleList(layers)
        self.readout = ReadoutLayer(linear(5, 3, batch_norm=False)) if readout is None else readout

    def forward(self, samples):
        bursts = self.encoder(samples)
        for layer in self.layers:
            bursts = layer(bursts)
        return self.readout(bursts)


class Residual(nn.Module):
    """An identity skip, and a shortcut with weights."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder(InputSpec(shape=(2, 6, 6), coding="events", bits=2), TIMESTEPS)
        self.first = SpikingLayer(conv(2, 4, 3, padding=1), QBLIF(1, reset="hard"))
        self.second = SpikingLayer(conv(4, 4, 3, padding=1), QBLIF(1, reset="hard"))
        self.third = SpikingLayer(
            conv(4, 6, 3, padding=1, stride=2), QBLIF(1, reset="hard"), shortcut=conv(4, 6, 1, stride=2)
        )
        self.flatten = Flatten()
        self.readout = ReadoutLayer(linear(54, 3, batch_norm=False), leak=Leak())

    def forward(self, samples):
        bursts = self.first(self.encoder(samples))
        bursts = self.second(bursts, bursts)
        return self.readout(self.flatten(self.third(bursts, bursts)))


def dense_lif():
    return Chain(
        (6, 1, 1),
        Flatten(),
        SpikingLayer(linear(6, 8, batch_norm=False), LIF(0.75, leak=THREE_QUARTERS)),
        SpikingLayer(linear(8, 5, batch_norm=False), SynapticLIF(1.5, leak=Leak(), current_leak=THREE_QUARTERS)),
    )


def convolutions():
    return Chain(
        (2, 9, 8),
        SpikingLayer(conv(2, 4, (3, 2), padding=(1, 0), dilation=(1, 2)), QBLIF(1, reset="hard")),
        SumPool2d(2),
        SpikingLayer(conv(4, 6, 3, padding=1, groups=2), LIF(0.5, reset="hard", threshold=0.5, leak=KEEPS)),
        Flatten(),
        SpikingLayer(linear(72, 5), QBLIF(1, reset="hard", learn_leak=True)),
    )


def recurrent():
    own = linear(7, 7, batch_norm=False)
    return Chain(
        (6, 1, 1),
        Flatten(),
        SpikingLayer(linear(6, 7), LIF(0.75), recurrent=own),
        SpikingLayer(linear(7, 5), LIF(1.0, leak=KEEPS)),
    )


MODELS: dict[str, tuple] = {
    "dense": (dense_lif, "soft"),
    "convolutions": (convolutions, "hard"),
    "recurrent": (recurrent, "soft"),
    "residual": (Residual, "hard"),
}


def made(build):
    """A model in float64 whose scales and statistics are those of a batch, and samples."""
    torch.manual_seed(0)
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        model = build()
        spec = model.encoder.spec
        steps = () if spec.coding == "direct" else (TIMESTEPS,)
        samples = torch.randint(0, 256 if spec.coding == "direct" else 3, (20, *steps, *spec.shape), dtype=torch.uint8)
        model.train()(samples)
    finally:
        torch.set_default_dtype(previous)
    return model.eval(), samples


def compared(model, samples, graph):
    """Compare the spikes of all populations and the output; returns how many spikes there were."""
    with torch.no_grad(), traced(model, samples) as calls:
        logits = model(samples)
    counts = model.encoder(samples).counts.double()
    counts = counts.expand(TIMESTEPS, *counts.shape[1:])
    spikes, found = 0, run(graph, counts)
    for call in calls:
        if isinstance(call.output, Bursts):
            expected = call.output.counts.flatten(2)
            assert torch.equal(found[call.name].flatten(2), expected.double()), call.name
            spikes += int(expected.sum())
            assert 0 < expected.mean() < 1, call.name
    assert torch.allclose(found["readout"][-1].flatten(1), logits.double(), rtol=1e-6, atol=1e-6)
    return spikes


@pytest.mark.parametrize("name", MODELS)
def test_every_spike_comes_back(name, tmp_path):
    build, reset = MODELS[name]
    model, samples = made(build)
    graph = to_nir(model, tmp_path / "net.nir", dt=DT)
    # Leaks that are learned are no small fractions.
    again = graph_of(read_nir(tmp_path / "net.nir"), dt=DT, reset=reset, tolerance=0.1)
    assert compared(model, samples, again) > 1000
    assert set(graph.nodes) == set(nir.read(tmp_path / "net.nir", type_check=False).nodes)


def test_the_integer_form_comes_back():
    model, samples = made(
        lambda: Chain(
            (6, 1, 1),
            Flatten(),
            SpikingLayer(linear(6, 8), LIF(0.8, leak=KEEPS, fires_at="above")),
            SpikingLayer(
                linear(8, 5), LIF(1.3, leak=KEEPS, fires_at="above"), recurrent=linear(5, 5, batch_norm=False)
            ),
        )
    )
    quantization.begin(model, samples)
    graph = graph_of(to_nir(model), dt=None, reset="soft", firing="exceeded")
    assert compared(model, samples, graph) > 1000


def test_other_readers_take_the_file(tmp_path):
    model, _ = made(recurrent)
    to_nir(model, tmp_path / "net.nir", dt=DT)
    read = nir.read(tmp_path / "net.nir")
    assert float(read.metadata["dt"]) == DT
    assert read.metadata["answer"] == "the output, after the last timestep"
    kinds = sorted(type(node).__name__ for node in read.nodes.values())
    assert kinds == ["Affine"] * 4 + ["Flatten", "I", "IF", "Input", "LIF", "Output"]
    [lif] = [node for node in read.nodes.values() if isinstance(node, nir.LIF)]
    assert np.allclose(DT / lif.tau, 0.5)
    assert lif.metadata == {"reset": "soft", "fires": "at v_threshold"}


def test_direct_input_is_said_in_the_metadata():
    model, samples = made(
        lambda: Chain((6, 1, 1), Flatten(), SpikingLayer(linear(6, 5), LIF(0.5)), coding="direct", bits=4)
    )
    graph = to_nir(model, dt=DT)
    assert "coding direct" in graph.metadata["input"]
    assert compared(model, samples, graph_of(graph, dt=DT, reset="soft")) > 100


def spiking(neuron):
    return lambda: Chain((6, 1, 1), Flatten(), SpikingLayer(linear(6, 5), neuron))


REFUSED = {
    "bursts": (spiking(QBLIF(2)), "layers_1 (QBLIF): NIR has no bursts, and its K is 3"),
    "limits": (spiking(LIF(membrane_limits=(-1.0, 1.0))), "layers_1 (LIF): NIR has no limits"),
    "half a threshold": (spiking(QBLIF(1)), "takes away 1 / 0.5 of its threshold"),
    "a current that stays": (spiking(SynapticLIF(leak=KEEPS)), "layers_1 (SynapticLIF): a CubaLIF of NIR always leaks"),
    "max pooling": (
        lambda: Chain(
            (2, 4, 4),
            SpikingLayer(conv(2, 5, 3, padding=1), LIF()),
            MaxPool2d(4),
            Flatten(),
        ),
        "layers_1 (MaxPool2d): NIR has no max pooling",
    ),
    "limits of L": (
        lambda: Chain(
            (6, 1, 1),
            Flatten(),
            SpikingLayer(linear(6, 5), LIF()),
            readout=ReadoutLayer(linear(5, 3, batch_norm=False), limits=(-1.0, 1.0)),
        ),
        "readout (ReadoutLayer): NIR has no limits of L",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    build, words = REFUSED[name]
    model, _ = made(build)
    with pytest.raises(UserError) as caught:
        to_nir(model)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_untrained_model_is_refused():
    with pytest.raises(UserError, match=r"layers\.1\.neuron: its scale is not known"):
        to_nir(spiking(QBLIF(1, reset="hard"))())


def test_other_refusals(monkeypatch):
    model, _ = made(dense_lif)
    with pytest.raises(UserError, match="a timestep of 0 seconds is not possible"):
        to_nir(model, dt=0.0)
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(UserError, match="pip install"):
        to_nir(model)


def test_the_command_writes_a_file(tmp_path, capsys, monkeypatch):
    torch.manual_seed(0)
    model = make_model("mlp", ModelOptions(input_shape=(1, 4, 4), neuron_kind="lif", hidden=(6,), coding="direct"))
    monkeypatch.setattr("snn.checkpoint.load_model", lambda path: model.eval() if path.exists() else None)
    (tmp_path / "model.pt").touch()
    out = tmp_path / "net.nir"
    assert main(["--ckpt", str(tmp_path / "model.pt"), "--dt", "1e-4", "--out", str(out)]) == 0
    assert "1 LIF" in capsys.readouterr().out
    [lif] = [node for node in read_nir(out).nodes.values() if isinstance(node, nir.LIF)]
    assert np.allclose(lif.tau, 2e-4)


def test_the_command_refuses(fails, digits_checkpoint, tmp_path):
    out = tmp_path / "net.nir"
    assert "NIR has no bursts" in fails(main, "--ckpt", digits_checkpoint, "--out", out)
    assert "--out" in fails(main, "--ckpt", digits_checkpoint, "--out", tmp_path)
    assert "missing.pt" in fails(main, "--ckpt", tmp_path / "missing.pt", "--out", out)
    assert not out.exists()
