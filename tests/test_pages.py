"""The pages that lead from a framework to a board, executed as they stand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"from_snntorch": "snntorch", "from_spikingjelly": "spikingjelly", "from_nir": "nir"}
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page, tmp_path):
    pytest.importorskip(PAGES[page], reason="pip install 'qblif[frameworks]'")
    blocks = BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text())
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    code = ""

    def run(*words: str) -> str:
        finished = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    for language, text in blocks:
        if language == "python":
            code += text
            continue
        if code:
            run("-c", code)
            code = ""
        for line in text.splitlines():
            python, *words = shlex.split(line)
            assert python == "python"
            run(*words)
    if code:
        run("-c", code)
    assert len(blocks) > 1
    assert list((tmp_path / "build").rglob("*.bin")), "a bitstream of an iCEBreaker"
