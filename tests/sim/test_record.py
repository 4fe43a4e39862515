"""Records of finished work."""

import json
from pathlib import Path

import pytest

from sim.record import keep


def test_a_record_is_there_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path, write = tmp_path / "folder" / "record.json", Path.write_text

    def full_disk(self: Path, text: str) -> int:
        write(self, text[: len(text) // 2])
        raise OSError("no space left on device")

    keep(path, {"done": [1]})
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full_disk)
        with pytest.raises(OSError, match="no space"):
            keep(path, {"done": [1, 2]})
    assert json.loads(path.read_text()) == {"done": [1]}
    keep(path, {"done": [1, 2]})
    assert json.loads(path.read_text()) == {"done": [1, 2]}
    assert [found.name for found in path.parent.iterdir()] == ["record.json"]
