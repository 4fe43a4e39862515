"""The documentation site: links, pages written from the source, error messages, and every page in a real browser."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from studies.site import pictures, reference
from studies.site.reference import ROOT
from tests.browser import WIDTHS, browser, needs_browser
from tests.reference import update

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FROM_ELSEWHERE = re.compile(r"<(?:script|img|link|iframe|source)[^>]*\s(?:src|href)=[\"']?(?:https?:)?//[^>]*>")


def pages() -> list[Path]:
    """Every Markdown file that people read."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "snn").rglob("*.md")]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    words = (re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in HEADING.findall(text))
    return {re.sub(r"[\s]+", "-", one) for one in words}


def test_every_relative_link_leads_somewhere():
    written = {ROOT / "docs" / path: text for path, text in reference.pages()}
    wrong = []
    for page in pages():
        for link in LINK.findall(page.read_text()):
            path, _, anchor = link.partition("#")
            if path.startswith(("http:", "https:", "mailto:")):
                continue
            target = (page.parent / path).resolve() if path else page
            text = written.get(target) or (target.read_text() if target.suffix == ".md" and target.is_file() else "")
            if not (target.exists() or target in written) or (anchor and anchor not in anchors(text)):
                wrong.append(f"{page.relative_to(ROOT)}: {link}")
    assert not wrong


def test_every_module_of_qblif_and_snn_is_on_one_page():
    named = {module for module in reference.modules() if module.partition(".")[0] in ("qblif", "snn")}
    assert len(named) > 80
    assert all(reference.page_of(module) for module in named)
    assert reference.page_of("snn.layers") == "layers"
    assert reference.page_of("snn.training") == "training"
    assert reference.page_of("snn.convert.nir.graph") == "convert"
    assert reference.page_of("hw.shell.device") is None


def test_every_command_is_explained():
    written = dict(reference.pages())
    text = written["reference/commands.md"] + written["reference/studies.md"]
    for name in reference.commands():
        assert f"usage: python -m {name} " in text or name == "qblif.command", name
    assert "## qblif build" in text


def templates() -> set[str]:
    """Every text in the source; values that are filled in are written as three dots."""
    found = set()
    for package in reference.PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    found.add(
                        "".join(str(one.value) if isinstance(one, ast.Constant) else "..." for one in node.values)
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return found


def test_the_error_messages_of_the_page_are_those_of_the_source():
    rows = re.findall(r"^\| `([^`]+)`", (ROOT / "docs" / "faq.md").read_text(), re.MULTILINE)
    assert len(rows) > 25
    known = templates()
    unknown = []
    for message in rows:
        pieces = [re.escape(piece.strip()) for piece in message.split("...") if piece.strip()]
        pattern = re.compile(".*".join(pieces), re.DOTALL)
        if not any(map(pattern.search, known)):
            unknown.append(message)
    assert not unknown


def test_the_drawn_neuron_is_a_neuron():
    for ceiling in (1, 3):
        neuron: Any = SimpleNamespace(
            fraction_bits=6, leak=SimpleNamespace(multiplier=3, shift=2), rounding=None, reset="soft",
            burst_ceiling=ceiling, membrane_limits=None,
        )  # fmt: skip
        membrane, drawn = 0, pictures.neuron_steps(pictures.CURRENTS, ceiling, 3, 2)
        for current, (_, count) in zip(pictures.CURRENTS, drawn, strict=True):
            expected, membrane = update(neuron, current, membrane)
            assert count == expected
        assert max(count for _, count in drawn) == ceiling


def test_the_drawn_events_add_up_to_the_bursts():
    bursts = [0, 5, 15, 8, 1, 0, 7]
    banks = pictures.bank_events(bursts, 3)
    for channel, burst in enumerate(bursts):
        assert sum(1 << plane for other, plane in banks[channel % 3] if other == channel) == burst
    assert sum(map(len, banks)) == sum(burst.bit_count() for burst in bursts)


@pytest.mark.slow
def test_the_pictures_are_those_of_the_code():
    for name, drawing in pictures.pictures().items():
        assert (ROOT / "docs" / "pictures" / name).read_text() == str(drawing), f"{name}: run python -m studies.site"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as make docs-check builds it."""
    pytest.importorskip("mkdocs", reason="pip install 'qblif[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_nothing_comes_from_elsewhere(site):
    built = list(site.rglob("*.html"))
    assert len(built) > 40
    for page in built:
        assert not FROM_ELSEWHERE.findall(page.read_text()), page.name


@pytest.mark.slow
@needs_browser
def test_every_page_in_a_browser(site, tmp_path):
    faults = []
    with browser() as one:
        for page in sorted(site.rglob("*.html")):
            for width in WIDTHS:
                name = page.relative_to(site).with_suffix("").as_posix().replace("/", "_")
                seen = one.visit(page, width, tmp_path / f"{name}_{width}.png")
                faults += [f"{name} at {width}: {fault}" for fault in seen.faults(width)]
                foreign = [request for request in seen.requests if not request.startswith(("file:", "data:"))]
                faults += [f"{name} asks for {request}" for request in foreign]
    print(f"screenshots: {tmp_path}")
    assert not faults
