"""Data sets in their standard layouts: IDX (MNIST, Fashion-MNIST), CIFAR-10 binary, scikit-learn's digits, heartbeats,
events, and files of anybody's own.

Needs only numpy (digits also scikit-learn). Nothing is unpickled. Every set is returned as unsigned bytes.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qblif.errors import STORAGE_ERRORS, UserError
from qblif.kept import cache_folder
from qblif.network.checks import Shape
from qblif.network.nodes import Coding
from snn.datasets.events import EVENT_LOADERS, Split
from snn.datasets.fetch import Official, fetch_debian, fetch_official
from snn.datasets.idx import read_cifar10, read_idx
from snn.datasets.mitbih import MITBIH, load_mitbih
from snn.datasets.npz import check_npz, npz_coding, read_npz

SYSTEM_DATASETS = Path("/usr/share/datasets")


@dataclass(frozen=True, kw_only=True)
class Images:
    """Samples and their labels.

    Attributes:
        pixels: uint8 (count, C, H, W), or event counts or frames (count, T, C, H, W).
        labels: int64 (count,), or (count, T) with a label for every timestep.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @property
    def shape(self) -> Shape:
        """(C, H, W)."""
        channels, height, width = self.pixels.shape[-3:]
        return channels, height, width

    @property
    def timesteps(self) -> int | None:
        """T of recordings; None for images."""
        return self.pixels.shape[1] if self.pixels.ndim == 5 else None

    @property
    def last_labels(self) -> NDArray[np.int64]:
        """(count,): where every timestep has a label, that of the last."""
        return self.labels if self.labels.ndim == 1 else self.labels[:, -1]

    def first(self, count: int | None) -> "Images":
        """The first ``count`` images, or all of them."""
        return self.range(0, count)

    def range(self, start: int, end: int | None) -> "Images":
        """The images from ``start`` up to, but not including, ``end``."""
        return Images(pixels=self.pixels[start:end], labels=self.labels[start:end])


FASHION_MNIST = Official(
    address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    sha256={
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    },
)
IDX_FILES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def load(name: str, split: Split, data_dir: Path | None = None, timesteps: int = 1) -> Images:
    """Load a data set by name.

    Args:
        name: one of :data:`NAMES`; ``npz:FILE`` reads a file as :mod:`snn.datasets.npz` describes it.
        split: ``train`` or ``test``.
        data_dir: folder with the set's files, or with a subfolder of the set's name; of FILE, the folder that it is in.
        timesteps: T, the frames that the events of a recording are binned into; images and files ignore it.

    Raises:
        UserError: the name is unknown, or the files are missing or damaged; the message says how to get them.
    """
    if timesteps < 1:
        raise UserError(f"{name}: there must be at least 1 timestep, not {timesteps}")
    check_source(name, data_dir)
    with readable(name):
        if name.startswith(NPZ):
            pixels, labels = read_npz(npz_file(name, data_dir), split)
            return Images(pixels=pixels, labels=labels)
        if name not in EVENT_LOADERS:
            return LOADERS[name](split, data_dir)
        assert data_dir is not None
        pixels, labels = EVENT_LOADERS[name](split, data_dir, timesteps)
        return Images(pixels=pixels, labels=labels)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Raise UserError if a file of the data set cannot be read."""
    try:
        yield
    except OSError as error:
        if error.errno in STORAGE_ERRORS:
            raise
        raise UserError(f"{name}: cannot read {error.filename or 'its files'}: {error.strerror or error}") from error


def check_source(name: str, data_dir: Path | None) -> None:
    """Raise UserError if a data set cannot be loaded: its name is unknown, or its folder or file is missing."""
    if name not in NAMES and not name.startswith(NPZ):
        raise UserError(f"unknown data set {name!r}; there are {', '.join(NAMES)}")
    if data_dir is None and name in EVENT_LOADERS:
        raise UserError(f"{name}: name the folder that it was unpacked to with --data-dir")
    with readable(name):
        if data_dir is not None and not data_dir.is_dir():
            raise UserError(f"{name}: there is no folder {data_dir}")
        if name.startswith(NPZ):
            check_npz(npz_file(name, data_dir))


def load_fashion_mnist(split: Split, data_dir: Path | None) -> Images:
    """Fashion-MNIST from ``data_dir``, /usr/share/datasets, Debian's package or its official address, in this order."""
    if data_dir is not None:
        return read_split(idx_folder("fashion_mnist", data_dir), split)
    system = SYSTEM_DATASETS / "fashion-mnist"
    if has_idx(system):
        return read_split(system, split)
    cached = cache_folder() / "fashion-mnist"
    # Folders appear complete or not at all, so an incomplete one is not the work in progress of another process.
    if cached.is_dir() and not is_complete(cached):
        shutil.rmtree(cached, ignore_errors=True)
    if not cached.is_dir() and not fetch_debian("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist", cached):
        fetch_official(FASHION_MNIST, cached)
    return read_split(cached, split)


def load_mnist(split: Split, data_dir: Path | None) -> Images:
    """MNIST from a folder of IDX files."""
    if data_dir is None and not has_idx(SYSTEM_DATASETS / "mnist"):
        raise UserError(
            "mnist: name the folder of its IDX files with --data-dir "
            "(train-images-idx3-ubyte and the rest, .gz or not; from yann.lecun.com/exdb/mnist or a mirror)"
        )
    return read_split(SYSTEM_DATASETS / "mnist" if data_dir is None else idx_folder("mnist", data_dir), split)


def load_cifar10(split: Split, data_dir: Path | None) -> Images:
    """CIFAR-10 from its binary version (data_batch_1.bin ... test_batch.bin)."""
    names = [f"data_batch_{index}.bin" for index in range(1, 6)] if split == "train" else ["test_batch.bin"]
    folders = [] if data_dir is None else [data_dir, data_dir / "cifar-10-batches-bin", data_dir / "cifar10"]
    folder = next((folder for folder in folders if (folder / names[0]).is_file()), None)
    if folder is None:
        raise UserError(
            f"cifar10: no {names[0]} in {data_dir or 'any folder (name one with --data-dir)'}; get the binary version, "
            "cifar-10-binary.tar.gz, from www.cs.toronto.edu/~kriz/cifar.html and unpack it"
        )
    pixels, labels = read_cifar10([folder / name for name in names])
    return Images(pixels=pixels, labels=labels)


def load_digits(split: Split, data_dir: Path | None) -> Images:
    """scikit-learn's 8x8 digits, scaled to bytes; every fifth image is a test image. ``data_dir`` is not needed."""
    del data_dir
    try:
        from sklearn.datasets import load_digits as bundled
    except ImportError as error:
        raise UserError("digits: the package scikit-learn is not installed (pip install scikit-learn)") from error
    values, labels = bundled(return_X_y=True)
    pixels = np.floor(values * 255 / 16 + 0.5).astype(np.uint8).reshape(-1, 1, 8, 8)
    chosen = (np.arange(len(labels)) % 5 == 0) == (split == "test")
    return Images(pixels=pixels[chosen], labels=labels[chosen].astype(np.int64))


def heartbeats(name: str) -> Callable[[Split, Path | None], Images]:
    """The loader of a data set of :mod:`snn.datasets.mitbih`."""

    def load_heartbeats(split: Split, data_dir: Path | None) -> Images:
        if data_dir is None:
            raise UserError(f"{name}: name the folder of the MIT-BIH Arrhythmia Database with --data-dir")
        pixels, labels = load_mitbih(name, split, data_dir)
        return Images(pixels=pixels, labels=labels)

    return load_heartbeats


LOADERS: dict[str, Callable[[Split, Path | None], Images]] = {
    "fashion_mnist": load_fashion_mnist,
    "mnist": load_mnist,
    "cifar10": load_cifar10,
    "digits": load_digits,
    **{name: heartbeats(name) for name in MITBIH},
}
NPZ = "npz:"
NAMES = (*LOADERS, *EVENT_LOADERS, f"{NPZ}FILE")
"""All data sets."""


def npz_file(name: str, data_dir: Path | None) -> Path:
    """The FILE of ``npz:FILE``."""
    path = Path(name.removeprefix(NPZ))
    return path if data_dir is None else data_dir / path


def coding_of(name: str, data_dir: Path | None = None) -> Coding:
    """How the samples of a data set become bursts (:class:`qblif.network.nodes.InputSpec`); raises UserError."""
    if name.startswith(NPZ):
        return npz_coding(npz_file(name, data_dir))
    return "events" if name in EVENT_LOADERS else "direct"


def idx_file(folder: Path, name: str) -> Path | None:
    """An IDX file of ``folder``, gzipped or not; None if it is missing."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def has_idx(folder: Path) -> bool:
    """Whether ``folder`` looks like a folder of IDX files."""
    return idx_file(folder, IDX_FILES["test"][0]) is not None


def is_complete(folder: Path) -> bool:
    """Whether ``folder`` has the IDX files of both splits."""
    return all(idx_file(folder, name) for names in IDX_FILES.values() for name in names)


def idx_folder(name: str, data_dir: Path) -> Path:
    """``data_dir`` or its subfolder of the set's name, whichever holds IDX files; raises UserError."""
    for folder in (data_dir, data_dir / name, data_dir / name.replace("_", "-")):
        if has_idx(folder):
            return folder
    raise UserError(f"{name}: no IDX files ({IDX_FILES['test'][0]}, .gz or not) in {data_dir}")


def read_split(folder: Path, split: Split) -> Images:
    """The images and labels of one split from a folder of IDX files, gzipped or not; raises UserError."""
    found = [(name, idx_file(folder, name)) for name in IDX_FILES[split]]
    for name, path in found:
        if path is None:
            raise UserError(f"{folder / name} is missing (.gz would do)")
    images, labels = (path for _, path in found if path is not None)
    pixels, numbers = read_idx(images, labels)
    return Images(pixels=pixels[:, np.newaxis], labels=numbers)
