"""Files of images and labels: IDX (MNIST, Fashion-MNIST), gzipped or not, and the binary version of CIFAR-10.

Needs only numpy. The size that a file claims is compared with its real size before memory is allocated, so a damaged
or malicious file costs no more than :data:`LARGEST_BYTES` and a second or two.
"""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from qblif.errors import UserError
from snn.datasets.unzip import PIECE, Unzipped

LARGEST_BYTES = 256 * 2**20
"""Largest content of one file; five times MNIST."""
MOST_ITEMS = 2**22
"""Images or labels; 60 times MNIST."""
IDX_OF_BYTES = b"\0\0\x08"
CIFAR10_RECORD = 1 + 3 * 32 * 32
"""Bytes: the label, then the red, the green and the blue plane."""
CLASSES = 10


def read_idx(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read a file of images and the file of their labels.

    Returns:
        pixels (count, height, width) and labels (count,), all below :data:`CLASSES`.

    Raises:
        UserError: one of them is damaged, or they do not match.
    """
    pixels, numbers = read_idx_array(images, 3), read_idx_array(labels, 1)
    if len(pixels) != len(numbers):
        raise UserError(f"{images} holds {len(pixels)} images, but {labels} holds {len(numbers)} labels")
    check_labels(labels, numbers)
    return pixels, numbers.astype(np.int64)


def read_idx_array(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file of bytes, with ``dimensions`` dimensions, none of them 0; raises UserError."""
    with reading(path) as file:
        stored = path.stat().st_size
        header = 4 + 4 * dimensions
        start = file.read(header)
        if start[:3] != IDX_OF_BYTES or len(start) < header:
            raise UserError(f"{path} is not an IDX file of bytes: it starts with {start[:4].hex(' ') or 'nothing'}")
        if start[3] != dimensions:
            raise UserError(f"{path} has {start[3]} dimensions, not {dimensions}")
        shape = tuple(int.from_bytes(start[at : at + 4], "big") for at in range(4, header, 4))
        size, named = math.prod(shape), " x ".join(map(str, shape))
        if size == 0:
            raise UserError(f"{path} is empty: its shape is {named}")
        if size > LARGEST_BYTES or shape[0] > MOST_ITEMS:
            limit = f"{LARGEST_BYTES} bytes of {MOST_ITEMS} images"
            raise UserError(f"{path} is too large: {named} bytes, and at most {limit} are read")
        if path.suffix != ".gz" and stored != header + size:
            raise UserError(f"{path} is damaged: {named} bytes need {header + size} with the header, it has {stored}")
        content = np.empty(size, dtype=np.uint8)
        filled = fill(file, content)
        if filled < size or file.read(1):
            found = f"only {filled}" if filled < size else "more"
            raise UserError(f"{path} is damaged: its header says {named} bytes, and it holds {found}")
    return content.reshape(shape)


def read_cifar10(paths: list[Path]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The pixels (count, 3, 32, 32) and labels (count,) from some batches of CIFAR-10; raises UserError."""
    sizes = []
    for path in paths:
        with reading(path):
            size = path.stat().st_size
        if size == 0 or size % CIFAR10_RECORD:
            raise UserError(f"{path} is damaged: {size} bytes are not a whole number of {CIFAR10_RECORD}-byte records")
        sizes.append(size)
    if sum(sizes) > LARGEST_BYTES:
        raise UserError(f"{paths[0].parent} is too large: {sum(sizes)} bytes, and at most {LARGEST_BYTES} are read")
    table = np.empty((sum(sizes) // CIFAR10_RECORD, CIFAR10_RECORD), dtype=np.uint8)
    begin = 0
    for path, size in zip(paths, sizes, strict=True):
        part = table[begin : begin + size // CIFAR10_RECORD]
        with reading(path) as file:
            if fill(file, part.reshape(-1)) < size:
                raise UserError(f"{path} is damaged: it ends early")
        check_labels(path, part[:, 0])
        begin += len(part)
    return table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].astype(np.int64)


def check_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    """Raise UserError if a label of a file is not one of the ten classes."""
    wrong = np.flatnonzero(labels >= CLASSES)
    if len(wrong):
        raise UserError(f"{path} is damaged: label {wrong[0]} is {labels[wrong[0]]}, not 0 to {CLASSES - 1}")


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO | Unzipped]:
    """An open file, unzipped while it is read if its name ends in .gz; raises UserError if it cannot be read."""
    try:
        with path.open("rb") as file:
            yield Unzipped(file) if path.suffix == ".gz" else file
    except (EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def fill(file: BinaryIO | Unzipped, array: NDArray[np.uint8]) -> int:
    """Read into ``array`` (bytes, flat) until it is full or the file ends; returns the number of bytes read."""
    filled = 0
    while filled < len(array) and (piece := file.read(min(PIECE, len(array) - filled))):
        array[filled : filled + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
        filled += len(piece)
    return filled
