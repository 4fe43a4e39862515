"""Xilinx 7 series: yosys for the netlist, then Vivado or openXC7 for the bitstream if either is installed."""

import math
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from boards.board import SHAPES_OF_18_KBIT, Board, Family, Resources, ToolRun, packed_blocks
from boards.families import openxc7
from boards.families.clocks import nearest_setting
from boards.families.openxc7_checks import check_products
from boards.families.xilinx_ram import KINDS
from boards.lut_cell import LutCell
from boards.tools import find_tool, use_yosys

XC7A15T = Resources(lut=10_400, ff=20_800, bram=25, dsp=45)
XC7A35T = Resources(lut=20_800, ff=41_600, bram=50, dsp=90)
XC7A100T = Resources(lut=63_400, ff=126_800, bram=135, dsp=240)
XC7S25 = Resources(lut=14_600, ff=29_200, bram=45, dsp=80)
XC7S50 = Resources(lut=32_600, ff=65_200, bram=75, dsp=120)
CHIPS = {"xc7a15t": XC7A15T, "xc7a35t": XC7A35T, "xc7a100t": XC7A100T, "xc7s25": XC7S25, "xc7s50": XC7S50}

VIVADO_SCRIPT = """\
#!/bin/sh
# Makes top.bit with Vivado, which writes one even where timing is not met.
set -e
vivado -mode batch -log top.log -source top.tcl
if ! grep -q "All user specified timing constraints are met" top_timing.rpt; then
    echo "ERROR: timing is not met, see vivado/top_timing.rpt; try a lower --clock-mhz"
    exit 1
fi
"""


@dataclass(frozen=True, kw_only=True)
class Primitive:
    """A clock generator of the chip with its limits in MHz at speed grade -1.

    Attributes:
        name: name of the cell.
        fraction: suffix of its multiplier and divider parameters.
        phase_detector: lowest frequency at the phase detector.
        vco: lowest and highest frequency of the VCO.
    """

    name: str
    fraction: str
    phase_detector: float
    vco: tuple[float, float]


PLL = Primitive(name="PLLE2_BASE", fraction="", phase_detector=19, vco=(800, 1600))
MMCM = Primitive(name="MMCME2_BASE", fraction="_F", phase_detector=10, vco=(600, 1200))
HIGHEST_CLOCK_NET_MHZ = 464


def primitive_for(oscillator_mhz: float) -> Primitive:
    """The PLL, or the MMCM for an oscillator that is too slow for it."""
    return PLL if oscillator_mhz >= PLL.phase_detector else MMCM


@dataclass(frozen=True, kw_only=True)
class Dividers:
    """Settings of a PLL or an MMCM."""

    reference: int
    feedback: int
    output: int
    mhz: float


def solve_dividers(oscillator_mhz: float, wanted_mhz: float) -> Dividers:
    """The settings nearest to ``wanted_mhz`` within the limits; raises UserError if none is near enough."""
    primitive = primitive_for(oscillator_mhz)

    def settings(mhz: float) -> Iterator[Dividers]:
        for reference in range(1, int(oscillator_mhz // primitive.phase_detector) + 1):
            for feedback in range(2, 65):
                vco = oscillator_mhz / reference * feedback
                if primitive.vco[0] <= vco <= primitive.vco[1]:
                    nearest = min(128, max(1, round(vco / mhz)))
                    # Near the highest output, the nearest divider may give a frequency above the limit.
                    for output in {nearest, min(128, nearest + 1)}:
                        yield Dividers(reference=reference, feedback=feedback, output=output, mhz=vco / output)

    return nearest_setting(
        settings,
        wanted_mhz,
        limits=(primitive.vco[0] / 128, HIGHEST_CLOCK_NET_MHZ),
        tolerance=0.02,
        generator=f"the Xilinx chip's PLL at {oscillator_mhz:g} MHz",
        preference=lambda one: one.reference,
    )


class ClockGenerator(Elaboratable):
    """PLL or MMCM from the board's oscillator to the ``sync`` domain of the top; reset until it has locked."""

    def __init__(self, board: Board, dividers: Dividers) -> None:
        self.board, self.dividers = board, dividers

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pin = platform.request(self.board.oscillator, dir="-")  # type: ignore[attr-defined]
        m.submodules.oscillator = oscillator = io.Buffer("i", pin)
        feedback = Signal()
        made = Signal()
        clock = Signal()
        locked = Signal()
        primitive = primitive_for(self.board.oscillator_mhz)
        m.submodules.pll = Instance(
            primitive.name,
            ("p", "BANDWIDTH", "OPTIMIZED"),
            ("p", "STARTUP_WAIT", "FALSE"),
            ("p", "REF_JITTER1", 0.01),
            ("p", "CLKIN1_PERIOD", 1000.0 / self.board.oscillator_mhz),
            ("p", "DIVCLK_DIVIDE", self.dividers.reference),
            ("p", f"CLKFBOUT_MULT{primitive.fraction}", self.dividers.feedback),
            ("p", "CLKFBOUT_PHASE", 0.0),
            ("p", f"CLKOUT0_DIVIDE{primitive.fraction}", self.dividers.output),
            ("p", "CLKOUT0_PHASE", 0.0),
            ("p", "CLKOUT0_DUTY_CYCLE", 0.5),
            ("i", "CLKIN1", oscillator.i),
            ("i", "CLKFBIN", feedback),
            ("i", "RST", Const(0)),
            ("i", "PWRDWN", Const(0)),
            ("o", "CLKFBOUT", feedback),
            ("o", "CLKOUT0", made),
            ("o", "LOCKED", locked),
        )
        m.submodules.clock = Instance("BUFG", ("i", "I", made), ("o", "O", clock))
        m.d.comb += ClockSignal().eq(clock)
        m.submodules.reset = ResetSynchronizer(~locked, domain="sync")
        return m


class Xilinx7(Family):
    """The 7 series. Block RAMs are counted as RAMB36, a RAMB18 as one half.

    A slice's flip-flops have separate data inputs (AX to DX), and there are two per LUT, so they do not take the place
    of LUTs.
    """

    name = "xilinx7"
    bram_unit = "BRAM36"
    block_ram_bits = 36 * 1024
    lut_bits = 64
    has_lut_ram = True
    source_format = "v"
    block_ram_kinds = KINDS
    # Newer yosys writes scope cells that nextpnr-xilinx cannot place.
    lut = LutCell(name="LUT6", contents="INIT", inputs=("I0", "I1", "I2", "I3", "I4", "I5"), output="O")
    synthesis_commands = "synth_xilinx -flatten -abc9 -nodsp -arch xc7 -top {top}; delete t:*scopeinfo"

    def block_rams(self, depth: int, width: int, writable: bool) -> float:
        return packed_blocks(depth, width, writable, SHAPES_OF_18_KBIT) / 2

    def lut_ram_luts(self, depth: int, width: int) -> int:
        # RAM32M: six bits of 32 words in four LUTs; RAM64M: three bits of 64 words.
        bits, rows = (6, 32) if depth <= 32 else (3, 64)
        blocks = math.ceil(depth / rows)
        return blocks * math.ceil(width / bits) * 4 + (blocks - 1) * math.ceil(width / 3)

    def rom_luts(self, depth: int, width: int) -> int:
        return math.ceil(depth / 64) * width

    def clock_mhz(self, board: Board, wanted: float) -> float:
        return solve_dividers(board.oscillator_mhz, wanted).mhz

    def clock_generator(self, board: Board, wanted: float) -> Elaboratable:
        return ClockGenerator(board, solve_dividers(board.oscillator_mhz, wanted))

    def files(self, board: Board, top: Elaboratable, clock_mhz: float) -> dict[str, str]:
        use_yosys()
        plan = board.platform(toolchain="Vivado").prepare(
            top, name="top", debug_verilog=False, synth_design_opts="-max_dsp 0"
        )
        files = {f"vivado/{name}": plan.files[name] for name in ("top.v", "top.tcl", "top.xdc")}
        return {
            **files,
            "top.v": plan.files["top.v"],
            "top.ys": self.synthesis_script("top"),
            "vivado/build.sh": VIVADO_SCRIPT,
            openxc7.CONSTRAINTS: openxc7.constraints(plan.files["top.xdc"]),
            "openxc7.sh": openxc7.script(openxc7.part_of(board), clock_mhz),
        }

    def resources(self, cells: dict[str, int]) -> Resources:
        luts = sum(cells.get(f"LUT{inputs}", 0) for inputs in range(1, 7))
        lut_rams = sum(
            count * (4 if cell.startswith("RAM32M") or cell.startswith("RAM64M") else 2 if cell.endswith("D") else 1)
            for cell, count in cells.items()
            if cell.startswith(("RAM32", "RAM64", "RAM128", "SRL"))
        )
        return Resources(
            lut=luts + lut_rams,
            ff=sum(cells.get(cell, 0) for cell in ("FDRE", "FDSE", "FDCE", "FDPE")),
            bram=cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0) / 2,
            dsp=cells.get("DSP48E1", 0),
        )

    @property
    def toolchains(self) -> tuple[tuple[str, ...], ...]:
        return (("vivado",), openxc7.TOOLS)

    def missing_tools(self, board: Board) -> list[str]:
        return [] if with_vivado() else openxc7.missing_tools(openxc7.part_of(board))

    def setup_fault(self, board: Board) -> str:
        return "" if with_vivado() else openxc7.setup_fault(openxc7.part_of(board))

    def tool_versions(self, board: Board) -> dict[str, str]:
        return {"vivado": vivado_version()} if with_vivado() else openxc7.versions(openxc7.part_of(board))

    def implementation(self, board: Board, clock_mhz: float) -> list[ToolRun]:
        if with_vivado():
            script = ("-c", "cd vivado && sh build.sh")
            return [ToolRun(purpose="bitstream", tool="sh", arguments=script, log="bitstream.log")]
        return openxc7.commands(openxc7.part_of(board), clock_mhz)

    def bitstream(self) -> str:
        return "vivado/top.bit" if with_vivado() else openxc7.BITSTREAM

    def fmax_mhz(self, folder: Path) -> float | None:
        # Vivado's script fails if timing is not met.
        return None if with_vivado() else openxc7.fmax_mhz((folder / openxc7.PLACE_LOG).read_text(errors="replace"))

    def fmax_is_hint(self) -> bool:
        # nextpnr-xilinx does not model the timing of block RAM.
        return not with_vivado()

    def check_products(self, board: Board, folder: Path) -> str | None:
        return None if with_vivado() else check_products(openxc7.part_of(board), folder)


def with_vivado() -> bool:
    """Whether Vivado makes the bitstream: it does if it is installed."""
    return find_tool("vivado") is not None


def vivado_version() -> str:
    """The version that Vivado reports."""
    program = find_tool("vivado") or "vivado"
    shown = subprocess.run([program, "-version"], capture_output=True, text=True, errors="replace", check=False)
    version = re.search(r"v(\d{4}\.\d\S*)", shown.stdout)
    return version[1] if version else "unknown version"
