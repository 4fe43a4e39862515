"""A data set in one file: read as documented, or refused in one line and within bounds of memory."""

import io
import re
import tracemalloc
import zipfile

import numpy as np
import pytest

from qblif.errors import UserError
from snn.datasets import data

RANDOM = np.random.default_rng(3)
IMAGES = RANDOM.integers(0, 256, (4, 2, 3, 5), dtype=np.uint8)
RECORDINGS = RANDOM.integers(0, 256, (4, 6, 2, 3, 1), dtype=np.uint8)
LABELS = np.array([0, 3, 1, 1])
EACH = RANDOM.integers(0, 3, (4, 6))


def written(folder, samples=RECORDINGS, labels=LABELS, **others) -> str:
    """The name of a data set whose splits are both these."""
    arrays = {f"{what}_{split}": values for split in ("train", "test") for what, values in
              (("samples", samples), ("labels", labels))}  # fmt: skip
    np.savez_compressed(folder / "some.npz", **(arrays | others))
    return f"npz:{folder / 'some.npz'}"


@pytest.mark.parametrize(
    ("samples", "labels", "others", "coding"),
    [
        (IMAGES, LABELS, {}, "direct"),
        (np.asfortranarray(IMAGES), LABELS.astype(np.uint8), {"coding": np.array("direct")}, "direct"),
        (RECORDINGS, LABELS, {}, "frames"),
        (RECORDINGS, EACH, {"coding": np.array("frames")}, "frames"),
        (np.asfortranarray(RECORDINGS), np.asfortranarray(EACH), {"coding": np.array("events")}, "events"),
    ],
)
def test_what_was_written_is_read(samples, labels, others, coding, tmp_path):
    name = written(tmp_path, samples, labels, **others)
    for split in ("train", "test"):
        images = data.load(name, split)
        assert images.pixels.tolist() == samples.tolist()
        assert images.labels.tolist() == labels.tolist()
        assert images.labels.dtype == np.int64
        assert images.timesteps == (None if coding == "direct" else 6)
        assert images.last_labels.tolist() == (labels if labels.ndim == 1 else labels[:, 5]).tolist()
    assert data.coding_of(name) == coding
    assert data.load("npz:some.npz", "test", tmp_path).labels.tolist() == labels.tolist()
    assert data.coding_of("npz:some.npz", tmp_path) == coding


WRONG = {
    "samples_test are uint16": {"samples": IMAGES.astype(np.uint16)},
    "not uint8 (n, C, H, W) or (n, T, C, H, W)": {"samples": IMAGES[0]},
    "labels_test are float64 (4,), not integers (4,) or (4, 6)": {"labels": LABELS / 2},
    "labels_test are int64 (3,), not integers (4,) or (4, 6)": {"labels": LABELS[:3]},
    "labels_test are int64 (4, 5), not integers (4,) or (4, 6)": {"labels": EACH[:, :5]},
    "(4, 6), not integers (4,)": {"samples": IMAGES, "labels": EACH},
    "labels_test are not all from 0 to 65535": {"labels": LABELS - 1},
    "not all from 0": {"labels": LABELS.astype(np.uint64) + np.uint64(2**63)},
    "holds no numbers": {"samples": RECORDINGS[:0], "labels": LABELS[:0]},
    "object (4,), which holds no numbers": {"labels": LABELS.astype(object)},
    "4097 timesteps; 4096 is most": {"samples": np.zeros((1, 4097, 1, 1, 1), np.uint8), "labels": LABELS[:1]},
    "holds 0 arrays samples_test": {"samples_test": None},
}


@pytest.mark.parametrize("line", list(WRONG))
def test_arrays_that_are_none_of_a_data_set(line, tmp_path):
    changed = dict(WRONG[line])
    name = written(tmp_path, **{key: changed[key] for key in ("samples", "labels") if key in changed})
    if "samples_test" in changed:
        np.savez(tmp_path / "some.npz", labels_test=LABELS)
    with pytest.raises(UserError, match=re.escape(line)) as refusal:
        data.load(name, "test")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("coding", ["direct", "rate", "x" * 1000, 3, ["frames"]])
def test_codings_that_are_none(coding, tmp_path):
    name = written(tmp_path, coding=np.array(coding))
    with pytest.raises(UserError, match="of its samples is not frames or events"):
        data.coding_of(name)
    with pytest.raises(UserError, match="of its samples is not direct"):
        data.coding_of(written(tmp_path, IMAGES, coding=np.array("events")))


def stored(folder, header: bytes, values: bytes, method: int = zipfile.ZIP_DEFLATED):
    """A file with an array ``samples_test`` of these bytes."""
    path = folder / "some.npz"
    with zipfile.ZipFile(path, "w", method) as content:
        content.writestr("samples_test.npy", header + values)
    return path


def header(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": kind})
    return stream.getvalue()


LONG = b"\x93NUMPY\x02\x00" + (2**27).to_bytes(4, "little") + bytes(2**27)
DAMAGED = {
    "bytes long": lambda folder: stored(folder, header((9, 1, 2, 2)), bytes(35)),
    "is most": lambda folder: stored(folder, header((2**31, 1, 1, 1)), bytes(8)),
    "but 134217728 bytes long": lambda folder: stored(folder, header((2, 1, 1, 1)), bytes(2**27)),
    "version 1.0": lambda folder: stored(folder, LONG, b""),
    "does not use": lambda folder: stored(folder, header((1, 1, 1, 1)), bytes(1), zipfile.ZIP_LZMA),
    "not an .npz file": lambda folder: (folder / "some.npz").write_bytes(b"PK" + bytes(99)),
    "holds no numbers": lambda folder: stored(folder, header((1, -4, 1, 1)), b""),
    "there is no file": lambda folder: folder,
}


@pytest.mark.parametrize("line", list(DAMAGED))
def test_damaged_files_take_one_line_and_little_memory(line, tmp_path):
    DAMAGED[line](tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=re.escape(line)):
            data.load(f"npz:{tmp_path / 'some.npz'}", "test")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_no_changed_byte_changes_the_data(tmp_path):
    """A damaged file is refused, unless the damage is where nothing reads, such as in a date."""
    name, path = written(tmp_path), tmp_path / "some.npz"
    known, content, refused = data.load(name, "test"), bytearray(path.read_bytes()), 0
    for place in range(0, len(content), 7):
        content[place] ^= 16
        path.write_bytes(content)
        try:
            found = data.load(name, "test")
        except UserError:
            refused += 1
        else:
            assert (found.pixels == known.pixels).all()
            assert (found.labels == known.labels).all()
        content[place] ^= 16
    assert refused > 50


def test_other_arrays_are_refused(tmp_path):
    name = written(tmp_path, weights=LABELS)
    for read in (data.coding_of, lambda name: data.load(name, "train")):
        with pytest.raises(UserError, match=r"holds 'weights\.npy', which is not understood"):
            read(name)
