"""Networks trained in snnTorch and SpikingJelly, on a few images of four classes."""

from importlib import import_module

import numpy as np
import pytest
import torch

from qblif.errors import UserError
from snn.datasets.data import load
from studies.originals import converted
from studies.originals.__main__ import MODULES, main
from studies.originals.training import accuracy, save, train
from tests.snn.datasets.test_data import write_idx

CLASSES = 4


@pytest.fixture
def images(tmp_path):
    """A folder of Fashion-MNIST's layout: every class is bright in some rows."""
    random = np.random.default_rng(1)
    for split, count in (("train", 96), ("t10k", 40)):
        labels = random.integers(0, CLASSES, count)
        pixels = random.integers(0, 64, (count, 28, 28))
        rows = np.arange(28) // 7
        pixels += 150 * (rows[None, :, None] == labels[:, None, None])
        write_idx(tmp_path, f"{split}-images-idx3-ubyte", pixels, zipped=False)
        write_idx(tmp_path, f"{split}-labels-idx1-ubyte", labels, zipped=False)
    return tmp_path


@pytest.fixture(params=MODULES)
def module(request):
    pytest.importorskip(request.param, reason="pip install 'qblif[frameworks]'")
    return import_module(MODULES[request.param])


def test_a_loaded_network_answers_like_the_trained_one(module, images):
    original, out = module.ORIGINAL.with_recipe(epochs=1, batch=16), images / "original.pt"
    network = train(original, load("fashion_mnist", "train", images))
    save(original, network, 0.5, out)
    loaded = module.load(out)
    assert not any(part.training for part in loaded.modules())
    samples = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    scores = original.scores(network, samples)
    assert scores.shape == (20, 10)
    assert len(scores.unique(dim=0)) > 1
    assert torch.equal(original.scores(loaded, samples), scores)


def test_the_command_repeats_a_training_that_its_file_describes(module, images, capsys):
    name, contents = module.ORIGINAL.framework, []
    options = f"{name} --epochs 1 --batch 16 --learning-rate 0.01 --seed 3"
    for out in (images / "first.pt", images / "second.pt"):
        assert main([*options.split(), "--out", str(out), "--data-dir", str(images)]) == 0
        contents.append(torch.load(out, weights_only=True))
    first, second = contents
    assert first["framework"] == name
    assert first["options"]["network"] == module.ORIGINAL.options
    assert first["options"]["training"] == {"epochs": 1, "batch": 16, "learning_rate": 0.01, "seed": 3}
    assert first["command"] == f"python -m studies.originals {options}"
    assert set(first["versions"]) == {name, "torch"}
    assert f"test accuracy: {100 * first['test_accuracy']:.2f} % of 40 images" in capsys.readouterr().out
    assert all(torch.equal(second["state"][key], value) for key, value in first["state"].items())


def test_refused(module, images, fails):
    name = module.ORIGINAL.framework
    out = images / "original.pt"
    options = (name, "--out", out, "--data-dir", images)
    assert "--batch 1000 is more than the 96 training images" in fails(main, *options, "--batch", 1000)
    assert "0 is less than 1" in fails(main, *options, "--epochs", 0)
    torch.save({"framework": "another"}, out)
    with pytest.raises(UserError, match=f"not a {name} network .* is one of another"):
        module.load(out)


def test_a_missing_framework(fails, tmp_path, monkeypatch):
    monkeypatch.setattr("studies.originals.__main__.find_spec", lambda _: None)
    assert "snntorch must be installed" in fails(main, "snntorch", "--out", tmp_path / "original.pt")


def test_a_setting_is_measured_on_images_that_it_is_not_trained_on(module, images, capsys):
    name, source = module.ORIGINAL.framework, images / "original.pt"
    assert main([name, "--epochs", "1", "--batch", "16", "--out", str(source), "--data-dir", str(images)]) == 0
    training, out = load("fashion_mnist", "train", images), images / "model.pt"
    options = [name, "--from", str(source), "--out", str(out), "--data-dir", str(images)]
    capsys.readouterr()
    assert converted.main([*options, "--validation", "30"]) == 0
    share = accuracy(module.ORIGINAL, module.load(source), training.range(66, None))
    assert f"original: {share:.2%} of 30 held-out training images in {name}" in capsys.readouterr().out
    content = torch.load(out, weights_only=True)
    assert torch.equal(content["references"]["samples"], torch.from_numpy(training.pixels[66:][:16].copy()))
    assert converted.main([*options, "--fine-tune", "1", "--batch", "33", "--validation", "30"]) == 0
    assert "trained: accuracy" in capsys.readouterr().out
    assert torch.load(out, weights_only=True)["training"]["command"].endswith("--batch 33 --validation 30")


def test_a_validation_leaves_images_to_train_with(module, images, fails):
    name, source = module.ORIGINAL.framework, images / "original.pt"
    save(module.ORIGINAL, module.ORIGINAL.build(**module.ORIGINAL.options), 0.1, source)
    options = (name, "--from", source, "--out", images / "model.pt", "--data-dir", images)
    assert "--validation 96 leaves none of the 96 training images" in fails(
        converted.main, *options, "--validation", 96
    )
