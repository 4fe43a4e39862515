"""The SoC example: what it prints is what the golden model computes."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.soc import __main__ as command
from examples.soc import software
from examples.soc.console import differences, expected_lines, measured
from gen.design import make_design
from qblif import golden
from qblif.network.coding import encode
from qblif.zoo import checkpoint

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^image (\d+): class (\d+), label (\d+), logits ([-\d ]+), cycles (\d+) (\d+)$", re.MULTILINE)
IMAGES = 10


@pytest.fixture(scope="module")
def design():
    return make_design(checkpoint("digits_mlp"), "ulx3s_85f", target="wishbone")


def console_of(design, count: int) -> str:
    """What a right system prints."""
    return "".join(f"{line}, cycles 5 {7 + number}\n" for number, line in enumerate(expected_lines(design, count)))


def test_what_is_expected_is_the_golden_model(design):
    logits = golden.run(design.network, encode(design.references.samples, design.network.input)).logits.numpy()
    found = LINE.findall(console_of(design, IMAGES))
    assert [int(number) for number, *_ in found] == list(range(IMAGES))
    for number, winner, label, printed, *_ in found:
        row = logits[int(number)]
        assert [int(word) for word in printed.split()] == row.tolist()
        assert int(winner) == row.argmax()
        assert int(label) == design.references.labels[int(number)]
    assert measured(console_of(design, 3)) == [(5, 7), (5, 8), (5, 9)]


def test_differences_are_found(design):
    expected, right = expected_lines(design, 4), console_of(design, 4)
    lines = right.splitlines()
    logit = expected[1].split()[-1]
    assert differences(right + "done\n", expected) == []
    assert len(differences(right.replace(f"{logit}, cycles 5 8", f"{int(logit) + 1}, cycles 5 8"), expected)) == 1
    assert len(differences(right.replace("cycles 5 9", "cycles 5 9, bad"), expected)) == 1
    assert len(differences("\n".join(lines[:2]), expected)) == 2
    assert len(differences(right + lines[0], expected)) == 1
    assert len(differences("the core does not answer\ndone\n", expected)) == 4


def test_images_are_in_the_order_of_the_core(design):
    images, labels = design.references.samples[:3], design.references.labels[:3]
    header = software.images_header(design, images, labels)
    rows = [[int(word) for word in row.split(", ")] for row in re.findall(r"^  \{([\d, ]+)\}", header, re.MULTILINE)]
    # Of one channel, they are as they are.
    assert np.array_equal(rows, images.reshape(3, -1))
    assert f"labels[IMAGES] = {{{labels[0]}, {labels[1]}, {labels[2]}}};" in header
    assert "#define IMAGES 3u" in header


def test_what_is_refused(fails, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "PACKAGES", ())
    assert "--count 17" in fails(command.main, "simulate", "--count", "17")
    monkeypatch.setattr(command, "PACKAGES", ("no_such_package",))
    assert "no_such_package is not installed" in fails(command.main, "simulate")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(command.UserError, match="gcc-riscv64-unknown-elf"):
        software.find_compiler()


needs_the_tools = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in command.PACKAGES) or shutil.which(software.COMPILER) is None,
    reason="pip install 'qblif[soc]' and apt-get install gcc-riscv64-unknown-elf",
)


@pytest.mark.slow
@needs_the_tools
@pytest.mark.parametrize(("fps", "answered"), [(5000, 20_000), (40_000, 8_000)])
def test_the_firmware_classifies_ten_images(fps, answered, tmp_path):
    out = tmp_path / "soc"
    # A process of its own, as a user starts it: LiteX changes the logging of the whole process.
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "examples.soc",
            "simulate",
            "--count",
            str(IMAGES),
            "--target-fps",
            str(fps),
            "--out",
            str(out),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found = LINE.findall((out / "console.txt").read_text())
    design = make_design(checkpoint("fashion_mnist_mlp"), "ulx3s_85f")
    samples = design.references.samples[:IMAGES]
    logits = golden.run(design.network, encode(samples, design.network.input)).logits.numpy()
    assert [int(number) for number, *_ in found] == list(range(IMAGES))
    for row, (_, winner, _, printed, prepare, answer) in zip(logits, found, strict=True):
        assert [int(word) for word in printed.split()] == row.tolist()
        assert int(winner) == row.argmax()
        assert 0 < int(prepare) < 40_000
        assert 0 < int(answer) < answered
