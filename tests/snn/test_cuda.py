"""Training on a GPU: run where there is one."""

import numpy as np
import pytest
import torch

from snn import checkpoint, train
from snn.answers import accuracy
from snn.augment import Augmentation
from snn.datasets.data import load
from snn.training import Training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")

QUICK = ["--data", "digits", "--model", "cnn", "--channels", "8", "12", "--hidden", "--timesteps", "2", "--device"]
QUICK += ["cuda", "--float-epochs", "2", "--qat-epochs", "2", "--batch", "64", "--average", "0.9", "--flip"]


def test_what_a_gpu_trained_a_cpu_computes_to_the_last_bit(tmp_path):
    out = tmp_path / "model.pt"
    assert train.main([*QUICK, "--out", str(out)]) == 0
    stored = torch.load(out, weights_only=True)["training"]
    assert stored["device"] == torch.cuda.get_device_name()
    test, model = load("digits", "test"), checkpoint.load_model(out).eval()
    pixels = torch.from_numpy(test.pixels.copy())
    with torch.no_grad():
        ours = model(pixels)
        assert accuracy(model, test) == stored["test_accuracy"]
        theirs = model.to("cuda")(pixels.to("cuda")).cpu()
    assert np.array_equal(ours, theirs)


def test_a_training_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    out, run_epoch = tmp_path / "model.pt", Training.run_epoch

    def interrupted(self):
        if self.epoch == 3:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(Training, "run_epoch", interrupted)
    assert train.main([*QUICK, "--out", str(out)]) == 130
    monkeypatch.setattr(Training, "run_epoch", run_epoch)
    assert train.main([*QUICK, "--out", str(out), "--resume"]) == 0
    assert torch.load(out, weights_only=True)["training"]["test_accuracy"] > 0.5


def test_images_are_changed_alike_on_every_device():
    samples = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)
    change = Augmentation(flip=True, shift=2)
    ours, theirs = (change(samples.to(device), torch.Generator().manual_seed(1)) for device in ("cpu", "cuda"))
    assert torch.equal(ours, theirs.cpu())
