"""The QT database's spikes become a data set in one file."""

from pathlib import Path

import numpy as np
import pytest

from snn.command import command_of, parse
from snn.datasets import data
from snn.datasets.events import Split
from studies import qtdb


@pytest.fixture
def folder(tmp_path):
    """Files as the published ones are, but small."""
    savemat = pytest.importorskip("scipy.io").savemat
    random = np.random.default_rng(5)
    for split, count in (("train", 5), ("test", 3)):
        x = random.integers(-1, 2, (count, 9, 4)).astype(np.int16)
        y = np.eye(7, dtype=np.uint8)[random.integers(0, 7, (count, 9))][:, :, :6]
        savemat(tmp_path / f"QTDB_{split}.mat", {"x": x, "y": y, "t": np.zeros((count, 9)), "max_i": [9] * count})
    return tmp_path


def test_spikes_up_and_down_are_channels_of_their_own(folder):
    loadmat = pytest.importorskip("scipy.io").loadmat
    assert qtdb.main(["--data-dir", str(folder), "--out", str(folder / "qtdb.npz")]) == 0
    assert data.coding_of("npz:qtdb.npz", folder) == "events"
    splits: tuple[tuple[Split, int], ...] = (("train", 5), ("test", 3))
    for split, count in splits:
        images, content = data.load("npz:qtdb.npz", split, folder), loadmat(folder / f"QTDB_{split}.mat")
        assert images.pixels.shape == (count, 9, 8, 1, 1)
        up, down = images.pixels[..., :4, 0, 0].astype(int), images.pixels[..., 4:, 0, 0].astype(int)
        assert (up - down == qtdb.SPIKE * content["x"]).all()
        assert (up * down == 0).all()
        for labels, classes in zip(images.labels, content["y"], strict=True):
            assert labels.tolist() == [list(one).index(1) if any(one) else 0 for one in classes]


def test_files_that_are_none(folder, fails):
    savemat = pytest.importorskip("scipy.io").savemat
    words = ["--data-dir", folder, "--out", folder / "qtdb.npz"]
    assert "cannot be written" in fails(qtdb.main, "--data-dir", folder, "--out", folder / "nowhere" / "qtdb.npz")
    savemat(folder / "QTDB_test.mat", {"x": np.full((2, 9, 4), 2), "y": np.zeros((2, 9, 6))})
    assert "are not spikes and one-hot classes" in fails(qtdb.main, *words)
    (folder / "QTDB_test.mat").write_bytes(b"MATLAB 5.0" + bytes(300))
    assert "is not a MATLAB file of spikes" in fails(qtdb.main, *words)
    (folder / "QTDB_train.mat").unlink()
    assert "cannot read MATLAB file" in fails(qtdb.main, *words)
    assert not (folder / "qtdb.npz").exists()


def test_the_recipe_is_a_command():
    recipe = Path(qtdb.__file__).with_suffix(".toml")
    options = parse(["--recipe", str(recipe), "--out", "model.pt"])
    assert (options.stream, options.data) == (True, "npz:qtdb.npz")
    assert "--hidden 36r" in command_of(options)
