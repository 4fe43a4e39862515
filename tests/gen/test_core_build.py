"""Cores from the command line."""

import json
import re
import zlib
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from boards.catalogue import CATALOGUE
from boards.parts import PARTS, find_part, find_place
from gen import build
from qblif.errors import UserError

CORE = ("--target", "axi", "--part", "lfe5u-45", "--ckpt", "digits_mlp")


def test_a_core_up_to_its_verilog_and_the_tables_of_other_weights(tmp_path, capsys):
    out = tmp_path / "core"
    assert build.main([*CORE, "--patchable", "--until", "rtl", "--out", str(out)]) == 0
    assert "core with the ports of --target axi" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert (report["target"], report["board"], report["clock_mhz"]) == ("axi", "lfe5u-45", 80.0)
    assert report["self_test_samples"] == 0
    schema = json.loads((Path(__file__).resolve().parents[2] / "docs/schemas/report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(report)
    text = (out / "rtl" / "qblif_core.v").read_text()
    assert "module qblif_core(" in text
    assert build.main(["--patch", str(out), "--ckpt", "digits_mlp"]) == 0
    header = (tmp_path / "core-patched" / "sw" / "qblif_core_tables.h").read_text()
    arrays = re.findall(r"qblif_core_table_\d+\[\] = \{ /\* (\S+) \*/ (.*?) \};", header)
    checksums = [int(one, 16) for one in re.findall(r"\{qblif_core_table_\d+, \d+u, (0x\w+)u\}", header)]
    assert len(arrays) == len(checksums) > 4
    for (name, words), checksum in zip(arrays, checksums, strict=True):
        values = np.array([int(word.rstrip("u"), 16) for word in words.split(", ")], "<u4")
        assert zlib.crc32(values.tobytes()) == checksum
        owner, _, memory = name.rpartition(".")
        module = text[text.index(f"module \\qblif_core.network.{owner} ") :]
        first = re.search(rf"  {memory}\[0\] = \d+'h([0-9a-f]+);", module)
        assert first is not None
        low = int(first[1], 16) & 0xFFFFFFFF
        assert values[0] == low


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "axi", "--ckpt", "digits_mlp"), "there are"),
        (("--part", "lfe5u-45", "--ckpt", "digits_mlp"), "--target"),
        ((*CORE, "--until", "bitstream"), "--until"),
        (("--board", "ulx3s_85f", "--ckpt", "digits_mlp", "--until", "package"), "--until"),
        (("--target", "stream", "--part", "xc7z020", "--ckpt", "digits_mlp"), "xc7a35t"),
    ],
)
def test_what_is_refused(words, said, fails, tmp_path):
    assert said in fails(build.main, *words, "--out", tmp_path / "out")


def test_parts_are_not_boards():
    assert not PARTS.keys() & CATALOGUE.keys()
    assert {board.family.name for board in CATALOGUE.values()} == {part.family.name for part in PARTS.values()}
    assert {board.budget for board in CATALOGUE.values()} <= {part.budget for part in PARTS.values()}
    for name, part in PARTS.items():
        assert find_part(name) is find_place(name) is part
    with pytest.raises(UserError, match="there are"):
        find_part("ulx3s_85f")
