"""Anybody's data set: one ``.npz`` file with samples and labels for training and for test.

====================================  ==========  ====================================================================
array                                 type        shape
====================================  ==========  ====================================================================
``samples_train``, ``samples_test``   uint8       (n, C, H, W), or (n, T, C, H, W) for recordings of T timesteps
``labels_train``, ``labels_test``     an integer  (n,), or (n, T) for recordings with a label at every timestep
``coding``                            a text      optional, for recordings: ``frames`` (if it is missing) or ``events``
====================================  ==========  ====================================================================

Nothing is unpickled. The size that an array claims is compared with that in the archive before memory is allocated.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from qblif.errors import UserError
from qblif.network.checks import MOST_TIMESTEPS
from qblif.network.nodes import Coding
from qblif.reading import brief, shown
from snn.datasets.events import Split

LARGEST_BYTES = 2**30
"""Largest content of one array."""
KNOWN = ("samples_train", "samples_test", "labels_train", "labels_test", "coding")
MOST_CLASSES = 2**16
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those of numpy; others could ask for memory of their own."""
DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, TypeError)
"""The errors that zipfile and numpy raise for damaged archives and headers."""


def read_npz(path: Path, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Samples and labels of one split, shaped as above; raises UserError."""
    with reading(path) as content:
        samples, labels = (read_array(content, f"{what}_{split}", path) for what in ("samples", "labels"))
    if samples.dtype != np.uint8 or samples.ndim not in (4, 5):
        raise UserError(
            f"{path}: samples_{split} are {samples.dtype} {samples.shape}, not uint8 (n, C, H, W) or (n, T, C, H, W)"
        )
    if samples.ndim == 5 and samples.shape[1] > MOST_TIMESTEPS:
        raise UserError(f"{path}: samples_{split} have {samples.shape[1]} timesteps; {MOST_TIMESTEPS} is most")
    expected = [samples.shape[:1], *([samples.shape[:2]] if samples.ndim == 5 else [])]
    if labels.dtype.kind not in "iu" or labels.shape not in expected:
        wanted = " or ".join(map(str, expected))
        raise UserError(f"{path}: labels_{split} are {labels.dtype} {labels.shape}, not integers {wanted}")
    if int(labels.min()) < 0 or int(labels.max()) >= MOST_CLASSES:
        raise UserError(f"{path}: labels_{split} are not all from 0 to {MOST_CLASSES - 1}")
    return samples, labels.astype(np.int64)


def npz_coding(path: Path) -> Coding:
    """How the samples of the file become bursts; raises UserError."""
    with reading(path) as content:
        with content.open(entry(content, "samples_test", path)) as stream:
            recordings = len(read_header(stream)[0]) == 5
        if "coding.npy" not in content.namelist():
            return "frames" if recordings else "direct"
        said = read_array(content, "coding", path)
    known = ("frames", "events") if recordings else ("direct",)
    if said.shape != () or said.dtype.kind != "U" or said.item() not in known:
        raise UserError(f"{path}: coding {shown(said.tolist())} of its samples is not {' or '.join(known)}")
    return cast(Coding, said.item())


def check_npz(path: Path) -> None:
    """Raise UserError if there is no such file."""
    if not path.is_file():
        raise UserError(f"there is no file {path}")


@contextmanager
def reading(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive of an ``.npz`` file; raises UserError if it is none, or if the block finds damage in it."""
    check_npz(path)
    try:
        with zipfile.ZipFile(path) as content:
            for name in content.namelist():
                if name.removesuffix(".npy") not in KNOWN:
                    raise UserError(
                        f"{path} holds {shown(name)}, which is not understood; known are {', '.join(KNOWN)}"
                    )
            yield content
    except UserError:
        raise
    except (*DAMAGED, OSError) as error:  # zipfile seeks to wherever a damaged directory points
        raise UserError(f"{path} is not an .npz file, or is damaged: {brief(error)}") from error


def entry(content: zipfile.ZipFile, name: str, path: Path) -> zipfile.ZipInfo:
    """The array called ``name`` in the archive; raises UserError if it is not there, or cannot be numpy's."""
    found = [one for one in content.infolist() if one.filename == f"{name}.npy"]
    if len(found) != 1:
        raise UserError(f"{path} holds {len(found)} arrays {name}, not one")
    if found[0].compress_type not in COMPRESSIONS:
        raise UserError(f"{path}: {name} is compressed in a way that numpy does not use")
    return found[0]


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis is the fastest, and type of an array; raises ValueError."""
    if npy.read_magic(stream) != (1, 0):  # the header of newer versions may be of any size
        raise ValueError("an array is not stored in version 1.0 of numpy's format")
    return npy.read_array_header_1_0(stream)


def read_array(content: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """One array of the archive; raises UserError, or one of DAMAGED."""
    stored = entry(content, name, path)
    with content.open(stored) as stream:
        shape, transposed, kind = read_header(stream)
        size = math.prod(shape) * kind.itemsize
        if kind.hasobject or size == 0 or min(shape, default=1) < 1:
            raise UserError(f"{path}: {name} is {kind} {shape}, which holds no numbers")
        if size > LARGEST_BYTES:
            raise UserError(f"{path}: {name} takes {size:,} bytes; {LARGEST_BYTES:,} is most")
        if size != stored.file_size - stream.tell():
            raise UserError(f"{path}: {name} is {kind} {shape}, but {stored.file_size - stream.tell()} bytes long")
        values = np.frombuffer(stream.read(size), dtype=kind)
    return values.reshape(shape, order="F" if transposed else "C")
