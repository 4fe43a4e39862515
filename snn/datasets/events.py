"""Event data sets in their own folders, binned into T frames of event counts.

Every recording is cut into T slices of equal duration; a frame counts the events of each polarity and pixel, up to 255.
A recording that cannot be used is left out and named with the reason; if more than a few cannot be used, the whole set
is refused. Needs only numpy.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qblif.errors import UserError
from qblif.progress import counted
from snn.datasets import aedat
from snn.datasets.recordings import NMNIST_SIZE, Decoded, FaultError, read_nmnist, whole_file

Split = Literal["train", "test"]
Frames = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Counts (count, T, 2, H, W) and labels (count,)."""
LARGEST_COUNT = 255
DIGITS = tuple(map(str, range(10)))
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TEST_SHARE = 10
"""CIFAR10-DVS has no separate test set: one in this many recordings of a class is a test recording."""
GESTURES = 11
LABEL_COLUMNS = "class,startTime_usec,endTime_usec"
LABEL_LINE = re.compile(r"\s*(\d{1,4})\s*,\s*(\d{1,18})\s*,\s*(\d{1,18})\s*", re.ASCII)
LARGEST_TEXT = 2**20
"""Bytes of a list of trials or of labels."""
LONGEST_NAME = 200
"""Characters of a file's name; the file systems' limit is 255 bytes, with the suffix of the labels."""
TOLERATED = 50
"""One recording in this many may be unusable."""
NAMED = 10
"""How many unusable recordings are named one by one."""
BLOCK = 2**20


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A file, its label, and the part of it to use, in microseconds; None means all of it."""

    path: Path
    label: int
    part: tuple[int, int] | None = None

    def __str__(self) -> str:
        return str(self.path) if self.part is None else f"{self.path}, {self.part[0]} to {self.part[1]} us"


def load_nmnist(split: Split, data_dir: Path, timesteps: int) -> Frames:
    """N-MNIST (Orchard et al., 2015): ``Train`` and ``Test``, each with a folder of .bin files per digit; 34 x 34."""
    folder = folder_with("nmnist", data_dir, ("", "NMNIST", "N-MNIST", "nmnist"), split.capitalize())
    found, notes = class_files(folder / split.capitalize(), DIGITS, (".bin",))
    recordings = [Recording(path=path, label=label) for label, paths in enumerate(found) for path in paths]
    return binned("nmnist", recordings, read_nmnist, NMNIST_SIZE, timesteps, notes)


def load_cifar10_dvs(split: Split, data_dir: Path, timesteps: int) -> Frames:
    """CIFAR10-DVS (Li et al., 2017): a folder of .aedat files (AEDAT 2.0) per class; 128 x 128."""
    folder = folder_with("cifar10_dvs", data_dir, ("", "CIFAR10DVS", "cifar10_dvs"), CIFAR10_CLASSES[0])
    found, notes = class_files(folder, CIFAR10_CLASSES, (".aedat", ".aedat4"))
    recordings = []
    for label, paths in enumerate(found):
        paths.sort(key=number_in)
        chosen = (path for place, path in enumerate(paths) if (place % TEST_SHARE == 0) == (split == "test"))
        recordings += [Recording(path=path, label=label) for path in chosen]
    return binned("cifar10_dvs", recordings, aedat.read_dvs128, aedat.SIZE, timesteps, notes)


def load_dvs128_gesture(split: Split, data_dir: Path, timesteps: int) -> Frames:
    """DVS128 Gesture (Amir et al., 2017): AEDAT 3.1 files, a label file beside each, and lists of trials; 128 x 128."""
    names = ("", "DvsGesture", "dvs128_gesture", "DVS128Gesture")
    trials = f"trials_to_{split}.txt"
    folder = folder_with("dvs128_gesture", data_dir, names, trials)
    recordings = []
    for name in read_text(folder / trials).split():
        if Path(name).name != name or not name.isprintable() or len(name) > LONGEST_NAME:
            raise UserError(f"{folder / trials} names {name[:80]!r}, which is not a file of its folder")
        recordings += gestures_of(folder / name)
    return binned("dvs128_gesture", recordings, aedat.read_dvs128, aedat.SIZE, timesteps)


EVENT_LOADERS: dict[str, Callable[[Split, Path, int], Frames]] = {
    "nmnist": load_nmnist,
    "cifar10_dvs": load_cifar10_dvs,
    "dvs128_gesture": load_dvs128_gesture,
}


def gestures_of(path: Path) -> list[Recording]:
    """The gestures in a session of DVS128 Gesture; raises UserError if its label file is malformed."""
    labels = path.with_name(f"{path.stem}_labels.csv")
    first, *lines = read_text(labels).splitlines() or [""]
    if first != LABEL_COLUMNS:
        raise UserError(f"{labels} does not begin with the line {LABEL_COLUMNS}")
    recordings = []
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        row = LABEL_LINE.fullmatch(line)
        if row is None:
            raise UserError(f"{labels}, line {number} is not {LABEL_COLUMNS} in whole numbers: {line[:80]!r}")
        gesture, begin, end = map(int, row.groups())
        if not 1 <= gesture <= GESTURES or begin >= end:
            raise UserError(f"{labels}, line {number}: no gesture {gesture} (1 to {GESTURES}) from {begin} to {end} us")
        recordings.append(Recording(path=path, label=gesture - 1, part=(begin, end)))
    return recordings


def read_text(path: Path) -> str:
    """A small text file; raises UserError if it cannot be read."""
    try:
        return whole_file(path, LARGEST_TEXT).decode()
    except (FaultError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


def folder_with(name: str, data_dir: Path, folders: Iterable[str], inside: str) -> Path:
    """The first of ``data_dir``'s ``folders`` that holds ``inside``; raises UserError."""
    for folder in folders:
        if (data_dir / folder / inside).exists():
            return data_dir / folder
    raise UserError(f"{name}: no {inside} in {data_dir}; name the folder that the data set was unpacked to")


def class_files(folder: Path, classes: Iterable[str], suffixes: tuple[str, ...]) -> tuple[list[list[Path]], list[str]]:
    """The recordings in each class's folder, and notes on classes without recordings and on files of other kinds."""
    result, empty, others, notes = [], [], [], []
    kinds = " or ".join(suffixes)
    for name in classes:
        inside = sorted((folder / name).iterdir()) if (folder / name).is_dir() else []
        result.append([path for path in inside if path.suffix in suffixes])
        others += [path for path in inside if path.suffix not in suffixes and not path.name.startswith(".")]
        if not result[-1]:
            empty.append(name)
    if empty:
        notes.append(f"{folder} holds no {kinds} files of {', '.join(empty)}")
    if others:
        notes.append(f"{len(others)} files in {folder} are not {kinds} files; the first is {others[0]}")
    return result, notes


def number_in(path: Path) -> tuple[int, str]:
    """The last number in a file's name, so that 10 comes after 9."""
    found = re.findall(r"\d+", path.stem)
    return (int(found[-1]) if found else -1, path.name)


@dataclass
class Remarks:
    """Remarks on a data set's recordings.

    Attributes:
        tolerated: number of recordings that may be unusable.
        faults: recordings that cannot be used, with the reason.
        counts, files: for every kind of remark that readers make, its total number, and the files with it.
    """

    tolerated: int
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    files: dict[str, list[Path]] = field(default_factory=dict)

    def fault(self, recording: Recording, error: FaultError) -> None:
        """Leave out a recording; raises UserError if there are too many of them."""
        self.faults.append(f"{recording}: {error}")
        if len(self.faults) > self.tolerated:
            before = len(self.faults) - 1
            more = f" ({before} recordings before it cannot be used either)" if before else ""
            raise UserError(f"{self.faults[-1]}; replace it, or take it out of the folder{more}")

    def add(self, path: Path, remarks: Counter[str]) -> None:
        """Add a reader's remarks on a file."""
        self.counts += remarks
        for remark, count in remarks.items():
            if count:
                self.files.setdefault(remark, []).append(path)

    def say(self, name: str) -> None:
        """Print all remarks on stderr, in a few lines."""
        for fault in self.faults[:NAMED]:
            say(f"left out: {fault}")
        if len(self.faults) > NAMED:
            say(f"left out: {len(self.faults) - NAMED} more recordings of {name}")
        for remark, paths in self.files.items():
            say(f"{name}: {self.counts[remark]} {remark}, in {len(paths)} files; the first is {paths[0]}")


def say(line: str) -> None:
    """Tell the user about a problem that does not stop the program."""
    print(f"note: {line}", file=sys.stderr)


def binned(
    name: str,
    recordings: list[Recording],
    read: Callable[[Path], Decoded],
    size: int,
    timesteps: int,
    notes: Iterable[str] = (),
) -> Frames:
    """Read and bin all recordings of a data set; if that succeeds, print ``notes`` and what was left out.

    Raises:
        UserError: there are no recordings, more than one in TOLERATED cannot be used, or there is not enough memory.
    """
    if not recordings:
        raise UserError(f"{name}: there are no recordings in that folder")
    try:
        counts = np.zeros((len(recordings), timesteps, 2, size, size), dtype=np.uint8)
    except (MemoryError, ValueError) as error:
        raise UserError(
            f"{name}: there is no memory for {len(recordings)} recordings of {timesteps} timesteps; take fewer"
        ) from error
    labels: list[int] = []
    remarks = Remarks(len(recordings) // TOLERATED)
    # Recordings from one file are consecutive, so it is read once.
    path: Path | None = None
    last: Decoded | FaultError = FaultError()
    for recording in counted(recordings, len(recordings), "read the recordings"):
        if recording.path != path:
            path, last = recording.path, decoded(recording.path, read, remarks)
        try:
            if isinstance(last, FaultError):
                raise last
            counts[len(labels)] = frames(last.events, size, timesteps, recording.part)
            labels.append(recording.label)
        except FaultError as error:
            remarks.fault(recording, error)
    for note in notes:
        say(note)
    remarks.say(name)
    return counts[: len(labels)], np.array(labels, dtype=np.int64)


def decoded(path: Path, read: Callable[[Path], Decoded], remarks: Remarks) -> Decoded | FaultError:
    """The contents of a file, or the error that says why it cannot be used."""
    try:
        found = read(path)
    except FaultError as error:
        return error
    remarks.add(path, found.remarks)
    return found


def frames(events: NDArray[Any], size: int, timesteps: int, part: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Event counts (T, 2, size, size): T slices of equal duration from the first event to the last.

    Args:
        events: as in :data:`snn.datasets.recordings.EVENT`.
        size: number of rows and of columns.
        timesteps: T.
        part: the microseconds from which, and up to which, events count; None for all.

    Raises:
        FaultError: there are no events, or their times are too far apart for the computation.
    """

    def blocks() -> Iterator[NDArray[Any]]:
        for begin in range(0, len(events), BLOCK):
            block = events[begin : begin + BLOCK]
            if part is not None:
                block = block[(block["t"] >= part[0]) & (block["t"] < part[1])]
            if len(block):
                yield block

    spans = [(int(block["t"].min()), int(block["t"].max())) for block in blocks()]
    if not spans:
        raise FaultError("it holds no events" if part is None else "it holds no events in that time")
    first, duration = min(spans)[0], max(end for _, end in spans) - min(spans)[0] + 1
    if duration * timesteps >= 2**63:
        raise FaultError(f"its events span {duration} microseconds")
    counts = np.zeros(timesteps * 2 * size * size, dtype=np.int64)
    for block in blocks():
        step = (block["t"] - first) * timesteps // duration
        place = ((step * 2 + block["p"]) * size + block["y"]) * size + block["x"]
        counts += np.bincount(place, minlength=len(counts))
    return np.minimum(counts, LARGEST_COUNT).astype(np.uint8).reshape(timesteps, 2, size, size)
