"""The timesteps of a recording: frames from an array, or events of a camera, counted window by window."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boards.host.samples import DAMAGE, by
from qblif.errors import UserError
from qblif.protocol import Identity

MOST_FRAMES = 2**20
MOST_COUNTS = 2**28
"""Counts of all frames together: a quarter of a gigabyte."""


def read_frames(path: Path, identity: Identity, window_us: int) -> NDArray[Any]:
    """Frames (T, C, H, W) for a device.

    Args:
        path: a ``.npy`` array of frames, or a recording: ``.bin`` of N-MNIST or ``.aedat`` of a DVS128.
        identity: the identity of the device.
        window_us: microseconds of the events that each frame of a recording counts.

    Raises:
        UserError: the file cannot be read, or does not fit the device's input.
    """
    if window_us < 1:
        raise UserError(f"--window-us must be at least 1, not {window_us}")
    frames = array_of(path) if path.suffix == ".npy" else counted_events(path, identity, window_us)
    if frames.ndim != 4 or frames.shape[1:] != identity.shape or frames.dtype.kind not in "iu" or not len(frames):
        raise UserError(
            f"{path} has frames {by(frames.shape)} of {frames.dtype}, but the network takes integers, T x "
            f"{by(identity.shape)}"
        )
    return frames


def array_of(path: Path) -> NDArray[Any]:
    """The array of a .npy file, read only as far as it is used; raises UserError."""
    try:
        found = np.load(path, allow_pickle=False, mmap_mode="r")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except DAMAGE as error:
        raise UserError(f"{path} is not a whole array of numbers: {error}") from error
    if not isinstance(found, np.ndarray):
        found.close()
        raise UserError(f"{path} is an archive of arrays (.npz); save one array with numpy.save")
    return found


def counted_events(path: Path, identity: Identity, window_us: int) -> NDArray[Any]:
    """The events of a recording, counted for every window, pixel and polarity; raises UserError."""
    from snn.datasets.aedat import read_dvs128
    from snn.datasets.recordings import FaultError, read_nmnist

    readers = {".bin": read_nmnist, ".aedat": read_dvs128}
    if path.suffix not in readers:
        raise UserError(f"{path} is not a recording; .bin (N-MNIST), .aedat (DVS128) and .npy are known")
    try:
        events = readers[path.suffix](path).events
    except FaultError as error:
        raise UserError(f"{path}: {error}") from error
    channels, height, width = identity.shape
    if channels != 2 or int(events["y"].max()) >= height or int(events["x"].max()) >= width:
        raise UserError(f"{path} has events of 2 polarities outside the network's input of {by(identity.shape)}")
    windows = (events["t"] - events["t"].min()) // window_us
    count = int(windows.max()) + 1
    if count > MOST_FRAMES or count * channels * height * width > MOST_COUNTS:
        raise UserError(f"{path} has {count:,} windows of {window_us} microseconds, which are too many; widen them")
    frames = np.zeros((count, channels, height, width), dtype=np.uint8)
    place = (windows, events["p"], events["y"], events["x"])
    flat, each = np.unique(np.ravel_multi_index(place, frames.shape), return_counts=True)
    frames.reshape(-1)[flat] = np.minimum(each, 255)
    return frames
