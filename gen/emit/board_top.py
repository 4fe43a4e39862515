"""The board's top for a design, with a host link that knows the network."""

import math
from contextlib import suppress

from boards.board import Board, Uart
from boards.harness import BoardTop
from gen.design import Hardware, self_test_vectors
from hw.configuration import TopConfig
from hw.link.configuration import SMALLEST_DIVISOR, LinkConfig, link_mode, window
from hw.shell.activity import counter_widths
from qblif.errors import UserError
from qblif.network.graph import Network
from qblif.protocol import BAUD_RATES, Identity

LARGEST_BAUD_ERROR = 0.015
"""Over the ten bits of a byte this moves the last sample by less than a sixth of a bit."""


def baud_rate(uart: Uart, clock_hz: float) -> tuple[int, int]:
    """The fastest rate that the board's bridge and the clock allow, and its clock cycles per bit; raises UserError."""
    for baud in BAUD_RATES:
        divisor = round(clock_hz / baud)
        exact = baud <= uart.baud and divisor >= SMALLEST_DIVISOR
        if exact and abs(clock_hz / divisor / baud - 1) <= LARGEST_BAUD_ERROR:
            return baud, divisor
    raise UserError(f"no baud rate can be made of {clock_hz / 1e6:g} MHz; take another --clock-mhz")


def fastest_clock(board: Board, limit_mhz: float) -> float | None:
    """The fastest clock up to ``limit_mhz`` that the board's PLL and serial line allow; None if there is no such clock.

    The candidates are the PLL's frequencies nearest to whole MHz.
    """
    for wanted in range(math.floor(limit_mhz), 0, -1):
        with suppress(UserError):
            clock = board.family.clock_mhz(board, wanted)
            if board.uart is not None:
                baud_rate(board.uart, round(clock * 1e6))
            if clock <= limit_mhz:
                return clock
    return None


def link_config(board: Board, clock_mhz: float, network: Network, config: TopConfig, sha256: str) -> LinkConfig | None:
    """The link of a network on a board; None for a board without a serial line.

    Args:
        board, clock_mhz: the board and clock that the network is built for.
        network, config: the network and its hardware.
        sha256: of the network file, as hexadecimal text.
    """
    if board.uart is None:
        return None
    clock_hz = round(clock_mhz * 1e6)
    baud, divisor = baud_rate(board.uart, clock_hz)
    identity = Identity(
        network_sha256=bytes.fromhex(sha256),
        shape=network.input.shape,
        coding=network.input.coding,
        bits=network.input.bits,
        mode=link_mode(config),
        timesteps=network.timesteps,
        stream=config.input,
        classes=config.readout.classes,
        logit_bytes=math.ceil(config.readout.logit_bits / 8),
        fraction_bits=network.readout.fraction_bits,
        clock_hz=clock_hz,
        baud=baud,
        window=window(config.input, link_mode(config)),
        counters=tuple(counter_widths(config)),
    )
    return LinkConfig(identity=identity, divisor=divisor)


def design_link(design: Hardware) -> LinkConfig | None:
    """The link of a design; None for a board without a serial line."""
    return link_config(design.dev_board, design.plan.clock_mhz, design.network, design.config, design.sha256)


def board_top(design: Hardware) -> BoardTop:
    """The top of a design, exactly as it is flashed."""
    vectors, link = self_test_vectors(design), design_link(design)
    return BoardTop(design.dev_board, design.plan.clock_mhz, design.config, vectors, link)
