"""The cache of what slow tools make."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from qblif import kept
from qblif.files import PARTIAL

ROOM = 20_000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "qblif" / "things"


def filled(folder: Path, text: str, *decides: str) -> list[str]:
    """Fill a new folder; returns the texts that had to be made."""
    made: list[str] = []

    def make() -> None:
        made.append(text)
        (folder / "inner").mkdir()
        (folder / "inner" / "program").write_text(text)
        (folder / "inner" / "program").chmod(0o755)

    folder.mkdir()
    kept.fill(folder, "things", decides, make)
    return made


def test_what_was_made_is_not_made_again(tmp_path):
    assert filled(tmp_path / "one", "text", "a", "b") == ["text"]
    assert filled(tmp_path / "two", "other", "a", "b") == []
    assert (tmp_path / "two/inner/program").read_text() == "text"
    assert os.access(tmp_path / "two/inner/program", os.X_OK)
    for number, decides in enumerate((("a", "c"), ("a",), ("ab",), ("a", "b", ""))):
        assert filled(tmp_path / f"other{number}", "new", *decides) == ["new"]


def test_a_failure_is_not_kept(tmp_path, cache):
    def fail() -> None:
        (tmp_path / "one" / "half").write_text("")
        raise RuntimeError("the tool failed")

    (tmp_path / "one").mkdir()
    with pytest.raises(RuntimeError, match="the tool failed"):
        kept.fill(tmp_path / "one", "things", ["a"], fail)
    assert not cache.exists()
    assert filled(tmp_path / "two", "text", "a") == ["text"]


def test_a_cache_that_cannot_be_written_is_not_used(tmp_path, cache, monkeypatch):
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where the folder should be")
    for name in ("one", "two"):
        assert filled(tmp_path / name, "text", "a") == ["text"]
        assert (tmp_path / name / "inner/program").read_text() == "text"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(kept.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    assert filled(tmp_path / "three", "text", "a") == ["text"]


def test_an_entry_that_is_removed_meanwhile_is_made_again(tmp_path, cache, monkeypatch):
    filled(tmp_path / "one", "text", "a")
    copytree = kept.shutil.copytree

    def disturbed(source, target, *options, **named):
        if Path(source).parent == cache:
            (target / "inner").mkdir()
            (target / "inner" / "half").write_text("")
            raise kept.shutil.Error([])
        return copytree(source, target, *options, **named)

    monkeypatch.setattr(kept.shutil, "copytree", disturbed)
    assert filled(tmp_path / "two", "again", "a") == ["again"]
    assert [path.name for path in (tmp_path / "two/inner").iterdir()] == ["program"]


def test_the_entries_that_were_not_used_for_longest_go(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(kept, "LARGEST", 25)
    filled(tmp_path / "one", 10 * "1", "1")
    filled(tmp_path / "two", 10 * "2", "2")
    now = time.time()
    for age, number in enumerate(("2", "1")):
        os.utime(cache / kept.digest([number]), (now - 100 - age, now - 100 - age))
    assert filled(tmp_path / "used", "", "1") == []
    assert filled(tmp_path / "three", 10 * "3", "3") == [10 * "3"]
    assert {path.name for path in cache.iterdir()} == {kept.digest(["1"]), kept.digest(["3"])}
    assert filled(tmp_path / "four", 30 * "4", "4") == [30 * "4"]
    assert (tmp_path / "four/inner/program").read_text() == 30 * "4"
    assert list(cache.iterdir()) == []


def fill_again_and_again(folder: Path, first: int) -> None:
    """Fill folders of four contents a hundred times, and look at each; the cache has room for two of them."""
    kept.LARGEST = ROOM
    for number in range(first, first + 100):
        content = 10_000 * str(number % 4)
        filled(folder / f"{first}-{number}", content, content)
        assert (folder / f"{first}-{number}/inner/program").read_text() == content


def test_two_processes_at_once(tmp_path, cache, monkeypatch):
    processes = multiprocessing.get_context("spawn")
    both = [processes.Process(target=fill_again_and_again, args=(tmp_path, first)) for first in (0, 1000)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert not list(cache.glob(f"*{PARTIAL}"))
    monkeypatch.setattr(kept, "LARGEST", ROOM)
    filled(tmp_path / "last", "", "last")
    assert sum(path.stat().st_size for path in cache.rglob("program")) <= ROOM


def test_the_folder_is_the_users(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    for named, folder in (
        ("/var/tmp/caches", "/var/tmp/caches/qblif"),
        ("", "/home/someone/.cache/qblif"),
        ("relative/folder", "/home/someone/.cache/qblif"),
    ):
        monkeypatch.setenv("XDG_CACHE_HOME", named)
        assert str(kept.cache_folder()) == folder
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert str(kept.cache_folder()) == "/home/someone/.cache/qblif"
