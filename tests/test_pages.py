"""The pages that lead from an idea to a result, executed as they stand.

``python`` blocks between two ``sh`` blocks are one program. A block with a title is a file, a ``diff`` block an edit of
one; pages with such blocks work in a copy of the packages.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = {"from_snntorch": "snntorch", "from_spikingjelly": "spikingjelly", "from_nir": "nir"}
TO_A_BITSTREAM = (*FRAMEWORKS, "getting_started", "streams")
"""Pages that end with a bitstream of an iCEBreaker."""
PAGES = (*TO_A_BITSTREAM, "add_a_board", "add_a_stage")
PACKAGES = ("boards", "gen", "hw", "qblif", "sim", "snn", "studies")
BLOCK = re.compile(r'^```(python|sh|diff)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
SECONDS_TO_END = 60


class Reader:
    """Somebody who does what a page says, in one folder."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.said, self.code = folder, "", ""
        self.environment = os.environ | {"PYTHONPATH": str(source)}
        self.running: list[subprocess.Popen] = []

    def python(self, *words: str) -> None:
        finished = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        self.said += finished.stdout

    def finish_program(self) -> None:
        if self.code:
            self.python("-c", self.code)
        self.code = ""

    def shell(self, line: str) -> None:
        program, *words = shlex.split(line)
        words = {"python": words, "qblif": ["-m", "qblif.command", *words]}[program]
        if words[-1] == "&":
            self.start([sys.executable, *words[:-1]])
        else:
            self.python(*words)

    def start(self, command: list[str]) -> None:
        """Start a program that stays, and wait for its first line."""
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline(), "it has ended"

    def end(self) -> None:
        for process in self.running:
            process.terminate()
            process.communicate(timeout=SECONDS_TO_END)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page, tmp_path):
    if page in FRAMEWORKS:
        pytest.importorskip(FRAMEWORKS[page], reason="pip install 'qblif[frameworks]'")
    blocks = BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text())
    edits = any(title for _, title, _ in blocks)
    for package in PACKAGES if edits else ():
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    reader = Reader(tmp_path, tmp_path if edits else ROOT)
    try:
        for language, title, text in blocks:
            if language == "diff":
                subprocess.run(["git", "apply"], input=text, cwd=tmp_path, text=True, check=True)
            elif title:
                (tmp_path / title).write_text(text)
            elif language == "python":
                reader.code += text
            else:
                reader.finish_program()
                for line in text.splitlines():
                    reader.shell(line)
        reader.finish_program()
    finally:
        reader.end()
    assert len(blocks) > 1
    if page in TO_A_BITSTREAM:
        assert list((tmp_path / "build").rglob("*.bin")), "a bitstream of an iCEBreaker"
    if page == "getting_started":
        assert "mismatches against golden: 0 of 10" in reader.said
