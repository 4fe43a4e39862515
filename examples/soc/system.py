"""The system: LiteX's SoC with a VexRiscv, memory, a serial port and the network's core, simulated or on a board."""

import logging

from litex.build.generic_platform import IOStandard, Pins, Subsignal
from litex.build.lattice import LatticeECP5Platform
from litex.build.sim import SimPlatform
from litex.gen import LiteXModule
from litex.soc.cores.clock import ECP5PLL
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from migen import ClockDomain
from migen.genlib.io import CRG

from boards.board import Board
from examples.soc.network_core import NetworkCore
from hw.ports.bus import WORD_BITS, WORD_BYTES
from hw.ports.core import CoreConfig

# LiteX describes everything that it adds.
logging.disable(logging.INFO)

ROM_BYTES = 0x10000
STACK_BYTES = 0x1000
"""Of RAM, for everything besides a packed sample."""
CORE_ADDRESS, CORE_BYTES = 0x9000_0000, 0x1000
NAME = "top"
"""Of the system's module and files."""


class NetworkSoC(SoCCore):
    """A SoC with a core on its bus; the firmware is put into its ROM later.

    Args:
        platform: LiteX's platform.
        clocks: what drives its clock domain.
        core: the network.
        clock_hz: the clock.
        uart_name: LiteX's name of the kind of console.
    """

    def __init__(self, platform: object, clocks: object, core: CoreConfig, clock_hz: float, uart_name: str) -> None:
        self.crg = clocks
        super().__init__(
            platform,
            round(clock_hz),
            cpu_type="vexriscv",
            integrated_rom_size=ROM_BYTES,
            integrated_sram_size=ram_bytes(core),
            uart_name=uart_name,
            with_timer=False,
            ident="",
        )
        self.network = NetworkCore(core)
        self.bus.add_slave("network", self.network.bus, SoCRegion(origin=CORE_ADDRESS, size=CORE_BYTES, cached=False))
        self.irq.add("network", use_loc_if_exists=True)


def ram_bytes(core: CoreConfig) -> int:
    """The smallest power of two that holds a sample whose beats are words."""
    beat_words = -(-core.top.input.group * core.top.input.burst_bits // WORD_BITS)
    packed = core.top.beats_per_result * beat_words * WORD_BYTES
    return 1 << (STACK_BYTES + packed - 1).bit_length()


def simulated_soc(core: CoreConfig, clock_hz: float) -> NetworkSoC:
    """The SoC with its clock and reset as ports, and a console that passes characters as bytes of a stream."""
    platform = SimPlatform(
        "SIM",
        [
            ("clk", 0, Pins(1)),
            ("rst", 0, Pins(1)),
            (
                "serial",
                0,
                *(Subsignal(f"{end}_{name}", Pins(bits)) for end in ("source", "sink")
                  for name, bits in (("valid", 1), ("ready", 1), ("data", 8))),
            ),
        ],
        name=NAME,
    )  # fmt: skip
    clocks = CRG(platform.request("clk"), rst=platform.request("rst"))
    return NetworkSoC(platform, clocks, core, clock_hz, "sim")


class Clocks(LiteXModule):
    """The PLL from a board's oscillator to the system's clock."""

    def __init__(self, board: Board, oscillator: object, clock_hz: float) -> None:
        self.cd_sys = ClockDomain()
        self.pll = ECP5PLL()
        self.pll.register_clkin(oscillator, board.oscillator_mhz * 1e6)
        self.pll.create_clkout(self.cd_sys, clock_hz)


def board_soc(board: Board, core: CoreConfig, clock_hz: float) -> NetworkSoC:
    """The SoC on a board with an ECP5 and a serial port."""
    platform = LatticeECP5Platform(board.part, board_pins(board), name=NAME, toolchain="trellis")
    oscillator = platform.request(board.oscillator)
    platform.add_period_constraint(oscillator, 1e3 / board.oscillator_mhz)
    clocks = Clocks(board, oscillator, clock_hz)
    return NetworkSoC(platform, clocks, core, clock_hz, "serial")


def board_pins(board: Board) -> list[tuple[object, ...]]:
    """LiteX's description of the pins of clock and serial port."""
    resources = {(one.name, one.number): one for one in board.platform.resources}
    clock, uart = resources[board.oscillator, 0], resources["uart", 0]
    lines = {line.name: line.ios[0] for line in uart.ios}
    return [
        (board.oscillator, 0, Pins(*clock.ios[0].names), IOStandard(clock.attrs["IO_TYPE"])),
        (
            "serial",
            0,
            *(Subsignal(name, Pins(*lines[name].names)) for name in ("tx", "rx")),
            IOStandard(uart.attrs["IO_TYPE"]),
        ),
    ]
