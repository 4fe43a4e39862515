"""Every malformed checkpoint is refused in one line that says what is wrong."""

import os
from typing import Any

import pytest
import torch

from gen import build


class Evil:
    """Pickles into a call of os.system."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def altered(checkpoint, tmp_path, change):
    content: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    change(content)
    path = tmp_path / "altered.pt"
    torch.save(content, path)
    return path


def refuse(fails, path, tmp_path) -> str:
    out = tmp_path / "out"
    line = fails(build.main, "--board", "icebreaker", "--ckpt", path, "--out", out, "--until", "rtl")
    assert not out.exists()
    return line


def set_nan(content):
    content["layers"][0]["projections"][0]["floats"]["weight"][0, 0] = float("nan")


def change_integer(content):
    content["layers"][0]["projections"][0]["weights"][3, 3] += 2


def zero_weights(content):
    content["layers"][0]["projections"][0]["weights"][:] = 0
    content["layers"][0]["projections"][0]["floats"]["weight"][:] = 0


def rename_with_a_space(content):
    content["layers"][0]["name"] = "a b"
    content["layers"][1]["projections"][0]["source"] = "a b"


CHANGES = {
    "version 99": lambda c: c.update(version=99),
    "format": lambda c: c.update(format="other"),
    "NaN": set_nan,
    "what its floats fold to": change_integer,
    "round to zero": zero_weights,
    "'layers'": lambda c: c.pop("layers"),
    "'timesteps'": lambda c: c.update(timesteps="four"),
    "kind 'lstm'": lambda c: c["layers"][0].update(kind="lstm"),
    "unsupported projection 'attention'": lambda c: c["layers"][0]["projections"][0].update(kind="attention"),
    "no readout": lambda c: c["layers"].pop(),
    "must be integers": lambda c: c["layers"][0].update(exponent=torch.zeros(32)),
    "leak": lambda c: c["layers"][0].update(leak=[1]),
    "shape": lambda c: c["layers"][0].update(shape=[31, 1, 1]),
    "activity": lambda c: c.update(activity={"input": [float("nan")]}),
    "test_accuracy": lambda c: c["training"].update(test_accuracy="high"),
    "'1'": lambda c: c.update(version="1"),
    "single number": lambda c: c["layers"][0].update(scale=torch.zeros(2)),
    "not a plain tensor": lambda c: c["layers"][0].update(bias=c["layers"][0]["bias"].to_sparse()),
    "letters, digits": rename_with_a_space,
    "give other logits": lambda c: c["references"].update(logits=c["references"]["logits"].long() + 2**20),
    "references": lambda c: c["references"].update(logits=torch.zeros(3, 3, dtype=torch.long)),
}


@pytest.mark.parametrize("expected", list(CHANGES))
def test_altered_checkpoints(expected, digits_checkpoint, tmp_path, fails):
    assert expected in refuse(fails, altered(digits_checkpoint, tmp_path, CHANGES[expected]), tmp_path)


def test_missing_truncated_and_empty(digits_checkpoint, tmp_path, fails):
    assert "missing.pt" in refuse(fails, tmp_path / "missing.pt", tmp_path)
    content = digits_checkpoint.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 20):
        path = tmp_path / "cut.pt"
        path.write_bytes(content[:size])
        assert "cut.pt" in refuse(fails, path, tmp_path)


def test_code_is_never_run(tmp_path, fails, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    torch.save({"format": Evil()}, path)
    assert "evil.pt" in refuse(fails, path, tmp_path)
    assert not (tmp_path / "pwned").exists()
