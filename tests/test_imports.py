"""Imports run one way (docs/design.md, layout)."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "hw": {"hw"},
    "snn": {"snn", "hw.network", "hw.errors"},
    "boards": {"boards", "hw"},
    "gen": {"gen", "hw", "boards"},
    "sim": {"sim", "hw", "gen", "boards", "snn.data"},
    "studies": {"studies", "hw", "gen", "boards", "snn", "sim"},
}
LIGHT = (
    "hw/network.py",
    "hw/network_file.py",
    "hw/stream_order.py",
    "hw/configuration.py",
    "hw/errors.py",
    "hw/plan.py",
    "snn/data.py",
)
"""What the host driver needs runs without torch and Amaranth."""


def imported(path: Path) -> set[str]:
    """Every module that a file imports, ``from a import b`` giving a.b too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
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
        if name.split(".")[0] in ALLOWED and not any(name == start or name.startswith(f"{start}.") for start in allowed)
    ]
    assert not wrong


def test_what_the_host_needs_is_light():
    for name in LIGHT:
        roots = {module.split(".")[0] for module in imported(ROOT / name)}
        assert not roots & {"torch", "amaranth", "amaranth_boards"}, name


def test_package_files_are_empty():
    for package in ("hw", "snn", "boards"):
        assert (ROOT / package / "__init__.py").read_text() == ""
