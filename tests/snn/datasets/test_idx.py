"""Damaged, false and malicious files of images: one line with the file's name, and no memory or time beyond reason."""

import gzip
import resource
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest

from qblif.errors import UserError
from snn.datasets import data
from snn.datasets.idx import read_cifar10, read_idx, read_idx_array

PIXELS = bytes(range(24))
IMAGES = b"\0\0\x08\x03" + bytes([0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + PIXELS
LABELS = b"\0\0\x08\x01" + bytes([0, 0, 0, 2]) + bytes([9, 0])


def put(folder, images=IMAGES, labels=LABELS, suffix=""):
    paths = [folder / f"t10k-{name}{suffix}" for name in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    for path, content in zip(paths, (images, labels), strict=True):
        path.write_bytes(gzip.compress(content) if suffix and content[:2] != b"\x1f\x8b" else content)
    return paths


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_the_bytes_say_is_read(tmp_path, suffix):
    pixels, labels = read_idx(*put(tmp_path, suffix=suffix))
    assert pixels.shape == (2, 3, 4)
    assert pixels.tobytes() == PIXELS
    assert labels.tolist() == [9, 0]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (b"", LABELS, "images.* is not an IDX file of bytes: it starts with nothing"),
        (b"<html>" * 9, LABELS, "images.* is not an IDX file of bytes: it starts with 3c 68 74 6d"),
        (IMAGES[:9], LABELS, "images.* is not an IDX file"),
        (b"\0\0\x0d" + IMAGES[3:], LABELS, "images.* is not an IDX file of bytes: it starts with 00 00 0d 03"),
        (b"\0\0\x08\x04" + IMAGES[4:], LABELS, "images.* has 4 dimensions, not 3"),
        (LABELS + bytes(8), LABELS, "images.* has 1 dimensions, not 3"),
        (IMAGES, IMAGES, "labels.* has 3 dimensions, not 1"),
        (IMAGES[:-1], LABELS, "images.* is damaged"),
        (IMAGES + b"\0", LABELS, "images.* is damaged"),
        (IMAGES[:4] + bytes(12), LABELS, "images.* is empty: its shape is 0 x 0 x 0"),
        (IMAGES[:7] + b"\0" + IMAGES[8:16], LABELS, "images.* is empty: its shape is 0 x 3 x 4"),
        (IMAGES[:4] + b"\xff" * 12 + PIXELS, LABELS, "images.* is too large: 4294967295 x 4294967295 x 4294967295"),
        (IMAGES, b"\0\0\x08\x01\0\0\0\x03\1\2\3", "2 images, but .*labels.* holds 3 labels"),
        (IMAGES, b"\0\0\x08\x01\0\0\0\x02\1\x0a", "labels.* is damaged: label 1 is 10, not 0 to 9"),
    ],
)
def test_a_false_idx_file_is_named(tmp_path, suffix, images, labels, words):
    paths = put(tmp_path, images, labels, suffix)
    with pytest.raises(UserError, match=words) as caught:
        data.load("mnist", "test", tmp_path)
    assert any(str(path) in str(caught.value) for path in paths)
    assert "\n" not in str(caught.value)


ZIPPED = gzip.compress(IMAGES, mtime=0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ZIPPED[:-9], "is damaged: it ends early"),
        (ZIPPED[:-1], "is damaged: it ends early"),
        (ZIPPED + b"more", "is damaged: something follows its end"),
        (ZIPPED[:-8] + bytes(4) + ZIPPED[-4:], "is damaged: .*incorrect data check"),
        (ZIPPED[:-4] + bytes(4), "is damaged: .*incorrect length check"),
        (b"\x1f\x8b" + bytes(30), "is damaged: "),
    ],
)
def test_a_damaged_gzip_file_is_named(tmp_path, content, words):
    path, _ = put(tmp_path, content, suffix=".gz")
    with pytest.raises(UserError, match=words) as caught:
        data.load("mnist", "test", tmp_path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_zipped_as_its_name_says(tmp_path):
    (tmp_path / "x.gz").write_bytes(IMAGES)
    with pytest.raises(UserError, match=r"x\.gz is damaged: .*incorrect header"):
        read_idx_array(tmp_path / "x.gz", 3)


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("folder", "none", "none.gz"):
        with pytest.raises(UserError, match=f"cannot read .*{name}"):
            read_idx_array(tmp_path / name, 3)


MEASURED = """
import sys, time
from pathlib import Path
from qblif.errors import UserError
from snn.datasets.idx import read_idx_array
begin = time.monotonic()
try:
    read_idx_array(Path(sys.argv[1]), 3)
except UserError as error:
    print(error, file=sys.stderr)
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(time.monotonic() - begin, peak)
"""


def bomb(claimed, held, width=1):
    """A gzip file whose header claims ``claimed`` images of 1 x ``width`` pixels, with ``held`` zeros."""
    member = zlib.compressobj(wbits=31)
    pieces = [member.compress(IMAGES[:4] + struct.pack(">III", claimed, 1, width))]
    pieces += [member.compress(bytes(2**20)) for _ in range(held // 2**20)]
    return b"".join([*pieces, member.flush()])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bomb(24, 2**30), "holds more"),
        (bomb(2**30, 2**30), "is too large"),
        (bomb(2**23, 2**23), "is too large"),
        (bomb(2**22, 2**21, 64), f"and it holds only {2**21}"),
        (b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 2**25, "ends early"),
        (gzip.compress(b"", mtime=0) * 100_000, "something follows its end"),
    ],
    ids=["more than it says", "as much as it says", "too many", "less than it says", "a long name", "many members"],
)
def test_a_bomb_costs_little(tmp_path, content, words):
    (tmp_path / "x.gz").write_bytes(content)
    program = [sys.executable, "-c", MEASURED, tmp_path / "x.gz"]
    finished = subprocess.run(program, capture_output=True, text=True, check=True)
    seconds, kilobytes = map(float, finished.stdout.split())
    assert words in finished.stderr
    assert seconds < 5
    assert kilobytes < 500_000


def cifar10(labels):
    return b"".join(bytes([label]) + bytes([label] * 1024 + [20] * 1024 + [30] * 1024) for label in labels)


def test_batches_follow_one_another(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, part in zip(paths, ([1, 2], [9]), strict=True):
        path.write_bytes(cifar10(part))
    pixels, labels = read_cifar10(paths)
    assert labels.tolist() == [1, 2, 9]
    assert pixels.shape == (3, 3, 32, 32)
    assert pixels[:, 0, 5, 5].tolist() == [1, 2, 9]
    assert np.unique(pixels[:, 1]).tolist() == [20]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged: 0 bytes are not a whole number of 3073-byte records"),
        (cifar10([1])[:-1], "is damaged: 3072 bytes"),
        (cifar10([1, 3, 11]), "is damaged: label 2 is 11, not 0 to 9"),
    ],
)
def test_a_false_batch_is_named(tmp_path, content, words):
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        data.load("cifar10", "test", tmp_path)
    assert str(tmp_path / "test_batch.bin") in str(caught.value)


def test_a_batch_of_gigabytes_is_not_read(tmp_path):
    with (tmp_path / "test_batch.bin").open("wb") as file:
        file.truncate(3073 * 10**6)
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match="is too large"):
        data.load("cifar10", "test", tmp_path)
    assert time.monotonic() - begin < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("steps", [0, -1])
def test_timesteps_are_counted_from_one(steps):
    with pytest.raises(UserError, match="at least 1 timestep"):
        data.load("digits", "test", None, steps)
