import gc
import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from qblif import progress
from qblif.zoo import ZOO

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Before torch is imported, and for the processes that tests start: as many test processes run as there are cores, and
# more threads than cores wait for each other most of the time.

gc.set_threshold(100_000, 20, 100)
# Amaranth makes millions of small objects that live as long as their design, and Python's collector would look through
# all of them again and again: a third of the time that Verilog takes.

settings.register_profile("no_shrinking", phases=(Phase.explicit, Phase.reuse, Phase.generate))
"""For studies.mutations, where it matters that a test fails and not how small its example is."""


@pytest.fixture(scope="session")
def zoo() -> Path:
    return ZOO


@pytest.fixture(scope="session")
def digits_checkpoint() -> Path:
    return ZOO / "digits_mlp.pt"


@pytest.fixture(scope="session")
def fashion_checkpoint() -> Path:
    return ZOO / "fashion_mnist_mlp.pt"


@pytest.fixture
def fails(capsys, monkeypatch):
    """Run a command line that must refuse: exit code 2, one line on stderr, nothing else; returns the line.

    What slow steps say of their time is not seen.
    """
    monkeypatch.setattr(progress.REPORTER, "slow_seconds", 3600.0)

    def run(main, *arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) == 2
        captured = capsys.readouterr()
        lines = captured.err.strip().splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("error: ")
        assert captured.out == ""
        return lines[0]

    return run
