"""Block RAM of the Xilinx 7 series: in yosys's netlists, and in FASM, the text from which bitstreams are made.

The layout follows UG473 (7 series memory resources): 256 data bits in each INIT parameter, 256 parity bits in each
INITP. FASM knows only halves of 18 kbit: a RAMB18E1 is one half, and the even and the odd bits of a RAMB36E1 are one
half each (Project X-Ray's database, and nextpnr-xilinx, which writes FASM).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from boards.block_ram import Bits, BlockRamCell, bits_of
from qblif.errors import UserError

ROW_BITS = 256
DATA_ROWS, PARITY_ROWS = 64, 8
"""Rows of a half."""
FEATURE = re.compile(
    r"^(?P<half>BRAM_[LR]_X\d+Y\d+\.RAMB18_Y[01])\.INIT(?P<parity>P?)_(?P<row>[0-9A-F]{2})"
    r"\[(?P<high>\d+)(?::(?P<low>\d+))?\]"
    r"(?: = (?:\d+'b(?P<binary>[01_]+)|\d+'h(?P<hexadecimal>[0-9A-Fa-f_]+)|(?P<plain>[01])))?$",
    re.MULTILINE,
)


class RAMB(BlockRamCell):
    """RAMB18E1 or RAMB36E1. Of every nine bits in yosys's numbering, eight are data and the ninth is parity.

    Args:
        halves: 1 or 2.
    """

    def __init__(self, halves: int) -> None:
        self.halves = halves
        self.cell = f"RAMB{18 * halves}E1"
        self.bits = halves * 18 * 1024
        self.widths = (1, 2, 4, 9, 18, 36) if halves == 1 else (1, 2, 4, 9, 18, 36, 72)

    def port_width(self, parameters: Mapping[str, str]) -> int:
        return int(parameters["READ_WIDTH_A"], 2)

    def _rows(self, parameters: Mapping[str, str], name: str, rows: int) -> Bits:
        return np.concatenate([bits_of(parameters[f"{name}_{row:02X}"]) for row in range(rows * self.halves)])

    def contents(self, parameters: Mapping[str, str]) -> Bits:
        data, parity = self._rows(parameters, "INIT", DATA_ROWS), self._rows(parameters, "INITP", PARITY_ROWS)
        return np.hstack([data.reshape(-1, 8), parity.reshape(-1, 1)]).reshape(-1)

    def in_halves(self, parameters: Mapping[str, str]) -> list[Bits]:
        """The contents of each half of the cell, all data before all parity."""
        data, parity = self._rows(parameters, "INIT", DATA_ROWS), self._rows(parameters, "INITP", PARITY_ROWS)
        return [
            np.concatenate([data[first :: self.halves], parity[first :: self.halves]]) for first in range(self.halves)
        ]


KINDS = (RAMB(1), RAMB(2))


def halves_in_fasm(fasm: str) -> dict[str, Bits]:
    """The contents of every half that a FASM text initialises, all data before all parity; missing rows are zero."""
    found: dict[str, Bits] = {}
    for feature in FEATURE.finditer(fasm):
        row, high = int(feature["row"], 16), int(feature["high"])
        low = high if feature["low"] is None else int(feature["low"])
        rows = PARITY_ROWS if feature["parity"] else DATA_ROWS
        digits, base = (feature["hexadecimal"], 16) if feature["hexadecimal"] else (feature["binary"], 2)
        value = int((digits or feature["plain"] or "1").replace("_", ""), base)
        if row >= rows or not low <= high < ROW_BITS or value >> (high - low + 1):
            raise UserError(f"the FASM holds a block RAM row that no block RAM has: {feature[0][:80]}")
        half = found.setdefault(feature["half"], np.zeros((DATA_ROWS + PARITY_ROWS, ROW_BITS), dtype=np.uint8))
        bits = bits_of(f"{value:0{high - low + 1}b}")
        half[row + (DATA_ROWS if feature["parity"] else 0), low : high + 1] = bits
    return {name: half.reshape(-1) for name, half in found.items()}


def check_halves(fasm: str, netlist: Iterable[Bits], where: str) -> int:
    """Compare the halves that a FASM text initialises with those of the netlist, wherever they were placed.

    Args:
        fasm: the text.
        netlist: the contents of each half of each block RAM in the netlist; halves with only zeros do not count.
        where: what the text describes, for the message.

    Returns:
        The number of initialised halves.

    Raises:
        UserError: they are not the same.
    """
    wanted = Counter(half.tobytes() for half in netlist if half.any())
    held = Counter(half.tobytes() for half in halves_in_fasm(fasm).values() if half.any())
    missing, foreign = (wanted - held).total(), (held - wanted).total()
    if missing or foreign:
        raise UserError(
            f"block RAM in {where}: {missing} of the netlist's {wanted.total()} initialised halves are missing, and "
            f"{foreign} are there that the netlist does not have; use another version of the tools that made it"
        )
    return wanted.total()
