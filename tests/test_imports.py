"""Imports run one way (docs/design.md, packages)."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "qblif": {"qblif"},
    "qblif.api": {"qblif", "hw", "gen", "sim", "snn"},
    "hw": {"hw", "qblif"},
    "snn.datasets": {"snn.datasets", "qblif"},
    "snn": {"snn", "qblif"},
    "boards.host": {"boards.host", "qblif"},
    "boards": {"boards", "hw", "qblif"},
    "gen.plan": {"gen", "boards", "hw", "qblif", "snn.datasets"},
    "gen.overview": {"gen", "boards", "hw", "qblif", "snn.datasets"},
    "gen": {"gen", "boards", "hw", "qblif"},
    "sim": {"sim", "gen", "boards", "hw", "snn.datasets", "qblif"},
    "examples": {"examples", "sim", "gen", "boards", "hw", "qblif"},
    "studies": {"studies", "sim", "gen", "boards", "hw", "snn", "qblif"},
}
"""What a room may import; the first room that a file lies in counts. gen.plan takes a data set with --data."""
LAZY = {
    "boards/host/__main__.py": {"snn.datasets", "gen.frontend"},
    "boards/host/heartbeats.py": {"snn.datasets"},
    "boards/host/recording.py": {"snn.datasets"},
}
"""Named exceptions, inside a function: boards.host reads data sets and records, and the network of a --ckpt."""
LIGHT = ("qblif", "snn.datasets", "boards.host")
"""Rooms that run without torch and Amaranth."""
WITH_TORCH = {"qblif/golden.py", "qblif/archive.py", "qblif/api.py"}
"""The golden model, the reading of what torch.save wrote, and the Python API."""
LATE = {"qblif/__init__.py", "snn/convert/__init__.py"}
"""Packages that have functions, which are imported when they are used."""


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


def room(path: Path) -> str:
    """The room that a file lies in."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return next(name for name in sorted(ALLOWED, key=len, reverse=True) if inside(module, {name}))


def inside(module: str, packages: set[str]) -> bool:
    """Whether a module is one of some packages, or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def files(*packages: str) -> list[Path]:
    """All files of some packages."""
    return [path for package in packages for path in sorted((ROOT / package.replace(".", "/")).rglob("*.py"))]


def test_imports_run_one_way():
    ours = {name.partition(".")[0] for name in ALLOWED}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(*ours)
        for name in sorted(imported(path))
        if inside(name, ours) and not inside(name, ALLOWED[room(path)]) and not is_named_exception(path, name)
    ]
    assert not wrong


def is_named_exception(path: Path, name: str) -> bool:
    """Whether a file may import ``name`` in a function, and does so nowhere else."""
    named = LAZY.get(str(path.relative_to(ROOT)), set())
    return inside(name, named) and name not in imported(path, lazily=False)


def test_what_the_host_needs_is_light():
    heavy = {"torch", "amaranth", "amaranth_boards", *(file[:-3].replace("/", ".") for file in WITH_TORCH)}
    for path in files(*LIGHT):
        if str(path.relative_to(ROOT)) not in WITH_TORCH:
            assert not [name for name in imported(path, lazily=False) if inside(name, heavy)], path


def test_package_files_are_empty():
    for path in files("qblif", "hw", "snn", "boards", "gen", "sim", "examples"):
        if path.name == "__init__.py" and str(path.relative_to(ROOT)) not in LATE:
            assert path.read_text() == "", path
