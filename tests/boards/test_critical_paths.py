"""The slowest paths of a design, told from nextpnr's report and yosys's netlist."""

import json

import pytest

from boards.critical_paths import PROJECT, CriticalPath, PathEnd, critical_paths


def net(bits, hdlname, source):
    return {"bits": bits, "attributes": {"hdlname": hdlname, "src": source}}


def step(kind, delay, begins, ends):
    return {"type": kind, "delay": delay, "from": {"cell": begins}, "to": {"cell": ends}}


NETLIST = {
    "cells": {
        "link.word_TRELLIS_FF_Q_2": {"connections": {"D": [7], "Q": [5]}},
        "link.identity.0.0": {"connections": {"DOA3": [6]}},
        "pin.buf": {"connections": {"O": [9]}},
    },
    "netnames": {
        "link.word_DI": {"bits": [7], "attributes": {"src": "/share/cells_map.v:1.2-3.4"}},
        "link.word": net([4, 5], "link word", f"{PROJECT}/hw/link/answers.py:69|{PROJECT}/hw/link/answers.py:70"),
        "other.word": net([8], "other word", "/elsewhere/other.py:3"),
    },
}
ROM_TO_WORD = [
    step("clk-to-q", 5.6, "link.identity.0.0", "link.identity.0.0"),
    step("routing", 2.9, "link.identity.0.0", "lut"),
    step("logic", 0.2, "lut", "lut"),
    step("routing", 0.1, "lut", "link.word_TRELLIS_FF_Q_2"),
    step("setup", 0.0, "link.word_TRELLIS_FF_Q_2", "link.word_TRELLIS_FF_Q_2"),
]
PIN_TO_WORD = [
    step("source", 0.0, "pin.buf", "pin.buf"),
    step("routing", 3.0, "pin.buf", "link.word_TRELLIS_FF_Q_2"),
]
WORD = PathEnd(signal="link.word", source="hw/link/answers.py:69")


@pytest.fixture
def netlist(tmp_path):
    path = tmp_path / "top.json"
    path.write_text(json.dumps({"modules": {"top": NETLIST}}))
    return path


def test_the_slowest_path_comes_first_with_its_component_and_line(netlist):
    timing = {
        "critical_paths": [
            {"from": "<async>", "to": "posedge clk", "path": PIN_TO_WORD},
            {"from": "posedge clk", "to": "posedge clk", "path": ROM_TO_WORD},
        ]
    }
    assert critical_paths(timing, netlist) == [
        CriticalPath(
            clocks=("posedge clk", "posedge clk"),
            begins=PathEnd(signal="link.identity.0.0", source="hw/link/answers.py"),
            ends=WORD,
            logic_ns=5.8,
            routing_ns=3.0,
        ),
        CriticalPath(
            clocks=("<async>", "posedge clk"),
            begins=PathEnd(signal="pin.buf", source=""),
            ends=WORD,
            logic_ns=0.0,
            routing_ns=3.0,
        ),
    ]


def test_without_paths_no_netlist_is_read(tmp_path):
    assert critical_paths({"critical_paths": []}, tmp_path / "none.json") == []
