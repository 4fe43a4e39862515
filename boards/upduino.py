"""tinyVision UPduino v3: iCE40UP5K, clocked inside the chip, since the board's oscillator is not connected by default.

The internal clock is off by up to 10 %. The FT232H is connected to the flash; none of its pins is a serial line.
"""

from amaranth_boards.upduino_v3 import UpduinoV3Platform

from boards.board import Board, Loader
from boards.families.ice40 import ICE40, INTERNAL_MHZ, INTERNAL_OSCILLATOR, UP5K
from boards.leds import with_rgb_leds

BOARDS = [
    Board(
        name="upduino_v3",
        title="tinyVision UPduino v3",
        part="iCE40UP5K-SG48",
        family=ICE40(),
        platform=with_rgb_leds(UpduinoV3Platform, "0b 0g 0r"),
        oscillator=INTERNAL_OSCILLATOR,
        oscillator_mhz=INTERNAL_MHZ,
        default_clock_mhz=12.0,
        budget=UP5K,
        loader=Loader(board="ice40_generic", cable="ft232", sram=False),
    )
]
