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


LONGEST = (
    "studies/test_proofs",
    "test_frozen_verilog",
    "hw/test_top",
    "hw/test_schedules",
    "gen/planning/test_cycles",
    "hw/link/test_steps_on_the_line",
    "gen/emit/test_patch",
    "gen/planning/test_planner",
    "gen/test_fit",
    "hw/test_windows",
    "sim/test_run",
    "gen/test_build",
    "boards/test_openxc7",
    "hw/link/test_device_on_the_line",
    "boards/test_boards",
    "sim/test_netlist",
    "gen/emit/test_rtl",
    "sim/test_exhaustive",
    "sim/test_icarus",
    "studies/test_resources",
    "snn/test_train",
    "sim/test_simulated_streams",
    "boards/test_block_rams",
    "hw/test_stress",
)
"""The files that take longest, the longest first: handed out in this order (--no-loadscope-reorder), they leave no
process at work long after the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    places = {f"tests/{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


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
