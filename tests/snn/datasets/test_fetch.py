import gzip
import hashlib
from http.client import IncompleteRead
from io import BytesIO
from multiprocessing import get_context

import pytest

from qblif.errors import UserError
from snn.datasets import data, fetch

CONTENT = {f"file-{index}": bytes([index]) * 1000 for index in range(40)}


@pytest.fixture
def publisher(monkeypatch):
    """A publisher who answers with CONTENT."""

    def answer(address: str, **_: float) -> BytesIO:
        return BytesIO(gzip.compress(CONTENT[address.rsplit("/", 1)[1].removesuffix(".gz")]))

    monkeypatch.setattr(fetch.urllib.request, "urlopen", answer)
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    return fetch.Official(address="http://publisher", sha256=sha256)


def fetch_and_read(publisher: fetch.Official, target, barrier, answers) -> None:
    """What a process does that finds no data set; tells ``answers`` whether it then read every file."""
    barrier.wait()
    fetch.fetch_official(publisher, target)
    answers.put(all((target / name).read_bytes() == content for name, content in CONTENT.items()))


def test_processes_that_fetch_at_once_all_find_the_whole_folder(publisher, tmp_path):
    fork = get_context("fork")
    barrier, answers = fork.Barrier(4), fork.Queue()
    processes = [
        fork.Process(target=fetch_and_read, args=(publisher, tmp_path / "set", barrier, answers), daemon=True)
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    assert [answers.get(timeout=60) for _ in processes] == [True] * 4
    for process in processes:
        process.join()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_folder_that_is_there_stays(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        fetch.place(tmp_path / name, tmp_path / "set")
    assert (tmp_path / "set" / "file").read_text() == "first"


def test_an_answer_that_breaks_off_gets_one_clear_line(publisher, monkeypatch, tmp_path):
    def broken(*_, **__):
        raise IncompleteRead(b"")

    monkeypatch.setattr(fetch.urllib.request, "urlopen", broken)
    with pytest.raises(UserError, match="--data-dir"):
        fetch.fetch_official(publisher, tmp_path / "set")
    assert not list(tmp_path.iterdir())


def test_a_wrong_download_is_refused_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "SYSTEM_DATASETS", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "fetch_debian", lambda *_: False)
    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda *_, **__: BytesIO(gzip.compress(b"not the data set")))
    with pytest.raises(UserError, match="sha256"):
        data.load("fashion_mnist", "test")
    assert not list((tmp_path / "cache" / "qblif").iterdir())


def test_nothing_is_written_beside_the_program(publisher, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "SYSTEM_DATASETS", tmp_path)
    monkeypatch.setattr(data, "FASHION_MNIST", publisher)
    monkeypatch.setattr(data, "fetch_debian", lambda *_: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match="train-images-idx3-ubyte is missing"):
        data.load("fashion_mnist", "train")
    assert {path.name for path in (tmp_path / "qblif" / "fashion-mnist").iterdir()} == set(CONTENT)


def test_a_cache_that_cannot_be_written_gets_one_clear_line(publisher, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file.*XDG_CACHE_HOME"):
        fetch.fetch_official(publisher, tmp_path / "file" / "set")


def test_a_download_that_unzips_without_end_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, "LARGEST_DOWNLOAD", 1000)
    answer = gzip.compress(bytes(1001))
    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda *_, **__: BytesIO(answer))
    with pytest.raises(UserError, match="more than 1000 bytes"):
        fetch.fetch_official(fetch.Official(address="http://publisher", sha256={"x": ""}), tmp_path / "set")
