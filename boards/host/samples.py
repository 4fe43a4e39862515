"""One input of the device, read from an image file or an array in a .npy file."""

import struct
import tokenize
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from qblif.errors import UserError
from qblif.protocol import Identity

IMAGE_MODES = ("L", "RGB", "RGBA")
"""Pillow's modes whose pixels are bytes of brightness; a palette's indices are not."""
DAMAGE = (
    ValueError,
    EOFError,
    SyntaxError,
    TypeError,
    MemoryError,
    RecursionError,
    OverflowError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""Exceptions that numpy and Pillow raise on damaged files, besides OSError."""


def read_sample(path: Path, identity: Identity) -> NDArray[Any]:
    """One input of the device: an image file, or an array in a .npy file.

    Shape and type are compared with the device's before the file's content is read.

    Returns:
        (C, H, W), or (T, C, H, W) for event counts.

    Raises:
        UserError: the file is neither, or its shape or type does not fit the device's input.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return read_array(path, identity) if path.suffix == ".npy" else read_image(path, identity)
    except UnidentifiedImageError as error:
        raise UserError(f"{path} is not an image or a .npy file") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise UserError(f"{path} is not a whole array or image of numbers: {error}") from error


def read_array(path: Path, identity: Identity) -> NDArray[Any]:
    """An array in a .npy file; raises like :func:`read_sample`, and DAMAGE and OSError."""
    # Memory-mapped, so that a header with a false size takes no memory.
    sample = np.load(path, allow_pickle=False, mmap_mode="r")
    if not isinstance(sample, np.ndarray):
        sample.close()
        raise UserError(f"{path} is an archive of arrays (.npz); save one array with numpy.save")
    check_sample(path, sample.shape, sample.dtype, identity)
    return np.array(sample).reshape(sample_shape(identity))


def read_image(path: Path, identity: Identity) -> NDArray[Any]:
    """A grey or colour image; raises like :func:`read_sample`, and DAMAGE and OSError."""
    with Image.open(path) as image:
        # Pillow checks a PNG's checksums only on request, and then the file has to be opened again.
        image.verify()
    with Image.open(path) as image:
        if image.mode not in IMAGE_MODES:
            raise UserError(f"{path} has pixels of the kind {image.mode}; save it as {' or '.join(IMAGE_MODES)}")
        channels = len(image.getbands())
        check_sample(path, (channels, image.height, image.width), np.dtype(np.uint8), identity)
        pixels = np.asarray(image).reshape(image.height, image.width, channels)
    return pixels.transpose(2, 0, 1)


def check_sample(path: Path, shape: tuple[int, ...], kind: np.dtype[Any], identity: Identity) -> None:
    """Raise UserError unless an array of that shape and type is an input of the device."""
    shape = (1, *shape) if len(shape) == 2 else shape
    wanted = sample_shape(identity)
    if shape != wanted:
        raise UserError(f"{path} has shape {by(shape)}, but the network takes {by(wanted)}")
    if kind.kind not in "iu" or (identity.coding == "direct" and kind != np.uint8):
        takes = "unsigned bytes" if identity.coding == "direct" else "integers"
        raise UserError(f"{path} holds {kind}, but the network takes {takes}")


def sample_shape(identity: Identity) -> tuple[int, ...]:
    """The shape of one input of the device."""
    return identity.shape if identity.coding == "direct" else (identity.timesteps, *identity.shape)


def by(shape: tuple[int, ...]) -> str:
    """A shape in words: 1 x 28 x 28."""
    return " x ".join(map(str, shape)) or "of a single number"
