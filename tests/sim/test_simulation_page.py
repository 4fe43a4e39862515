"""The page of a simulation, made of plain data."""

import pytest

from gen.facts.network import network_graph
from sim.page.report import simulation_page
from tests.networks import random_shortcuts


def content(*, taps: bool, mismatches: int) -> dict:
    graph = network_graph(random_shortcuts(1))
    names = [node["name"] for node in graph["nodes"] if node["kind"] != "input"]
    stages = [
        {
            "name": name,
            "works": [0.0, 1.0, 0.2],
            "works_share": 0.4,
            "held_back": [0.5, 0.0, 0.0],
            "held_back_share": 0.1,
            "starved": [0.0, 0.0, 1.0],
            "starved_share": 0.3,
            "raster": None if name == "readout" else {"channels": 2, "sent": 40, "fired": 7, "lines": ["09.", "..1"]},
        }
        for name in names
    ]
    line = {"name": "alone", "begin": 10, "end": 110, "accepted": [10], "left": [109], "stages": stages}
    first = "bursts of <b>: inference 3: expected 1, got 2" if mismatches else ""
    return {
        "title": "a <network> on a board",
        "inferences": 5,
        "network": graph,
        "layers": [],
        "timelines": [line, {**line, "name": "at full speed", "left": [50, 109]}] if taps else [],
        "runs": [{"name": "full speed", "inferences": 5, "mismatches": mismatches, "first": first}],
        "report": {
            "mismatches": mismatches,
            "runs": {"full speed": mismatches},
            "netlist": None if taps else {"family": "ecp5", "synthesis": "yosys"},
            "simulator": "verilator",
            "network_sha256": "0" * 64,
            "plan_sha256": "1" * 64,
            "accuracy_rtl": 0.75,
            "accuracy_golden": 0.75,
            "cycles_mean": 100.5 if taps else None,
            "prediction_exact": True,
            "latency_mean": None,
            "layer_cycles": {name: 10.0 for name in names if name == "readout"} if taps else {},
            "layer_cycles_predicted": {"readout": 10.0},
            "lanes_busy": {"readout": 0.5} if taps else {},
            "confusion": [[3, 0], [1, 23456]],
        },
    }


@pytest.mark.parametrize("mismatches", [0, 12])
def test_what_the_page_says(mismatches):
    page = simulation_page(content(taps=True, mismatches=mismatches))
    assert "a &lt;network&gt; on a board" in page
    assert "<network>" not in page
    assert ("Every beat equals the golden model" in page) == (not mismatches)
    assert ("12 mismatches with the golden model" in page) == bool(mismatches)
    assert ("bursts of &lt;b&gt;: inference 3: expected 1, got 2" in page) == bool(mismatches)
    assert "1 inference, alone: 100 cycles" in page
    assert "2 inferences, at full speed: 100 cycles" in page
    assert "holds back 10%, waits 30%" in page
    assert '<td class="right shade-8">23,456</td>' in page
    assert '<td class="wrong shade-1">1</td>' in page
    assert '<td class="wrong shade-0">0</td>' in page


def test_every_stage_has_a_strip_and_those_that_send_bursts_a_raster_plot():
    whole = content(taps=True, mismatches=0)
    stages = whole["timelines"][0]["stages"]
    page = simulation_page(whole)
    strips = page.split('id="timeline"')[1].split('id="raster"')[0]
    plots = page.split('id="raster"')[1].split('id="comparison"')[0]
    assert strips.count('class="track"') == 2 * len(stages)
    assert plots.count('class="track"') == sum(stage["raster"] is not None for stage in stages)
    # The column in which a stage works all the time is drawn strongest, the one in which it hardly works palest.
    assert 'd="M1 0h1v1h-1z" class="fill level-3 layer-0"' in strips
    assert 'd="M2 0h1v1h-1z" class="fill level-1 layer-0"' in strips
    assert 'd="M0 0h1v1h-1z" class="fill level-2 stall"' in strips


def test_a_netlist_has_no_taps_and_the_page_says_so():
    page = simulation_page(content(taps=False, mismatches=0))
    assert "netlist for ecp5 in verilator" in page
    assert page.count("A netlist has no taps") == 3
    assert "Every beat equals" not in page
