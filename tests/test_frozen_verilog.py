"""The Verilog of all shipped networks on two boards and of 20 random ones, byte for byte what it was.

Networks and plans lie beside the hashes, so neither the planner nor the generators of random networks matter here.
``python -m tests.frozen.freeze`` writes the hashes.
"""

import json

import pytest

from tests.frozen import freeze

FROZEN = json.loads(freeze.HASHES.read_text())
SLOW_BOARD = "arty_a7_100"
"""The fast tests keep the other board's designs and the random ones."""


@pytest.mark.skipif(FROZEN["versions"] != freeze.versions(), reason="other versions of the tools that write Verilog")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name.endswith(SLOW_BOARD) else ()) for name in freeze.names()],
)
def test_the_verilog_is_what_it_was(name):
    assert freeze.verilog_sha256(name) == FROZEN["network.v"][name]


def test_every_shipped_network_and_enough_random_ones_are_frozen():
    shipped = {path.stem for path in freeze.ZOO.glob("*.pt")}
    assert {f"{name}@{board}" for name in shipped for board in freeze.BOARDS} <= set(FROZEN["network.v"])
    assert sum(name.startswith("random_") for name in FROZEN["network.v"]) >= 20
