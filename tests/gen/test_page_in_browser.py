"""Pages of builds and simulations in a real browser, with screenshots in the test's output.

The pictures are in the folder QBLIF_SCREENSHOTS, or else in the test's own.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from gen import build
from gen.page.report import report_page
from qblif import golden
from qblif.network.coding import encode
from qblif.network.file import save_network
from qblif.network.references import ReferenceVectors
from sim import run
from tests.browser import WIDTHS, browser, needs_browser
from tests.networks import recurrent_stream

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture
def pictures(tmp_path) -> Path:
    return Path(os.environ.get("QBLIF_SCREENSHOTS", tmp_path / "screenshots"))


def check(page: Path, name: str, pictures: Path) -> None:
    """The page is right at every width, in light and dark colours, asks for nothing but itself, and can be printed."""
    with browser() as one:
        for width in WIDTHS:
            for colours in ("light", "dark"):
                picture = pictures / f"{name}_{width}_{colours}.png"
                seen = one.visit(page, width, picture, dark=colours == "dark")
                print(f"screenshot {picture}")
                assert seen.faults(width) == [], (name, width, colours)
                assert seen.requests == (page.as_uri(),)
        ground = one.evaluate("getComputedStyle(document.body).backgroundColor")
        assert sum(int(part) for part in ground.strip("rgb()").split(",")) < 3 * 64, "dark colours are dark"
        printed = pictures / f"{name}.pdf"
        one.print_to(printed)
        assert printed.read_bytes().startswith(b"%PDF")


def built(network: Path, board: str, until: str, out: Path) -> Path:
    assert build.main(["--board", board, "--ckpt", str(network), "--until", until, "--out", str(out)]) == 0
    return out / "report.html"


@pytest.mark.parametrize("name", ["fashion_mnist_mlp", "fashion_mnist_cnn", "digits_resnet", "cifar10_cnn"])
def test_before_synthesis(name, zoo, tmp_path, pictures):
    check(built(zoo / f"{name}.pt", "ulx3s_85f", "network", tmp_path / "out"), name, pictures)


def test_a_stream_network(tmp_path, pictures):
    network, random = recurrent_stream(), np.random.default_rng(1)
    samples = random.integers(0, 4, (2, network.timesteps, *network.input.shape)).astype(np.uint8)
    known = golden.run(network, encode(samples, network.input))
    path = tmp_path / "stream.safetensors"
    vectors = ReferenceVectors(samples=samples, logits=known.logits.numpy(), labels=known.classes.numpy())
    save_network(path, network, vectors)
    check(built(path, "ulx3s_12f", "network", tmp_path / "out"), "stream", pictures)


def test_a_placed_and_routed_design(zoo, tmp_path, pictures):
    page = built(zoo / "digits_mlp.pt", "ulx3s_12f", "bitstream", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["floorplan"]["owners"]) > 40
    assert sum(part["lut"] for part in report["used_by_part"].values()) == report["resources"]["lut"]
    assert report["utilisation"]["TRELLIS_FF"]["used"] == report["resources"]["ff"]
    check(page, "placed", pictures)


def test_long_and_strange_names(zoo, tmp_path, pictures):
    out = tmp_path / "out"
    built(zoo / "digits_resnet.pt", "ulx3s_12f", "network", out)
    text = (
        (out / "report.json").read_text().replace("stages_0_0", "W" * 100).replace("stages_1_0", "<script>x()</script>")
    )
    page = tmp_path / "strange.html"
    page.write_text(report_page(json.loads(text)))
    check(page, "strange", pictures)


def test_a_simulation(zoo, tmp_path, pictures):
    page = tmp_path / "run.html"
    arguments = ["--ckpt", str(zoo / "digits_resnet.pt"), "--data", "digits", "--count", "30", "--board", "ulx3s_12f"]
    assert run.main([*arguments, "--bench", "cpp", "--work-dir", str(tmp_path / "sim"), "--html", str(page)]) == 0
    check(page, "simulation", pictures)
