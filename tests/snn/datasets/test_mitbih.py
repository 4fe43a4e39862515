"""The MIT-BIH data sets, from records written bit by bit and, where they can be had, from the real ones."""

import os
from pathlib import Path

import numpy as np
import pytest

from qblif.errors import UserError
from qblif.heartbeats import CONTEXT, FEATURES, features
from snn.datasets import data, mitbih
from tests.snn.datasets.ecg_files import CLASSES, MARKS, annotations, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All 44 records."""
    path = tmp_path_factory.mktemp("mitbih")
    for seed, name in enumerate(mitbih.DS1 + mitbih.DS2):
        written(path, name, seed)
    return path


@pytest.mark.parametrize(("leads", "place"), [(("MLII", "V1"), 0), (("V5", "MLII"), 1)])
def test_a_record_is_what_was_written(tmp_path, leads, place):
    values = written(tmp_path, "100", 7, leads)
    record = mitbih.read_record(tmp_path, "100")
    assert (record.samples == values[:, place]).all()
    assert record.peaks.tolist() == [350, 700, 1000, 1300, 4000, 4400, 4800]
    assert record.classes.tolist() == CLASSES


@pytest.mark.filterwarnings("ignore")  # of pandas, about wfdb
def test_wfdb_reads_the_same(tmp_path):
    wfdb = pytest.importorskip("wfdb")
    written(tmp_path, "100", 7)
    record = mitbih.read_record(tmp_path, "100")
    signals = wfdb.rdrecord(str(tmp_path / "100"), physical=False).d_signal
    marks = wfdb.rdann(str(tmp_path / "100"), "atr")
    beats = [(at, symbol) for at, symbol in zip(marks.sample, marks.symbol, strict=True) if symbol not in "+~"]
    assert (record.samples == signals[:, 0]).all()
    assert record.peaks.tolist() == [at for at, _ in beats]
    assert [symbol for _, symbol in beats] == ["N", "L", "A", "V", "F", "Q", "R"]


def test_the_splits_are_those_of_de_chazal():
    ds1 = "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230"
    ds2 = "100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234"
    assert (tuple(ds1.split()), tuple(ds2.split())) == (mitbih.DS1, mitbih.DS2)
    assert sorted(sum(mitbih.FOLDS, ())) == ds1.split()


def test_patients_are_on_one_side_only(folder):
    for name in mitbih.MITBIH[:-1]:
        train, test = (set(mitbih.patients(name, split)) for split in ("train", "test"))
        assert not train & test
        assert train | test <= set(mitbih.DS1) | (set(mitbih.DS2) if name == "mitbih" else set())
    images = data.load("mitbih", "test", folder)
    expected = [
        features(record.samples, record.peaks)[:, :CONTEXT]
        for record in (mitbih.read_record(folder, name) for name in mitbih.DS2)
    ]
    assert (images.pixels[:, 0, 0] == np.concatenate(expected)).all()
    assert images.labels.tolist() == CLASSES * 22


def test_the_random_split_has_every_beat_once(folder):
    parts = [data.load("mitbih_random", split, folder) for split in ("train", "test")]
    assert [len(part.labels) for part in parts] == [247, 61]
    assert parts[0].shape == (1, 1, FEATURES)
    together = np.concatenate([part.pixels for part in parts]).reshape(308, -1)
    assert len(np.unique(together, axis=0)) == 308


@pytest.mark.parametrize(
    ("suffix", "content", "reason"),
    [
        (".hea", b"100 2 360 5200\n", "not the header"),
        (".hea", b"100 2 250 5200\n" + b"100.dat 212 200 11 1024 9 1 0 MLII\n" * 2, "250 Hz"),
        (".hea", b"100 2 360 5200\n" + b"100.dat 212 200 11 1024 9 1 0 V5\n" * 2, "neither"),
        (".dat", bytes(3 * 5199), "take 15,600"),
        (".atr", annotations(MARKS)[:-2], "ends early"),
        (".atr", annotations([*MARKS, (6000, 1)]), "not in order within 5,200"),
        (".atr", annotations([*MARKS, (700, 1)]), "not in order"),
        (".atr", bytes(2), "not in order"),
        (".atr", None, "cannot read"),
    ],
)
def test_damaged_files_are_refused(tmp_path, suffix, content, reason):
    written(tmp_path, "100", 7)
    path = tmp_path / f"100{suffix}"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=reason):
        mitbih.read_record(tmp_path, "100")


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(UserError, match="MIT-BIH Arrhythmia Database"):
        data.load("mitbih", "test", tmp_path)
    with pytest.raises(UserError, match="--data-dir"):
        data.load("mitbih", "test")


def test_the_real_records_have_the_published_numbers_of_beats():
    """P. de Chazal et al., 2004, table III; today's annotations differ from theirs by one beat."""
    place = Path(os.environ.get("QBLIF_DATA", "none"))
    found = [folder for folder in (place, place / "mitbih") if (folder / "101.dat").is_file()]
    if not found:
        pytest.skip("QBLIF_DATA names no folder with the database")
    counts = [np.bincount(data.load("mitbih", split, found[0]).labels) for split in ("train", "test")]
    published = ([45866, 943, 3788, 415, 8], [44259, 1837, 3221, 388, 7])
    assert (np.abs(np.array(counts) - published) <= 1).all()
