"""The page of a build, made of its report alone."""

import itertools
import json
from html.parser import HTMLParser

import numpy as np
import pytest

from gen import build
from gen.page.html import VOID, join, tag
from gen.page.report import report_page
from qblif import golden
from qblif.network.coding import encode
from qblif.network.file import save_network
from qblif.network.references import ReferenceVectors
from tests.networks import recurrent_stream


class Reader(HTMLParser):
    """Reads a page: its elements must nest; keeps its text and the links to places in it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def leaves(value):
    """Every key and every plain value of a report."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield json.dumps(value) if value is None or isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def report(zoo, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "out"
    network = str(zoo / "digits_resnet.pt")
    assert build.main(["--board", "ulx3s_12f", "--ckpt", network, "--until", "network", "--out", str(out)]) == 0
    written = json.loads((out / "report.json").read_text())
    assert (out / "report.html").read_text() == report_page(written)
    return written


def test_the_page_says_everything_that_the_report_says(report):
    text = " ".join(read(report_page(report)).words)
    assert [leaf for leaf in leaves(report) if leaf not in text] == []


def test_it_loads_nothing_and_every_link_leads_somewhere(report):
    page = read(report_page(report))
    places = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for name, attributes in page.tags:
        assert name not in ("script", "link", "img", "iframe", "object")
        assert "src" not in attributes
        assert attributes.get("href", "#network")[1:] in places
    assert "url(" not in report_page(report).replace("url(#arrow)", "")
    assert "@import" not in report_page(report)


def test_headings_and_pictures_have_words(report):
    page = read(report_page(report))
    levels = [int(name[1]) for name, _ in page.tags if name in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    kinds = [name for name, _ in page.tags]
    pictures = [place for place, (_, attributes) in enumerate(page.tags) if attributes.get("role") == "img"]
    assert len(pictures) > len(report["weights"]) + len(report["bursts"])
    assert all(kinds[place + 1] == "title" for place in pictures)
    rest = [one for name, one in page.tags if name == "svg" and one.get("role") != "img"]
    assert all(one["aria-hidden"] == "true" for one in rest)


def test_a_layer_has_one_colour_in_every_figure(report):
    page = report_page(report)
    names = [node["name"] for node in report["network"]["nodes"] if node["kind"] != "input"]
    for index, name in enumerate(names):
        found = page.split(f"</span>{name}</span>")[:-1]
        assert len(found) > 3
        assert all(part.endswith(f'<span class="dot layer-{index}">') for part in found)


def test_strings_from_outside_are_escaped(report):
    planted = "<script>alert(1)</script>&\"'"
    text = json.dumps(report).replace("stages_0_0", json.dumps(planted)[1:-1])
    page = report_page(json.loads(text))
    assert "<script" not in page
    assert planted in " ".join(read(page).words)
    assert tag("p", planted, title=planted) == (
        '<p title="&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#x27;">'
        "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#x27;</p>"
    )
    assert join("<", tag("b", 1.0), ["&", None]) == "&lt;<b>1</b>&amp;"


def test_a_placed_design_has_a_floorplan(report):
    placed = {
        **report,
        "utilisation": {"LC": {"used": 30, "available": 120}},
        "used_by_part": {"readout": {"lut": 20, "ff": 9, "bram": 1}, "everything else": {"lut": 1, "ff": 0, "bram": 0}},
        "resources": {"lut": 21, "ff": 9, "bram": 1, "dsp": 0, "cells": 24},
        "floorplan": {
            "parts": {"a": "readout", "b": "everything else"},
            "owners": ["aab.", "..b."],
            "fullness": ["990.", "..9."],
        },
        "fmax_mhz": 30.0,
        "critical_paths": [
            {
                "clocks": ["posedge clk", "<async>"],
                "begins": {"signal": "a.b", "source": "hw/a.py:1"},
                "ends": {"signal": "c", "source": ""},
                "logic_ns": 3.0,
                "routing_ns": 4.5,
            }
        ],
    }
    page = report_page(placed)
    words = " ".join(read(page).words)
    assert "readout 2 tiles; everything else 2 tiles" in words
    assert "M0 0h2v1h-2z" in page
    assert "7.5 ns" in words
    assert "30 of 120" in words
    assert "&lt;async&gt;" in page


def test_a_stream_network_with_a_loop(tmp_path):
    network, random = recurrent_stream(), np.random.default_rng(1)
    samples = random.integers(0, 4, (2, network.timesteps, *network.input.shape)).astype(np.uint8)
    known = golden.run(network, encode(samples, network.input))
    path, out = tmp_path / "stream.safetensors", tmp_path / "out"
    save_network(
        path, network, ReferenceVectors(samples=samples, logits=known.logits.numpy(), labels=known.classes.numpy())
    )
    assert build.main(["--board", "ulx3s_12f", "--ckpt", str(path), "--until", "network", "--out", str(out)]) == 0
    layers = json.loads((out / "report.json").read_text())["layers"]
    # One window in each timestep, which is an inference.
    assert [row["windows"] for row in layers if "windows" in row] == [1, 1, 1]
    page = read((out / "report.html").read_text())
    assert "first to first: dense, 9 to 9, recurrent" in " ".join(page.words)
