"""MuseLab iCESugar (iCE40UP5K) and iCESugar-Pro (ECP5 25F).

Their iCELink appears to the PC as a drive, a debug probe and a serial line.
"""

from amaranth_boards.icesugar import ICESugarPlatform
from amaranth_boards.icesugar_pro import ICESugarProPlatform

from boards.board import Board, Loader, Uart
from boards.families.ecp5 import ECP5, LFE5_25F
from boards.families.ice40 import ICE40, UP5K
from boards.leds import with_rgb_leds

ICELINK = Uart(bridge="iCELink", baud=115_200)

BOARDS = [
    Board(
        name="icesugar",
        title="MuseLab iCESugar",
        part="iCE40UP5K-SG48",
        family=ICE40(),
        platform=ICESugarPlatform,
        oscillator="clk12",
        oscillator_mhz=12.0,
        default_clock_mhz=21.0,
        budget=UP5K,
        loader=Loader(board=None, sram=False, by_hand="copy it to the drive iCELink, or use icesprog"),
        uart=ICELINK,
    ),
    Board(
        name="icesugar_pro",
        title="MuseLab iCESugar-Pro",
        part="LFE5U-25F-6BG256C",
        family=ECP5(),
        platform=with_rgb_leds(ICESugarProPlatform, "0b 0g 0r"),
        oscillator="clk25",
        oscillator_mhz=25.0,
        default_clock_mhz=80.0,
        budget=LFE5_25F,
        loader=Loader(board=None, by_hand="copy it to the drive iCELink, or use icesprog"),
        uart=ICELINK,
    ),
]
