"""The checks of tests.browser find planted faults."""

import pytest

from tests.browser import WIDTHS, browser, needs_browser

GOOD = (
    '<!doctype html><html lang="en"><head><title>A page</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>{}</body></html>'
)


@needs_browser
def test_faults_of_a_page_are_found(tmp_path):
    path = tmp_path / "page.html"
    wide = "<div style='width: 2000px'>wide</div>"
    planted = {
        "": "",
        wide: "2008 pixels wide",
        "<script>console.error('planted')</script>": "console: planted",
        "<script>planted()</script>": "exception",
        "<img alt='' src='planted.png'>": "did not load",
        f"<div style='overflow-x: auto'>{wide}</div>": "",
    }
    with browser() as one:
        for width in WIDTHS:
            for body, fault in planted.items():
                path.write_text(GOOD.format(body))
                seen = one.visit(path, width, tmp_path / "page.png")
                faults = seen.faults(width)
                assert faults == [] if fault == "" else any(fault in found for found in faults), (width, body)
                assert seen.picture.read_bytes().startswith(b"\x89PNG")
        assert seen.requests == (path.as_uri(),)
        path.write_text(GOOD.format("").replace("<title>A page</title>", ""))
        assert one.visit(path, WIDTHS[0], tmp_path / "page.png").faults(WIDTHS[0])
        path.write_text(GOOD.format("").replace("<meta", "<none"))
        assert one.visit(path, WIDTHS[1], tmp_path / "page.png").faults(WIDTHS[1])


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_sees_which_colours_its_user_prefers(dark, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(GOOD.format(""))
    with browser() as one:
        one.visit(path, WIDTHS[0], tmp_path / "page.png", dark=dark)
        assert one.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark
