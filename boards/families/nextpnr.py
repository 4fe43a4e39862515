"""The common part of the families whose whole flow is yosys, nextpnr and a packer from Python packages."""

import json
import math
from pathlib import Path

from amaranth.hdl import Elaboratable

from boards.block_ram import PLACED
from boards.board import SYNTHESIS_TOOL, BlockShape, Board, Family, ToolRun, packed_blocks
from boards.critical_paths import CriticalPath, critical_paths
from boards.tools import find_tool

NETLIST, TIMING = "top.json", "timing.json"
"""What yosys gives to nextpnr, and what nextpnr reports."""


class NextpnrFamily(Family):
    """A family with ``place_tool`` and ``pack_tool``; ``block_shapes`` are the shapes of its block RAM."""

    place_tool: str
    pack_tool: str
    block_shapes: tuple[BlockShape, ...]
    source_format = "il"
    easy_luts = 6_000
    placed: str = PLACED

    def block_rams(self, depth: int, width: int, writable: bool) -> float:
        return packed_blocks(depth, width, writable, self.block_shapes)

    def lut_ram_luts(self, depth: int, width: int) -> int:
        # Sixteen words of four bits take two LUTs as memory and one LUT that decodes their write address.
        blocks, groups = math.ceil(depth / 16), math.ceil(width / 4)
        return blocks * groups * 3 + (blocks - 1) * width

    def rom_luts(self, depth: int, width: int) -> int:
        return math.ceil(depth / 16) * width

    def prepared(self, board: Board, top: Elaboratable, constraints: str) -> dict[str, str]:
        """The files of a build, including ``constraints`` (pins and clocks)."""
        plan = board.platform().prepare(top, name="top", debug_verilog=False)
        return {**{name: plan.files[name] for name in ("top.il", constraints)}, "top.ys": self.synthesis_script("top")}

    @property
    def toolchains(self) -> tuple[tuple[str, ...], ...]:
        return ((self.place_tool, self.pack_tool),)

    def missing_tools(self, board: Board) -> list[str]:
        return [tool for tool in (SYNTHESIS_TOOL, *self.toolchains[0]) if find_tool(tool) is None]

    def place_and_route(self, *arguments: str) -> ToolRun:
        """Runs nextpnr on :data:`NETLIST` with a fixed seed; gen.build judges its report, :data:`TIMING`."""
        common = ("--json", NETLIST, "--report", TIMING, "--seed", "1", "--timing-allow-fail")
        return ToolRun(
            purpose="place and route",
            tool=self.place_tool,
            arguments=(*arguments, *common),
            log="nextpnr.log",
            advice="a lower --clock-mhz or --target-fps is easier to reach",
        )

    def pack(self, *arguments: str) -> ToolRun:
        """Runs the packer, which writes :meth:`bitstream`."""
        return ToolRun(purpose="bitstream", tool=self.pack_tool, arguments=arguments, log="pack.log")

    def fmax_mhz(self, folder: Path) -> float | None:
        clocks = json.loads((folder / TIMING).read_text())["fmax"]
        return min(clock["achieved"] for clock in clocks.values())

    def critical_paths(self, folder: Path) -> list[CriticalPath]:
        return critical_paths(json.loads((folder / TIMING).read_text()), folder / NETLIST)
