"""The Python API: modules of other frameworks, models of snn layers and files become designs."""

import numpy as np
import pytest
import torch
from torch import nn

import qblif
from qblif.errors import UserError
from snn.architecture import ModelOptions
from snn.datasets import data
from snn.models import make_model

snntorch = pytest.importorskip("snntorch")


class Tutorial(nn.Module):
    """A network as snnTorch's tutorials write it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 20), nn.Linear(20, 10)
        self.lif1, self.lif2 = snntorch.Leaky(beta=0.75), snntorch.Leaky(beta=0.75)

    def forward(self, pixels):
        mem1, mem2, spikes = self.lif1.init_leaky(), self.lif2.init_leaky(), []
        for _ in range(5):
            spk1, mem1 = self.lif1(self.fc1(pixels.flatten(1)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return data.load("digits", "test").pixels[:40]


@pytest.fixture(scope="module")
def tutorial() -> Tutorial:
    torch.manual_seed(1)
    model = Tutorial()
    for layer in (model.fc1, model.fc2):
        layer.weight.data.mul_(2)
    return model


@pytest.fixture(scope="module")
def compiled(tutorial, digits):
    return qblif.compile(tutorial, digits, board="icebreaker")


def test_a_module_becomes_a_design(compiled, tutorial, digits):
    with torch.no_grad():
        counts = tutorial(torch.from_numpy(digits).float() / 255).sum(0)
    assert (compiled.predict(digits) == counts.argmax(1).numpy()).mean() > 0.9
    assert compiled.plan.board == "icebreaker"
    assert compiled.network.timesteps == 5
    assert len(compiled.design.references.logits) == 16


def test_floats_stand_for_bytes(compiled, digits):
    assert (compiled.logits(torch.from_numpy(digits).float() / 255) == compiled.logits(digits)).all()
    with pytest.raises(UserError, match="undo a normalisation"):
        compiled.logits(digits / 255 - 0.5)
    with pytest.raises(UserError, match="unsigned bytes"):
        compiled.logits(digits.astype(int) - 300)


def test_traces_are_those_of_the_original(compiled, tutorial, digits):
    """The floats beside the integers are the original's spikes and membranes."""
    traces = compiled.trace(digits[:3])
    assert list(traces) == ["lif1", "lif2"]
    current = tutorial.fc1(torch.from_numpy(digits[:3]).float().flatten(1) / 255)
    memory = tutorial.lif1.init_leaky()
    for step in range(5):
        spikes, memory = tutorial.lif1(current, memory)
        found = traces["lif1"]
        assert found.bursts.shape == found.float_bursts.shape == (3, 5, 20, 1, 1)
        assert (found.float_bursts[:, step].reshape(3, 20) == spikes.detach().numpy()).all()
        # snnTorch takes the threshold off one step later, so its membrane is the one before that.
        after = memory.detach().numpy() - spikes.detach().numpy() / 0.75
        assert np.abs(found.float_membranes[:, step].reshape(3, 20) - after).max() < 1e-4
        assert np.abs(found.membranes[:, step].reshape(3, 20) - after).mean() < 0.2


def test_a_design_is_simulated(compiled, digits, tmp_path):
    found = compiled.simulate(digits[:6], folder=tmp_path)
    assert found.mismatches == 0
    assert (found.classes == compiled.predict(digits[:6])).all()
    assert found.cycles_mean is not None
    assert found.cycles_mean > 10


def test_a_design_is_built(compiled, tmp_path):
    report = compiled.build(tmp_path / "out", until="rtl")
    assert (tmp_path / "out" / "network.v").is_file()
    assert report["network_sha256"] == compiled.design.sha256


def test_models_of_snn_layers_and_files(digits, digits_checkpoint):
    torch.manual_seed(0)
    model = make_model("mlp", ModelOptions(input_shape=(1, 8, 8), hidden=(16,)))
    own = qblif.compile(model, digits, board="icebreaker")
    assert own.trace(digits[:1])["hidden_0"].float_bursts is not None
    file = qblif.compile(digits_checkpoint, board="icebreaker")
    assert file.trace(digits[:1])["hidden_0"].float_bursts is None
    assert (file.predict(digits) == data.load("digits", "test").labels[:40]).mean() > 0.8


@pytest.mark.parametrize(
    ("words", "model", "options"),
    [
        ("samples are needed", "module", {}),
        ("cannot change it", "file", {"timesteps": 3}),
        ("nothing", "file", {"board": "nothing"}),
        ("not a trained network", "number", {}),
    ],
)
def test_errors_are_one_line(words, model, options, tutorial, digits_checkpoint):
    given = {"module": tutorial, "file": digits_checkpoint, "number": 3}[model]
    samples = np.zeros((2, 1, 8, 8), np.uint8) if model == "number" else None
    with pytest.raises(UserError, match=words) as refused:
        qblif.compile(given, samples, **{"board": "icebreaker"} | options)
    assert "\n" not in str(refused.value)
