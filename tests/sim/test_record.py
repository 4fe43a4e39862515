"""Records of finished work."""

import errno
import json
from pathlib import Path

import pytest

from qblif.errors import UserError
from sim.record import keep


def test_a_record_is_there_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path, write = tmp_path / "folder" / "record.json", Path.write_bytes

    def full_disk(self: Path, data: bytes) -> int:
        write(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "no space left on device")

    keep(path, {"done": [1]})
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full_disk)
        with pytest.raises(UserError, match="no space"):
            keep(path, {"done": [1, 2]})
    assert json.loads(path.read_text()) == {"done": [1]}
    keep(path, {"done": [1, 2]})
    assert json.loads(path.read_text()) == {"done": [1, 2]}
    assert [found.name for found in path.parent.iterdir()] == ["record.json"]
