"""Every malformed checkpoint is refused in one line that says what is wrong."""

import io
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gen import build
from gen.frontend.origin import read_network
from qblif.errors import UserError
from qblif.network.file import network_sha256


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
    "which is not a node": lambda c: c["activity"].update(nowhere=[1.0]),
    "test_accuracy": lambda c: c["training"].update(test_accuracy="high"),
    "'1'": lambda c: c.update(version="1"),
    "single number": lambda c: c["layers"][0].update(scale=torch.zeros(2)),
    "not a plain tensor": lambda c: c["layers"][0].update(bias=c["layers"][0]["bias"].to_sparse()),
    "letters, digits": rename_with_a_space,
    "give other logits": lambda c: c["references"].update(logits=c["references"]["logits"].long() + 2**20),
    "references": lambda c: c["references"].update(logits=torch.zeros(3, 3, dtype=torch.long)),
    "unknown mode 'frame'": lambda c: c.update(mode="frame"),
    "differs at every timestep": lambda c: c.update(mode="stream"),
    "'membrane_limits' is a list, not two integers": lambda c: c["layers"][0].update(membrane_limits=[-1, 2.5]),
    "with 0 between them": lambda c: c["layers"][-1].update(limits=[1, 2]),
    "'limits' is a int, not a list": lambda c: c["layers"][-1].update(limits=3),
    "outside 0 to 1": lambda c: c["layers"][0].update(current_leak=[3, 1]),
    "but no leak of one": lambda c: c["layers"][0].update(current_limits=[-1, 1]),
    "'maximum' is a int, not a bool": lambda c: c["layers"][-1].update(maximum=1),
    "'recurrent' is a int, not a bool": lambda c: c["layers"][0]["projections"][0].update(recurrent=1),
    "from a node before it": lambda c: c["layers"][0]["projections"][0].update(recurrent=True),
}


def first(c):
    return c["layers"][0]


UNKNOWN = {
    "top": lambda c: c.update(threshold=1.0),
    "input": lambda c: c["input"].update(mean=0.5),
    "layer": lambda c: first(c).update(threshold=1.0),
    "readout": lambda c: c["layers"][-1].update(reset="soft"),
    "projection": lambda c: first(c)["projections"][0].update(threshold=4),
    "neutral": lambda c: first(c)["projections"][0].update(dilation=1),
    "groups": lambda c: first(c)["projections"][0].update(groups=4),
    "dense stride": lambda c: first(c)["projections"][0].update(stride=2),
    "floats": lambda c: first(c)["projections"][0]["floats"].update(momentum=0.1),
    "references": lambda c: c["references"].update(mean=0),
    "skip": lambda c: first(c).update(skip={"source": "input", "source_scale": torch.ones(()), "weight": 1, "gain": 2}),
    "pooling": lambda c: c["layers"].insert(
        1, {"kind": "pooling", "name": "p", "source": "hidden_0", "pooling": "sum", "kernel": 2, "dilation": 1}
    ),
    "key": lambda c: first(c).update({7: 7}),
}


@pytest.mark.parametrize("place", list(UNKNOWN))
def test_keys_that_are_not_understood_are_refused(place, digits_checkpoint, tmp_path):
    with pytest.raises(UserError, match="is not understood"):
        read_network(altered(digits_checkpoint, tmp_path, UNKNOWN[place]))


def test_every_shipped_checkpoint_is_read(zoo):
    for path in zoo.glob("*.pt"):
        assert read_network(path)[0].kind == "qat"


TENSORS = {
    "expanded": lambda t: torch.zeros(1, dtype=t.dtype).expand(10**5, 10**4),
    "0-d": lambda t: t.flatten()[0].clone(),
    "meta": lambda t: torch.empty_like(t, device="meta"),
    "large meta": lambda t: torch.empty(10**6, 10**6, dtype=t.dtype, device="meta"),
    "sparse": lambda t: t.to_sparse(),
    "bool": lambda t: t.bool(),
    "empty": lambda t: t[:0].clone(),
}
PLACES = {
    "weights": lambda c: (first(c)["projections"][0], "weights"),
    "bias": lambda c: (first(c), "bias"),
    "exponent": lambda c: (first(c), "exponent"),
    "floats": lambda c: (first(c)["projections"][0]["floats"], "weight"),
    "samples": lambda c: (c["references"], "samples"),
    "logits": lambda c: (c["references"], "logits"),
}


@pytest.mark.parametrize("place", list(PLACES))
@pytest.mark.parametrize("kind", list(TENSORS))
def test_tensors_that_are_not_plain_are_refused(kind, place, digits_checkpoint, tmp_path):
    def change(content):
        section, key = PLACES[place](content)
        section[key] = TENSORS[kind](section[key])

    with pytest.raises(UserError, match=r"altered\.pt|hidden_0|references"):
        read_network(altered(digits_checkpoint, tmp_path, change))


NUMBERS = {
    "weight bits": lambda c: first(c)["projections"][0].update(weight_bits=10**9),
    "fraction bits": lambda c: first(c).update(fraction_bits=10**9),
    "True": lambda c: first(c).update(shape=[32, True, 1]),
    "huge shape": lambda c: first(c).update(shape=[2**2000, 1, 1]),
    "leak": lambda c: first(c).update(leak=[True, True]),
    "repeated layers": lambda c: c.update(layers=[first(c)] * 20_000),
    "repeated projections": lambda c: first(c).update(projections=first(c)["projections"] * 20_000),
    "activity nodes": lambda c: c.update(activity={f"node_{index}": [1.0] for index in range(50_000)}),
    "after the readout": lambda c: c["layers"].append(c["layers"][-1]),
}


@pytest.mark.parametrize("name", list(NUMBERS))
def test_sizes_are_checked_before_anything_is_allocated(name, digits_checkpoint, tmp_path):
    begin = time.process_time()
    with pytest.raises(UserError):
        read_network(altered(digits_checkpoint, tmp_path, NUMBERS[name]))
    assert time.process_time() - begin < 5


def test_every_flipped_bit_is_noticed(digits_checkpoint, tmp_path):
    """A checksum covers all that says something; what is left are dates and padding of the archive."""
    content = digits_checkpoint.read_bytes()
    known = read_network(digits_checkpoint)
    name, random, refused = network_sha256(*known[1:]), np.random.default_rng(1), 0
    path = tmp_path / "flipped.pt"
    for place in random.choice(8 * len(content), 150, replace=False).tolist():
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert network_sha256(*read_network(path)[1:]) == name
        except UserError:
            refused += 1
    assert refused > 75


def repacked(content, method=zipfile.ZIP_STORED, **changes):
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name.rpartition("/")[2].replace(".", "_"), old.read(name)))
    return buffer.getvalue()


def test_archives_that_would_unpack_into_more_are_refused(digits_checkpoint, tmp_path):
    content, path = digits_checkpoint.read_bytes(), tmp_path / "bomb.pt"
    for bad, words in (
        (repacked(content, zipfile.ZIP_DEFLATED), "compressed"),
        (repacked(content, data_pkl=b"(" * 5_000_000), "at most"),
        (b"PK\1\2" * 20_000 + content, "damaged"),
        (content + b"x", "damaged"),
    ):
        path.write_bytes(bad)
        with pytest.raises(UserError, match=words):
            read_network(path)
    with pytest.raises(UserError, match="not a file"):
        read_network(Path("/dev/zero"))


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
