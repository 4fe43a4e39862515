import csv

import pytest
import torch

from snn import train

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


@pytest.mark.parametrize("stop_after", [1, 3])
def test_resumed_training_ends_where_an_unbroken_one_does(tmp_path, monkeypatch, stop_after):
    whole, broken = tmp_path / "whole.pt", tmp_path / "broken.pt"
    assert train.main([*QUICK, "--out", str(whole)]) == 0
    run_epoch = train.Training.run_epoch

    def interrupted(self):
        if self.epoch == stop_after:
            raise KeyboardInterrupt
        return run_epoch(self)

    monkeypatch.setattr(train.Training, "run_epoch", interrupted)
    assert train.main([*QUICK, "--out", str(broken)]) == 130
    assert not broken.exists()
    monkeypatch.setattr(train.Training, "run_epoch", run_epoch)
    assert train.main([*QUICK, "--out", str(broken), "--resume"]) == 0
    ours, theirs = (torch.load(path, weights_only=True) for path in (whole, broken))
    assert (ours["references"]["logits"] == theirs["references"]["logits"]).all()
    assert all((ours["state"][key] == theirs["state"][key]).all() for key in ours["state"])


def test_user_errors(tmp_path, fails):
    out = tmp_path / "model.pt"
    assert "imagenet" in fails(train.main, "--data", "imagenet", "--out", out)
    assert "resnet" in fails(train.main, "--data", "digits", "--model", "resnet", "--out", out)
    assert "nowhere" in fails(train.main, "--data", "digits", "--out", tmp_path / "nowhere" / "model.pt")
    assert "resume" in fails(train.main, "--data", "digits", "--out", out, "--resume")
