import copy
import csv
import subprocess
import sys

import pytest
import torch

from qblif.errors import UserError
from snn import checkpoint, quantization, run, train, training
from snn.answers import accuracy
from snn.architecture import ModelOptions, Staged
from snn.command import command_of, parse
from snn.datasets.data import load
from snn.models import make_model
from snn.projections import QuantProjection
from snn.recipe import Recipe
from snn.training import Training, write_log
from snn.workers import Workers

QUICK = ["--data", "digits", "--hidden", "16", "--float-epochs", "2", "--qat-epochs", "2", "--batch", "64"]


def test_training_writes_checkpoint_log_and_record(tmp_path, capsys):
    out = tmp_path / "model.pt"
    assert train.main([*QUICK, "--out", str(out)]) == 0
    content = torch.load(out, weights_only=True)
    assert content["kind"] == "qat"
    assert content["training"]["test_accuracy"] > 0.5
    assert len(content["references"]["logits"]) == 16
    assert len(content["activity"]["hidden_0"]) == 4
    assert "--data-dir" not in content["training"]["command"]
    with out.with_suffix(".csv").open() as file:
        assert [row["phase"] for row in csv.DictReader(file)] == ["float", "float", "integer", "integer"]
    assert not (tmp_path / "model.pt.resume").exists()
    assert "qat checkpoint" in capsys.readouterr().out


@pytest.mark.parametrize("average", ["0", "0.9"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_resumed_training_ends_where_an_unbroken_one_does(tmp_path, monkeypatch, stop_after, average):
    whole, broken = tmp_path / "whole.pt", tmp_path / "broken.pt"
    quick = [*QUICK, "--average", average]
    assert train.main([*quick, "--out", str(whole)]) == 0
    run_epoch = Training.run_epoch

    def interrupted(self):
        if self.epoch == stop_after:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(Training, "run_epoch", interrupted)
    assert train.main([*quick, "--out", str(broken)]) == 130
    assert not broken.exists()
    monkeypatch.setattr(Training, "run_epoch", run_epoch)
    assert train.main([*quick, "--out", str(broken), "--resume"]) == 0
    ours, theirs = (torch.load(path, weights_only=True) for path in (whole, broken))
    assert (ours["references"]["logits"] == theirs["references"]["logits"]).all()
    assert all((ours["state"][key] == theirs["state"][key]).all() for key in ours["state"])


def interrupted(*_):
    raise KeyboardInterrupt


def test_training_interrupted_after_its_last_epoch_is_not_lost(tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole.pt", tmp_path / "broken.pt"
    assert train.main([*QUICK, "--out", str(whole)]) == 0

    monkeypatch.setattr(run, "content_of", interrupted)
    assert train.main([*QUICK, "--out", str(broken)]) == 130
    assert not broken.exists()
    monkeypatch.undo()
    assert train.main([*QUICK, "--out", str(broken), "--resume"]) == 0
    ours, theirs = (torch.load(path, weights_only=True) for path in (whole, broken))
    assert ours["training"]["test_accuracy"] == theirs["training"]["test_accuracy"]
    assert (ours["references"]["logits"] == theirs["references"]["logits"]).all()
    assert not (tmp_path / "broken.pt.resume").exists()


def test_another_training_is_not_gone_on_with(tmp_path, monkeypatch, fails, capsys):
    words = [*QUICK, "--out", str(tmp_path / "model.pt")]
    monkeypatch.setattr(run, "content_of", interrupted)
    assert train.main(words) == 130
    monkeypatch.undo()
    capsys.readouterr()
    for option, value in (("--weight-bits", "2"), ("--timesteps", "1"), ("--surrogate", "box"), ("--seed", "2")):
        assert "the interrupted training was" in fails(train.main, *words, option, value, "--resume")
    assert train.main([*words, "--resume"]) == 0


def test_the_log_has_every_epoch_once(tmp_path, monkeypatch):
    out, written = tmp_path / "model.pt", []

    def interrupted_once(log, path):
        written.append(log)
        if len(written) == 2:
            raise KeyboardInterrupt
        write_log(log, path)

    monkeypatch.setattr(training, "write_log", interrupted_once)
    assert train.main([*QUICK, "--out", str(out)]) == 130
    assert train.main([*QUICK, "--out", str(out), "--resume"]) == 0
    with out.with_suffix(".csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_a_first_layer_of_as_many_bits_is_no_other_training():
    words = [*QUICK, "--out", "model.pt", "--weight-bits", "8"]
    assert command_of(parse([*words, "--first-weight-bits", "8"])) == command_of(parse(words))
    assert command_of(parse([*words, "--first-weight-bits", "7"])) != command_of(parse(words))


def test_user_errors(tmp_path, fails):
    out = tmp_path / "model.pt"
    assert "imagenet" in fails(train.main, "--data", "imagenet", "--out", out)
    assert "vgg" in fails(train.main, "--data", "digits", "--model", "vgg", "--out", out)
    assert "--convolutions" in fails(
        train.main, "--data", "digits", "--model", "cnn", "--convolutions", 1, "--out", out
    )
    assert "nowhere" in fails(train.main, "--data", "digits", "--out", tmp_path / "nowhere" / "model.pt")
    assert "resume" in fails(train.main, "--data", "digits", "--out", out, "--resume")
    for option, value in (
        ("--timesteps", 0), ("--burst-bits", 0), ("--weight-bits", 40), ("--hidden", -3), ("--batch", 5000),
        ("--learning-rate", "nan"), ("--shift", -1), ("--label-smoothing", 7), ("--qat-epochs", -1),
    ):  # fmt: skip
        assert option[2:] in fails(train.main, "--data", "digits", "--out", out, option, value)
    assert "suffix" in fails(train.main, "--data", "digits", "--out", tmp_path / "model.csv")
    assert "--out" in fails(train.main, "--data", "digits", "--out", tmp_path)


def test_sums_that_float32_could_not_hold_are_refused():
    torch.manual_seed(1)
    # 14 x 14 inputs of up to 255, 4 timesteps: weights of 84 on average reach 2^24.
    model = make_model("mlp", ModelOptions(input_shape=(1, 14, 14), weight_bits=8, input_bits=8, hidden=()))
    samples = torch.randint(0, 256, (16, 1, 14, 14), dtype=torch.uint8)
    assert isinstance(model, Staged)
    [projection] = model.readout.projections
    assert isinstance(projection, QuantProjection)
    weight = projection.weight
    with torch.no_grad():
        weight.uniform_(-1.0, 1.0)
        quantization.begin(copy.deepcopy(model), samples)
        weight.uniform_(0.94, 1.0)
        with pytest.raises(UserError, match="exact below"):
            quantization.begin(copy.deepcopy(model), samples)
        weight.uniform_(-1.0, 1.0)
        quantization.begin(model, samples)
        weight.fill_(1.0)
    with pytest.raises(UserError, match="exact below"):
        checkpoint.describe(model, samples, torch.zeros(16, dtype=torch.long))


def fraction_bits(path):
    return [layer["fraction_bits"] for layer in torch.load(path, weights_only=True)["layers"]]


def test_fraction_bits_like_those_of_another_checkpoint(digits_checkpoint, tmp_path, fails, capsys):
    free, like, floats = (tmp_path / f"{name}.pt" for name in ("free", "like", "floats"))
    assert train.main([*QUICK, "--out", str(free)]) == 0
    assert train.main([*QUICK, "--like", str(digits_checkpoint), "--out", str(like)]) == 0
    assert fraction_bits(free) != fraction_bits(digits_checkpoint) == fraction_bits(like)
    assert train.main([*QUICK, "--qat-epochs", "0", "--out", str(floats)]) == 0
    capsys.readouterr()
    assert "float checkpoint" in fails(train.main, *QUICK, "--like", floats, "--out", like)
    line = fails(train.main, *QUICK, "--model", "cnn", "--like", digits_checkpoint, "--out", like)
    assert "another architecture" in line


def test_a_teacher_of_another_subject_is_refused(fashion_checkpoint, tmp_path, fails):
    line = fails(train.main, *QUICK, "--teacher", fashion_checkpoint, "--out", tmp_path / "model.pt")
    assert "(1, 28, 28)" in line
    assert "(1, 8, 8)" in line


def test_two_processes_of_torchrun_train_one_network(tmp_path):
    out = tmp_path / "model.pt"
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "snn.train"]
    finished = subprocess.run([*words, *QUICK, "--out", str(out)], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("qat checkpoint") == 1
    content = torch.load(out, weights_only=True)
    assert content["training"]["test_accuracy"] > 0.5
    assert accuracy(checkpoint.load_model(out), load("digits", "test")) == content["training"]["test_accuracy"]


def test_two_processes_share_a_batch_without_loss():
    images = load("digits", "train").first(64)

    def step(share):
        torch.manual_seed(1)
        model = make_model("mlp", ModelOptions(input_shape=(1, 8, 8), hidden=()))
        alone = Training(model, Recipe(float_epochs=1, batch=64), images, images, command="")
        alone._loss(alone.pixels[share], alone.labels[share]).backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    workers = [Workers(rank=rank, count=2, device=torch.device("cpu")) for rank in range(2)]
    everything = torch.arange(64)
    shares = [worker.share(everything) for worker in workers]
    assert sorted(torch.cat(shares).tolist()) == everything.tolist()
    parts = [step(share) for share in shares]
    for whole, first, second in zip(step(everything), *parts, strict=True):
        assert torch.allclose(whole, (first + second) / 2, atol=1e-6)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_balance_weighs_the_loss_of_every_class_by_its_rarity(balance):
    images, random = load("digits", "train").first(600), torch.Generator().manual_seed(3)
    images.labels[:500] = 7
    model = Staged(ModelOptions(input_shape=(1, 8, 8), classes=10, hidden=(8,), timesteps=1), [], (1, 8, 8))
    steps = Training(model, Recipe(balance=balance, label_smoothing=0), images, images, command="")
    logits, labels = torch.randn(40, 10, generator=random), torch.from_numpy(images.labels[480:520])
    shares = [max(1, int((images.labels == label).sum())) / 600 for label in range(10)]
    weights = [shares[label] ** -balance for label in labels.tolist()]
    losses = [-logits.log_softmax(1)[place, label].item() for place, label in enumerate(labels.tolist())]
    expected = sum(weight * loss for weight, loss in zip(weights, losses, strict=True)) / sum(weights)
    found = steps._loss(torch.from_numpy(images.pixels[:1]), labels, lambda _: logits)
    assert found.item() == pytest.approx(expected, rel=1e-5)
