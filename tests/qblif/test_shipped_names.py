"""Shipped networks by name, from any folder."""

from pathlib import Path

import pytest

from gen import plan
from qblif.zoo import ZOO, checkpoint


@pytest.mark.parametrize("name", [path.stem for path in ZOO.glob("*.pt")])
def test_every_shipped_network_has_a_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoint(name) == ZOO / f"{name}.pt"


def test_files_come_first_and_other_names_stay_what_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits_mlp").touch()
    for text in (
        "digits_mlp",
        "digits",
        "digits_mlp.pt",
        "./digits_resnet",
        "zoo/../digits_resnet",
        "../digits_resnet",
    ):
        assert checkpoint(text) == Path(text)


def test_a_command_takes_the_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert plan.main(["--board", "icebreaker", "--ckpt", "digits_mlp"]) == 0
    assert "hidden_0" in capsys.readouterr().out
