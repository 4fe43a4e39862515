"""1BitSquared iCEBreaker: iCE40UP5K. Its loader writes the flash, from which the chip is configured."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from boards.board import Board, Loader, Uart
from boards.families.ice40 import ICE40, UP5K


class ICEBreakerWithLEDs(ICEBreakerPlatform):
    """The board with the five LEDs of its break-off section, which show the class."""

    resources = (*ICEBreakerPlatform.resources, *ICEBreakerPlatform.break_off_pmod)


BOARDS = [
    Board(
        name="icebreaker",
        title="1BitSquared iCEBreaker",
        part="iCE40UP5K-SG48",
        family=ICE40(),
        platform=ICEBreakerWithLEDs,
        oscillator="clk12",
        oscillator_mhz=12.0,
        default_clock_mhz=21.0,
        budget=UP5K,
        loader=Loader(board="ice40_generic", sram=False),
        uart=Uart(bridge="FT2232H", baud=3_000_000),
    )
]
