import gzip
import shutil

import numpy as np
import pytest

from qblif.errors import UserError
from snn.datasets import data


def write_idx(folder, name: str, values: np.ndarray, *, zipped: bool) -> None:
    content = b"\0\0\x08" + bytes([values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    content += values.astype(np.uint8).tobytes()
    if zipped:
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    else:
        (folder / name).write_bytes(content)


@pytest.fixture(params=[True, False])
def idx_folder(tmp_path, request):
    random = np.random.default_rng(1)
    for split, count in (("train", 7), ("t10k", 3)):
        pixels = random.integers(0, 256, (count, 4, 5))
        write_idx(tmp_path, f"{split}-images-idx3-ubyte", pixels, zipped=request.param)
        write_idx(tmp_path, f"{split}-labels-idx1-ubyte", np.arange(count), zipped=request.param)
    return tmp_path


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx(idx_folder, name):
    images = data.load(name, "test", idx_folder)
    assert images.pixels.shape == (3, 1, 4, 5)
    assert images.labels.tolist() == [0, 1, 2]
    assert images.first(2).labels.tolist() == [0, 1]


def test_damaged_idx(idx_folder):
    for path in idx_folder.glob("t10k-images*"):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="t10k-images"):
        data.load("mnist", "test", idx_folder)


def test_damaged_gzip(tmp_path):
    for name in data.IDX_FILES["test"]:
        content = bytearray(gzip.compress(bytes(range(256)) * 100))
        content[20:60] = bytes(40)
        (tmp_path / f"{name}.gz").write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        data.load("mnist", "test", tmp_path)


def test_cifar10_binary(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    record = np.arange(3073, dtype=np.uint32).astype(np.uint8)
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        (folder / name).write_bytes(np.tile(record, 2).tobytes())
    train, test = (data.load("cifar10", split, tmp_path) for split in ("train", "test"))
    assert train.pixels.shape == (10, 3, 32, 32)
    assert test.labels.tolist() == [0, 0]
    assert test.pixels[0, 1, 0, 0] == record[1 + 1024]


def test_digits_split():
    train, test = (data.load("digits", split) for split in ("train", "test"))
    assert (len(train.labels), len(test.labels)) == (1437, 360)
    assert test.pixels.max() == 255


@pytest.mark.parametrize("name", ["imagenet", "mnist", "cifar10"])
def test_what_is_absent_gets_one_clear_line(tmp_path, name, monkeypatch):
    monkeypatch.setattr(data, "SYSTEM_DATASETS", tmp_path)
    with pytest.raises(UserError) as caught:
        data.load(name, "test", None if name == "mnist" else tmp_path)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", [name for name in data.NAMES if name != "digits"])
def test_a_folder_that_cannot_be_looked_at_gets_one_clear_line(tmp_path, name):
    with pytest.raises(UserError, match=f"{name}: cannot read .*: File name too long"):
        data.load(name, "test", tmp_path / ("x" * 5000))


def test_fashion_mnist_prefers_the_system_folder(idx_folder, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "SYSTEM_DATASETS", tmp_path / "datasets")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "fashion-mnist").symlink_to(idx_folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    assert len(data.load("fashion_mnist", "train").labels) == 7


def test_a_cached_folder_that_lacks_a_file_is_fetched_anew(idx_folder, monkeypatch, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    cache = home / "qblif"
    monkeypatch.setattr(data, "SYSTEM_DATASETS", home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    (cache / "fashion-mnist").mkdir(parents=True)
    fetched = []

    def package(_name, _inside, target):
        fetched.append(target)
        shutil.copytree(idx_folder, target)
        return True

    monkeypatch.setattr(data, "fetch_debian", package)
    assert [len(data.load("fashion_mnist", split).labels) for split in ("test", "train")] == [3, 7]
    assert fetched == [cache / "fashion-mnist"]
