"""The pages of the documentation site that are written from the source when the site is built, so that they are never
stale: the commands' help, and the classes and functions of the packages."""

import contextlib
import importlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from qblif.command import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("boards", "examples", "gen", "hw", "qblif", "sim", "snn", "studies")
GUARD = re.compile(r'^if __name__ == "__main__":', re.MULTILINE)
FOR_PROGRAMS = {"sim.object_cache"}
"""What other programs run, make for instance."""
COLUMNS = "100"
"""Width of the help."""
GROUPS = {
    "api": ("Python API", ("qblif.api",)),
    "layers": (
        "Layers and neurons",
        (
            "snn.layers",
            "snn.neuron",
            "snn.projections",
            "snn.bursts",
            "snn.dynamics",
            "snn.decay",
            "snn.nodes",
            "snn.models",
            "snn.architecture",
            "snn.residual",
            "snn.surrogate",
            "snn.state",
        ),
    ),
    "training": ("Training", ("snn",)),
    "convert": ("Converting networks of other frameworks", ("snn.convert", "snn.export")),
    "datasets": ("Data sets", ("snn.datasets",)),
    "network": ("The integer network", ("qblif.network", "qblif.golden")),
    "host": ("Host driver", ("boards.host", "qblif.protocol")),
    "boards": ("Boards and families", ("boards",)),
    "stages": ("Stages and engines", ("hw.stages", "hw.engines")),
    "shared": ("What all parts share", ("qblif",)),
}
"""For each page its title and the modules or packages on it; a module is on the page that names it most closely."""
STUDIES = ("studies",)


def modules() -> list[str]:
    """The modules of the packages that have a page."""
    named = {name.partition(".")[0] for _, names in GROUPS.values() for name in names}
    found = (path for package in sorted(named) for path in (ROOT / package).rglob("*.py") if path.read_text().strip())
    names = (path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in found)
    return sorted(name.removesuffix(".__init__") for name in names if not name.endswith(".__main__"))


def page_of(module: str) -> str | None:
    """The page that names a module most closely, by its name or that of a package it is in."""
    fits = [
        (len(name), page)
        for page, (_, names) in GROUPS.items()
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    return max(fits)[1] if fits else None


def module_page(page: str) -> str:
    """The Markdown of a page of modules; mkdocstrings fills it in."""
    title, named = GROUPS[page]
    first = {name: place for place, name in enumerate(named)}
    found = [module for module in modules() if page_of(module) == page]
    found.sort(key=lambda name: (first.get(name, len(first)), name))
    parts = [f"# {title}", "Written from the source; names that begin with an underscore are left out."]
    parts += [f"## {name}\n\n::: {name}\n    options:\n      show_root_heading: false" for name in found]
    return "\n\n".join(parts) + "\n"


def commands() -> list[str]:
    """What a user runs with ``python -m``: the modules with a main block."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if GUARD.search(path.read_text())]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__") for path in found}
    return sorted(names - FOR_PROGRAMS)


def help_of(name: str) -> str:
    """What a command says with ``--help``."""
    package = (ROOT / name.replace(".", "/")).is_dir()
    module = importlib.import_module(f"{name}.__main__" if package else name)
    said, columns = io.StringIO(), mock.patch.dict(os.environ, COLUMNS=COLUMNS)
    with columns, contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        module.main(["--help"])
    return said.getvalue()


def command_page(title: str, names: list[str]) -> str:
    """The Markdown of a page of commands."""
    short = {module.removesuffix(".__main__"): name for name, (module, _, _) in COMMANDS.items()}
    parts = [f"# {title}", "What each command says with `--help`, written when this site was built."]
    order = ["qblif.command", *short]
    for name in sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name)):
        heading = {"qblif.command": "qblif"}.get(name, f"qblif {short[name]}" if name in short else f"python -m {name}")
        parts.append(f"## {heading}\n\n```text\n{help_of(name).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def pages() -> Iterator[tuple[str, str]]:
    """Path and Markdown of every page that is written from the source."""
    of_studies = [name for name in commands() if name.startswith(STUDIES)]
    yield "reference/commands.md", command_page("Commands", [name for name in commands() if name not in of_studies])
    yield "reference/studies.md", command_page("Commands of the studies", of_studies)
    for page in GROUPS:
        yield f"reference/{page}.md", module_page(page)
    for name in ("CONTRIBUTING", "CHANGELOG"):
        target = {"CONTRIBUTING": "contributing.md", "CHANGELOG": "changes.md"}[name]
        yield target, (ROOT / f"{name}.md").read_text().replace("](docs/", "](")
