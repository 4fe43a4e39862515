"""Heartbeats of the MIT-BIH Arrhythmia Database, from the files that PhysioNet publishes. Needs only numpy.

The beats of 44 records, as bytes (:mod:`qblif.heartbeats`) of the lead MLII, in the five classes of ANSI/AAMI EC57. The
four records with paced beats (102, 104, 107, 217) are left out, as that standard says. No other beat is left out.

==================  =====================================================================  ===========================
data set            training and test                                                      features
==================  =====================================================================  ===========================
mitbih              the patients of DS1 and those of DS2 (de Chazal et al., 2004)          14: rhythm and distances
mitbih_fold1 to 4   three quarters and one quarter of the patients of DS1, for choices     14
mitbih_random       beats of all patients, one in five for test, drawn at random           78: also the beat itself
==================  =====================================================================  ===========================

Sources: G. Moody and R. Mark, IEEE Eng. in Med. and Biol. 20(3), 2001; P. de Chazal et al., IEEE Trans. Biomed. Eng.
51(7), 2004; for the formats, the manual pages signal(5), header(5) and annot(5) of the WFDB software.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qblif.errors import UserError
from qblif.heartbeats import CONTEXT, FEATURES, features
from qblif.reading import read_whole

Split = Literal["train", "test"]
Beats = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Features (beats, 1, 1, count) and classes (beats,)."""
CLASSES = ("N", "S", "V", "F", "Q")
"""Normal and bundle branch block, supraventricular ectopic, ventricular ectopic, fusion, and unknown."""
CLASS_OF = {1: 0, 2: 0, 3: 0, 11: 0, 34: 0, 4: 1, 7: 1, 8: 1, 9: 1, 5: 2, 10: 2, 6: 3, 12: 4, 13: 4, 38: 4}
"""Codes of annotations that are beats: N L R j e, a J A S, V E, F, and / Q f."""
LEAD = "MLII"
RATE = 360
DS2 = tuple(map(str, (100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210, 212, 213, 214, 219, 221, 222, 228, 231)))
DS2 += tuple(map(str, (232, 233, 234)))
FOLDS = tuple(
    tuple(map(str, fold))
    for fold in (
        (101, 106, 119, 208, 209, 230),
        (108, 112, 114, 201, 203, 220),
        (115, 116, 118, 124, 207),
        (109, 122, 205, 215, 223),
    )
)
"""The patients of DS1 in four groups, each with some patients of many S beats and some of many V beats."""
DS1 = tuple(sorted(record for fold in FOLDS for record in fold))
MITBIH = ("mitbih", *(f"mitbih_fold{number}" for number in range(1, len(FOLDS) + 1)), "mitbih_random")
"""The data sets."""
TEST_SHARE = 5
SEED = 1
HEADER_LINE = re.compile(r"(\d{3}) 2 (\d{1,5}) (\d{1,7})\b.*", re.ASCII)
SIGNAL_LINE = re.compile(r"\S+ 212 \S+ 11 1024 -?\d+ -?\d+ 0 (\S+)", re.ASCII)
MOST_SAMPLES, MOST_TEXT, MOST_ANNOTATIONS = 2**20, 2**14, 2**17
SKIP, NUMBER, SUBTYPE, CHANNEL, TEXT = 59, 60, 61, 62, 63
"""Codes that are not annotations but belong to one."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Half an hour of one patient.

    Attributes:
        samples: int16 (n,) of the lead MLII, at 360 Hz and 200 units a millivolt.
        peaks: int64 (beats,), where the R peaks are.
        classes: int64 (beats,), places in :data:`CLASSES`.
    """

    samples: NDArray[np.int16]
    peaks: NDArray[np.int64]
    classes: NDArray[np.int64]


def patients(name: str, split: Split) -> tuple[str, ...]:
    """The records of one split of ``mitbih`` or ``mitbih_fold1`` to ``4``."""
    if name == "mitbih":
        return DS1 if split == "train" else DS2
    fold = FOLDS[int(name.removeprefix("mitbih_fold")) - 1]
    return fold if split == "test" else tuple(record for record in DS1 if record not in fold)


def load_mitbih(name: str, split: Split, data_dir: Path) -> Beats:
    """The beats of one split of a data set; raises UserError."""
    folder = record_folder(data_dir)
    if name != "mitbih_random":
        samples, labels = beats_of(folder, patients(name, split))
        return samples[..., :CONTEXT], labels
    samples, labels = beats_of(folder, tuple(sorted(DS1 + DS2)))
    # RandomState gives the same order in every version of numpy.
    order = np.random.RandomState(SEED).permutation(len(labels))
    count = len(labels) // TEST_SHARE
    chosen = order[:count] if split == "test" else order[count:]
    return samples[chosen], labels[chosen]


def record_folder(data_dir: Path) -> Path:
    """``data_dir`` or the folder of the database in it; raises UserError."""
    for folder in (data_dir, data_dir / "mitbih", data_dir / "mit-bih-arrhythmia-database-1.0.0"):
        if (folder / f"{DS1[0]}.hea").is_file():
            return folder
    raise UserError(
        f"mitbih: there is no {DS1[0]}.hea in {data_dir}; get the MIT-BIH Arrhythmia Database from "
        "physionet.org/content/mitdb and unpack it there"
    )


def beats_of(folder: Path, records: tuple[str, ...]) -> Beats:
    """The beats of some records with all features, one record after the other; raises UserError."""
    found = [read_record(folder, name) for name in records]
    samples = np.concatenate([features(record.samples, record.peaks) for record in found])
    return samples.reshape(-1, 1, 1, FEATURES), np.concatenate([record.classes for record in found])


def read_record(folder: Path, name: str) -> Record:
    """A record from ``NAME.hea``, ``NAME.dat`` and ``NAME.atr``; raises UserError."""
    lead, count = read_header(folder / f"{name}.hea")
    samples = read_signals(folder / f"{name}.dat", count)[lead]
    marks = read_annotations(folder / f"{name}.atr")
    beats = marks[np.isin(marks[:, 1], list(CLASS_OF))]
    peaks = beats[:, 0]
    if len(peaks) < 2 or peaks[0] < 0 or peaks[-1] >= count or (np.diff(peaks) <= 0).any():
        raise UserError(f"{folder / name}.atr is damaged: its beats are not in order within {count:,} samples")
    return Record(samples=samples, peaks=peaks, classes=np.array([CLASS_OF[code] for code in beats[:, 1].tolist()]))


def read_header(path: Path) -> tuple[int, int]:
    """Which of the two signals is the lead MLII, and their length in samples; raises UserError."""
    lines = read_whole(path, "header of a record", MOST_TEXT).decode("ascii", "replace").splitlines()
    first = HEADER_LINE.fullmatch(lines[0].strip()) if lines else None
    signals = [SIGNAL_LINE.fullmatch(line.strip()) for line in lines[1:3]]
    leads = [found[1] for found in signals if found is not None]
    if first is None or len(leads) != 2:
        raise UserError(f"{path} is not the header of a record with two signals in format 212")
    if int(first[2]) != RATE or not 0 < int(first[3]) <= MOST_SAMPLES:
        raise UserError(f"{path}: {first[3]} samples at {first[2]} Hz are not of this database")
    if LEAD not in leads:
        raise UserError(f"{path}: neither signal is the lead {LEAD}")
    return leads.index(LEAD), int(first[3])


def read_signals(path: Path, count: int) -> NDArray[np.int16]:
    """Two signals in format 212, (2, count): two numbers of 12 bits in three bytes; raises UserError."""
    content = read_whole(path, "signal file", 3 * MOST_SAMPLES)
    if len(content) != 3 * count:
        raise UserError(f"{path} has {len(content):,} bytes, and {count:,} samples of two signals take {3 * count:,}")
    low, middle, high = np.frombuffer(content, dtype=np.uint8).reshape(-1, 3).T.astype(np.int16)
    both = np.stack([(middle & 0x0F) << 8 | low, (middle >> 4) << 8 | high])
    # The sign of 12 bits moves to the top of 16 and back.
    return both << 4 >> 4


def read_annotations(path: Path) -> NDArray[np.int64]:
    """Times in samples and codes of all annotations, (count, 2); raises UserError.

    An annotation is a word of 16 bits: a code of 6 bits, and the samples since the previous one.
    """
    content = read_whole(path, "annotation file", MOST_ANNOTATIONS)
    words = np.frombuffer(content[: len(content) // 2 * 2], dtype="<u2").tolist()
    found: list[tuple[int, int]] = []
    time, at = 0, 0
    while at < len(words):
        if words[at] == 0:
            return np.array(found, dtype=np.int64).reshape(-1, 2)
        code, value = words[at] >> 10, words[at] & 0x3FF
        at += 1
        if code == SKIP:
            if at + 2 > len(words):
                break
            skipped = words[at] << 16 | words[at + 1]
            time += skipped - (skipped >> 31 << 32)
            at += 2
        elif code == TEXT:
            at += (value + 1) // 2
        elif code not in (NUMBER, SUBTYPE, CHANNEL):
            time += value
            found.append((time, code))
    raise UserError(f"{path} is damaged: it ends early")
