"""Which part of a design a cell belongs to, and where it lies."""

import json

from boards.catalogue import find_board
from gen.facts.netlist import floorplan, part_of, used_by_part, utilisation

LAYERS = ["hidden", "hidden_2", "readout"]
CELLS = {
    "device.network.hidden_projection.array.sum_0": ("LUT4", 3, 1),
    "device.network.hidden_2_neurons.core_0.sum": ("LUT4", 3, 1),
    "device.network.hidden_2_neurons.core_0.carry": ("CCU2C", 3, 1),
    "device.network.readout_projection.array.weights_0.0.0": ("DP16KD", 0, 2),
    "device.link.receiver.crc_TRELLIS_FF_Q": ("TRELLIS_FF", 4, 0),
    "device.counters.ring_3": ("TRELLIS_FF", 4, 0),
    "device.self_test.failed": ("LUT4", 4, 0),
    "$abc$1234": ("LUT4", 1, 0),
}
"""Name, kind, column and row of the cells of a small design."""


def netlist(*, placed: bool) -> str:
    """The design as yosys or nextpnr writes it."""
    cells = {
        name: {
            "hide_name": 0,
            "type": kind,
            "parameters": {},
            "attributes": {"NEXTPNR_BEL": f"X{column}/Y{row}/SLICEA.LUT4_0"} if placed else {},
        }
        for name, (kind, column, row) in CELLS.items()
    }
    text = json.dumps({"creator": "none", "modules": {"top": {"attributes": {}, "cells": cells}}}, indent=2)
    return text.replace('"attributes": {}', '"attributes": {\n          }')


def test_a_cell_belongs_to_the_layer_with_the_longest_name():
    part = part_of(LAYERS)
    assert [part(name) for name in CELLS] == [
        "hidden", "hidden_2", "hidden_2", "readout", "host link", "host link", "self-test", "everything else",
    ]  # fmt: skip


def test_parts_add_up_to_the_netlist(tmp_path):
    path, family = tmp_path / "top.json", find_board("ulx3s_85f").family
    path.write_text(netlist(placed=False))
    parts = used_by_part(path, LAYERS, family)
    assert {name: part["lut"] for name, part in parts.items() if part["lut"]} == {
        "hidden": 1, "hidden_2": 3, "self-test": 1, "everything else": 1,
    }  # fmt: skip
    assert (parts["readout"]["bram"], parts["host link"]["ff"]) == (1, 2)


def test_every_tile_has_the_part_with_most_cells(tmp_path):
    path = tmp_path / "placed.json"
    assert floorplan(path, LAYERS) is None
    path.write_text(netlist(placed=True))
    plan = floorplan(path, LAYERS)
    assert plan is not None
    letters = {name: letter for letter, name in plan["parts"].items()}
    expected = [["."] * 5 for _ in range(3)]
    expected[1][3] = letters["hidden_2"]
    expected[2][0] = letters["readout"]
    expected[0][4] = letters["host link"]
    expected[0][1] = letters["everything else"]
    assert plan["owners"] == ["".join(row) for row in expected]
    assert plan["fullness"] == [".3..9", "...9.", "3...."]


def test_only_kinds_of_cells_that_are_used_are_listed(tmp_path):
    path = tmp_path / "timing.json"
    assert utilisation(path) == {}
    path.write_text(json.dumps({"utilization": {"A": {"used": 0, "available": 9}, "B": {"used": 2, "available": 3}}}))
    assert utilisation(path) == {"B": {"used": 2, "available": 3}}
