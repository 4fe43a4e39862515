"""Imports run one way (docs/design.md, layout)."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "qblif": {"qblif", "hw.network", "hw.errors", "hw.reading"},
    "hw": {"hw"},
    "snn": {"snn", "qblif", "hw.network", "hw.errors", "hw.files", "hw.progress", "hw.reading"},
    "boards": {"boards", "qblif", "hw"},
    "gen": {"gen", "qblif", "hw", "boards"},
    "sim": {"sim", "qblif", "hw", "gen", "boards", "snn.data", "snn.fetch"},
    "studies": {"studies", "qblif", "hw", "gen", "boards", "snn", "sim"},
}
LAZY = {
    "gen/plan.py": {"snn.data"},
    "boards/host.py": {"snn.data", "gen.fold"},
}
"""Named exceptions, inside a function: gen.plan --data shows exact cycles of real inputs; boards.host takes a data set
with --data and reads the network of a --ckpt."""
LIGHT = (
    "hw/bounds.py",
    "hw/network.py",
    "hw/network_file.py",
    "hw/stream_order.py",
    "hw/configuration.py",
    "hw/errors.py",
    "hw/plan.py",
    "hw/progress.py",
    "hw/protocol.py",
    "hw/reading.py",
    "snn/data.py",
    "snn/events.py",
    "snn/aedat.py",
    "snn/recordings.py",
    "snn/idx.py",
    "snn/unzip.py",
    "snn/fetch.py",
    "boards/device.py",
    "boards/framing.py",
    "boards/host.py",
    "boards/serial_pipe.py",
)
"""What the host driver needs runs without torch and Amaranth."""


def imported(path: Path, *, lazily: bool = True) -> set[str]:
    """Every module that a file imports, inside functions too unless not ``lazily``; ``from a import b`` gives a.b."""
    names = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if lazily else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_imports_run_one_way():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for package, allowed in ALLOWED.items()
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in sorted(imported(path))
        if name.split(".")[0] in ALLOWED
        and not any(name == start or name.startswith(f"{start}.") for start in allowed)
        and not is_named_exception(path, name)
    ]
    assert not wrong


def is_named_exception(path: Path, name: str) -> bool:
    """Whether a file may import ``name`` in a function, and does so nowhere else."""
    named = LAZY.get(str(path.relative_to(ROOT)), set())
    return any(name == one or name.startswith(f"{one}.") for one in named) and name not in imported(path, lazily=False)


def test_what_the_host_needs_is_light():
    for name in LIGHT:
        roots = {module.split(".")[0] for module in imported(ROOT / name)}
        assert not roots & {"torch", "amaranth", "amaranth_boards"}, name
        at_once = imported(ROOT / name, lazily=False)
        assert not any(module.startswith("qblif.golden") for module in at_once), name  # it imports torch


def test_package_files_are_empty():
    for package in ("qblif", "hw", "snn", "boards"):
        assert (ROOT / package / "__init__.py").read_text() == ""
