"""Shipped networks by name, from any folder."""

from pathlib import Path

import pytest

from gen import plan
from qblif.errors import UserError
from qblif.zoo import ZOO, checkpoint


@pytest.mark.parametrize("name", [path.stem for path in ZOO.glob("*.pt")])
def test_every_shipped_network_has_a_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoint(name) == ZOO / f"{name}.pt"


def test_files_come_first(tmp_path, monkeypatch):
    (tmp_path / "zoo").mkdir()
    monkeypatch.chdir(tmp_path / "zoo")
    for text in ("digits_mlp", "digits", "digits_mlp.pt", "../digits_resnet", "../zoo/digits_resnet"):
        Path(text).touch()
        assert checkpoint(text) == Path(text)


@pytest.mark.parametrize("text", ["digits", "digits_mlp.pt", "../digits_mlp", "zoo/digits_mlp", "/", ".", ""])
def test_what_is_neither_file_nor_shipped_is_refused(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"shipped are .*digits_mlp|cannot read checkpoint"):
        checkpoint(text)


def test_a_command_takes_the_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert plan.main(["--board", "icebreaker", "--ckpt", "digits_mlp"]) == 0
    assert "hidden_0" in capsys.readouterr().out
