import errno
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from qblif.errors import UserError, command_line
from qblif.files import sole_writer, whole_file, whole_folder, write_whole

FORK = multiprocessing.get_context("spawn")
WRITERS, ROUNDS, FILES = 3, 10, 20


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "target")


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    target = tmp_path / "target"
    write_whole(target, "first\n")
    write_whole(target, b"second\n")
    assert target.read_bytes() == b"second\n"
    assert leftovers(tmp_path) == []


def test_a_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / "target"
    write_whole(target, "old")
    with pytest.raises(ZeroDivisionError), whole_file(target) as partial:
        partial.write_text(f"half of the n{1 // 0}")
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_links_and_devices_stay(tmp_path):
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    write_whole(target, "old")
    link.symlink_to(target)
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    read: list[str] = []
    reader.start()
    write_whole(pipe, "through the pipe")
    reader.join(10)
    assert read == ["through the pipe"]
    assert pipe.is_fifo()
    write_whole(Path("/dev/null"), "nothing")
    assert Path("/dev/null").is_char_device()
    assert leftovers(tmp_path) == ["link", "pipe"]


def test_a_reader_that_has_gone_is_not_an_error():
    for command in ("qblif.command --help", "gen.build --list-boards", "sim.golden --help"):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m {command} | true"], capture_output=True, text=True, check=True
        )
        assert done.stderr == "", command


def test_a_full_disk_is_one_line(tmp_path):
    full = r"cannot write .*target: No space left on device"
    with pytest.raises(UserError, match=full), whole_file(tmp_path / "target"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_every_command_line_says_in_one_line_that_the_disk_is_full(capsys):
    @command_line
    def main(arguments=None):  # noqa: ARG001
        raise OSError(errno.ENOSPC, "No space left on device", "build/network.v")

    assert main([]) == 2
    assert capsys.readouterr().err == "error: cannot write build/network.v: No space left on device\n"


def test_a_new_file_gets_the_usual_rights(tmp_path):
    write_whole(tmp_path / "target", "x")
    plain = tmp_path / "plain"
    plain.write_text("x")
    assert (tmp_path / "target").stat().st_mode == plain.stat().st_mode


def write_folders(target: Path, number: int) -> None:
    for _ in range(ROUNDS):
        with whole_folder(target) as folder:
            for index in range(FILES):
                (folder / f"{index}").write_text(f"{number}")


def test_folders_of_several_writers_never_mix(tmp_path):
    target = tmp_path / "target"
    writers = [FORK.Process(target=write_folders, args=(target, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    contents = {path.read_text() for path in target.iterdir()}
    assert len(list(target.iterdir())) == FILES
    assert len(contents) == 1
    assert leftovers(tmp_path) == []


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    target = tmp_path / "target"
    with whole_folder(target) as folder:
        (folder / "old").touch()
    with pytest.raises(ZeroDivisionError), whole_folder(target) as folder:
        (folder / f"new{1 // 0}").touch()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert leftovers(tmp_path) == []


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path):
    target = tmp_path / "target"
    refused = pytest.raises(UserError, match=r"another process is writing .*target")
    with sole_writer(target), refused, sole_writer(target):
        pass
    with sole_writer(target):
        pass
    assert leftovers(tmp_path) == []


def test_the_first_folder_stays_where_others_may_be_using_it(tmp_path):
    target = tmp_path / "target"
    with whole_folder(target, replace=False) as second:
        (second / "file").write_text("second")
        with whole_folder(target, replace=False) as first:
            (first / "file").write_text("first")
    assert (target / "file").read_text() == "first"
    assert leftovers(tmp_path) == []


def test_what_failed_stays_beside_the_last_good_folder(tmp_path):
    target, failed = tmp_path / "target", tmp_path / "target.failed"

    def fail(name: str) -> None:
        with whole_folder(target, keep_failed=True) as partial:
            (partial / f"{name}.log").write_text("words")
            raise UserError(f"it failed; see {partial / name}.log")

    for name in ("one", "two"):
        with pytest.raises(UserError) as raised:
            fail(name)
        assert str(raised.value) == f"it failed; see {failed / name}.log"
        assert sorted(path.name for path in failed.iterdir()) == [".failed", f"{name}.log"]
    with pytest.raises(ZeroDivisionError), whole_folder(target, keep_failed=True):
        raise ZeroDivisionError
    assert leftovers(tmp_path) == ["target.failed"]
    (failed / ".failed").unlink()
    with pytest.raises(UserError):
        fail("three")
    assert [path.name for path in failed.iterdir()] == ["two.log"]
