"""The cache of compiled objects, with a compiler that leaves a trace of every run."""

import subprocess
import sys
from pathlib import Path

import pytest

import sim.object_cache


@pytest.fixture
def place(tmp_path):
    """A runtime of one file, and a compiler that copies it and notes that it ran."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    (runtime / "one.cpp").write_text("first")
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\necho ran >> runs\ncp "$4" "$3"\n')
    compiler.chmod(0o755)
    return tmp_path


def compile_file(place: Path, source: str, target: str = "one.o") -> int:
    script = [sys.executable, sim.object_cache.__file__, place / "cache", place / "runtime"]
    command = [place / "compiler", "-c", "-o", target, place / source]
    return subprocess.run([*map(str, script), *map(str, command)], cwd=place, check=False).returncode


def runs(place: Path) -> int:
    return (place / "runs").read_text().count("ran") if (place / "runs").exists() else 0


def test_a_file_of_the_runtime_is_compiled_once(place):
    for _ in range(3):
        assert compile_file(place, "runtime/one.cpp") == 0
        assert (place / "one.o").read_text() == "first"
        (place / "one.o").unlink()
    assert runs(place) == 1


def test_another_runtime_is_compiled_again(place):
    compile_file(place, "runtime/one.cpp")
    (place / "runtime" / "one.cpp").write_text("second, longer")
    compile_file(place, "runtime/one.cpp")
    assert (place / "one.o").read_text() == "second, longer"
    assert runs(place) == 2


def test_the_network_itself_is_always_compiled(place):
    (place / "network.cpp").write_text("network")
    for _ in range(2):
        assert compile_file(place, "network.cpp") == 0
    assert runs(place) == 2


def test_a_failure_is_not_kept(place):
    (place / "compiler").write_text("#!/bin/sh\necho ran >> runs\nexit 3\n")
    assert [compile_file(place, "runtime/one.cpp") for _ in range(2)] == [3, 3]
    assert runs(place) == 2


def test_without_room_the_object_is_there_all_the_same(place):
    (place / "cache").write_text("a file where the folder should be")
    assert compile_file(place, "runtime/one.cpp") == 0
    assert (place / "one.o").read_text() == "first"
