"""Event data sets in their own formats, binned into T frames of event counts.

The files are read by the library tonic, an optional extra (``pip install 'qblif[events]'``). Every recording is cut
into T stretches of the same duration; a frame counts the events of each polarity and pixel, up to 255.
"""

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from hw.errors import UserError

Split = Literal["train", "test"]
Frames = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Counts (count, T, 2, H, W) and labels (count,)."""
Events = NDArray[Any]
"""Structured, with the fields x, y, t in microseconds, and p."""
LARGEST_COUNT = 255
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TEST_SHARE = 10
"""CIFAR10-DVS has no test set of its own: every tenth recording of a class is taken."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A file, its label, and the part of it that counts, in microseconds; all of it where that is None."""

    path: Path
    label: int
    part: tuple[int, int] | None = None


def tonic_io() -> ModuleType:
    """The readers of tonic; raises UserError where it is not installed."""
    try:
        import tonic.io
    except ImportError as error:
        raise UserError(f"event data sets need the package tonic ({error}); pip install 'qblif[events]'") from error
    return tonic.io


def load_nmnist(split: Split, data_dir: Path, timesteps: int) -> Frames:
    """N-MNIST (Orchard et al., 2015): ``Train`` and ``Test``, in each a folder of .bin files a digit; 34 x 34."""
    folder = folder_with("nmnist", data_dir, ("", "NMNIST", "N-MNIST", "nmnist"), split.capitalize())
    paths = sorted((folder / split.capitalize()).glob("[0-9]/*.bin"))
    recordings = [Recording(path=path, label=int(path.parent.name)) for path in paths]
    kind = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)])
    reader = tonic_io().read_mnist_file
    return binned(recordings, lambda path: reader(str(path), kind), 34, timesteps)


def load_cifar10_dvs(split: Split, data_dir: Path, timesteps: int) -> Frames:
    """CIFAR10-DVS (Li et al., 2017): a folder of .aedat files (AEDAT 2.0) a class; 128 x 128."""
    folder = folder_with("cifar10_dvs", data_dir, ("", "CIFAR10DVS", "cifar10_dvs"), CIFAR10_CLASSES[0])
    recordings = []
    for label, name in enumerate(CIFAR10_CLASSES):
        found = sorted((folder / name).glob("*.aedat"), key=number_in)
        chosen = (path for place, path in enumerate(found) if (place % TEST_SHARE == 0) == (split == "test"))
        recordings += [Recording(path=path, label=label) for path in chosen]
    return binned(recordings, aer_reader(x=8, y=1, p=0), 128, timesteps)


def load_dvs128_gesture(split: Split, data_dir: Path, timesteps: int) -> Frames:
    """DVS128 Gesture (Amir et al., 2017): AEDAT 3.1 files, a label file beside each, and lists of trials; 128 x 128."""
    names = ("", "DvsGesture", "dvs128_gesture", "DVS128Gesture")
    trials = f"trials_to_{split}.txt"
    folder = folder_with("dvs128_gesture", data_dir, names, trials)
    recordings = []
    for name in (folder / trials).read_text().split():
        path = folder / name
        labels = path.with_name(f"{path.stem}_labels.csv")
        try:
            rows = [tuple(map(int, row)) for row in list(csv.reader(labels.read_text().splitlines()))[1:]]
        except (OSError, ValueError) as error:
            raise UserError(f"dvs128_gesture: {labels} cannot be read: {error}") from error
        recordings += [Recording(path=path, label=gesture - 1, part=(begin, end)) for gesture, begin, end in rows]
    return binned(recordings, aer_reader(x=17, y=2, p=1), 128, timesteps)


EVENT_LOADERS: dict[str, Callable[[Split, Path, int], Frames]] = {
    "nmnist": load_nmnist,
    "cifar10_dvs": load_cifar10_dvs,
    "dvs128_gesture": load_dvs128_gesture,
}


def aer_reader(*, x: int, y: int, p: int) -> Callable[[Path], Events]:
    """A reader of AEDAT files whose events' addresses hold 7 bits of x and of y, and the polarity, from these bits on.

    tonic 1.7 reads such files, but its readers for these two cameras stumble over what its own header reader gives.
    """
    library = tonic_io()

    def read(path: Path) -> Events:
        version, start, *_ = library.read_aedat_header_from_file(str(path))
        found = library.get_aer_events_from_file(str(path), version, start)
        address = found["address"]
        return library.make_structured_array(
            address >> x & 0x7F, address >> y & 0x7F, found["timeStamp"], address >> p & 1
        )

    return read


def folder_with(name: str, data_dir: Path, folders: Iterable[str], inside: str) -> Path:
    """The first of ``data_dir``'s ``folders`` that holds ``inside``; raises UserError."""
    for folder in folders:
        if (data_dir / folder / inside).exists():
            return data_dir / folder
    raise UserError(f"{name}: no {inside} in {data_dir}; name the folder that the data set was unpacked to")


def number_in(path: Path) -> tuple[int, str]:
    """The last number in a file's name, so that 10 comes after 9."""
    found = re.findall(r"\d+", path.stem)
    return (int(found[-1]) if found else -1, path.name)


def binned(recordings: list[Recording], read: Callable[[Path], Events], size: int, timesteps: int) -> Frames:
    """Read and bin all recordings; raises UserError where there are none or one is damaged."""
    if not recordings:
        raise UserError("there are no recordings in that folder")
    counts = np.zeros((len(recordings), timesteps, 2, size, size), dtype=np.uint8)
    console = Console(stderr=True)
    last: tuple[Path, Events] | None = None
    for place, recording in enumerate(track(recordings, "recordings", console=console, transient=True)):
        if last is None or last[0] != recording.path:
            last = (recording.path, checked(recording.path, read, size))
        events = last[1]
        if recording.part is not None:
            begin, end = recording.part
            events = events[(events["t"] >= begin) & (events["t"] < end)]
        counts[place] = frames(events, size, timesteps)
    return counts, np.array([recording.label for recording in recordings], dtype=np.int64)


def checked(path: Path, read: Callable[[Path], Events], size: int) -> Events:
    """A file's events; raises UserError for what no such camera could have written."""
    try:
        events = read(path)
    except (OSError, AssertionError, ValueError, TypeError, LookupError, NameError, NotImplementedError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if len(events) == 0 or max(int(events["x"].max()), int(events["y"].max())) >= size:
        raise UserError(f"{path} is damaged: it holds no events of {size} x {size} pixels")
    return events


def frames(events: Events, size: int, timesteps: int) -> NDArray[np.uint8]:
    """Event counts (T, 2, size, size) of one recording, T stretches of the same duration."""
    counts = np.zeros(timesteps * 2 * size * size, dtype=np.int64)
    if len(events):
        time = events["t"].astype(np.int64)
        since = time - time.min()
        step = since * timesteps // (int(since.max()) + 1)
        place = ((step * 2 + events["p"].astype(np.int64)) * size + events["y"]) * size + events["x"]
        counts += np.bincount(place, minlength=len(counts))
    return np.minimum(counts, LARGEST_COUNT).astype(np.uint8).reshape(timesteps, 2, size, size)
