"""Positions of block RAM bits in a netlist's cells, in the text of a placed design, and in a bitstream."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
"""Each is 0 or 1. The contents of a block are in the order in which yosys numbers them, see ``BlockRamCell``."""
PLACED = "placed.json"
"""nextpnr's file of a placed design: yosys's netlist with a place for every cell."""
UNPACKED = "unpacked.txt"
"""The file that a bitstream is unpacked into."""


class BlockRamCell(ABC):
    """A kind of block RAM in the netlists that yosys writes.

    Yosys numbers a block's bits row by row of its widest port. A narrower port halves such a row repeatedly: the lower
    address bits select the part, and the lowest one selects between neighbours.

    Attributes:
        cell: its type in a netlist.
        widths: possible widths of a port in bits, ascending; each has half the rows of the previous one.
        bits: bits of a block.
    """

    cell: str
    widths: tuple[int, ...]
    bits: int

    @abstractmethod
    def port_width(self, parameters: Mapping[str, str]) -> int:
        """Bits of the read port of a cell that is a table of constants."""

    @abstractmethod
    def contents(self, parameters: Mapping[str, str]) -> Bits:
        """The contents of a cell."""

    def positions(self, port_width: int) -> NDArray[np.int64]:
        """The bit of a block at each row and column of a port: (rows, port_width)."""
        divided = self.widths[self.widths.index(port_width) :]
        halvings = len(divided) - 1
        row = np.arange((self.bits // self.widths[-1]) << halvings)
        start = (row >> halvings) * self.widths[-1]
        for place, width in enumerate(divided[:-1]):
            start += (row >> place & 1) * width
        return start[:, None] + np.arange(port_width)

    def spread(self, words: Bits, port_width: int) -> Bits:
        """A table of constants as yosys places it in blocks: runs of a port's rows side by side, cut into ports.

        Args:
            words: (depth, width), bit 0 first.
            port_width: see :meth:`port_width`.

        Returns:
            (blocks, bits); bits that belong to no word are 0.
        """
        positions = self.positions(port_width)
        depth, width = words.shape
        rows = len(positions)
        runs = math.ceil(depth / rows)
        count = math.ceil(runs * width / port_width)
        padded = np.zeros((runs * rows, width), dtype=np.uint8)
        padded[:depth] = words
        columns = np.zeros((rows, count * port_width), dtype=np.uint8)
        columns[:, : runs * width] = padded.reshape(runs, rows, width).transpose(1, 0, 2).reshape(rows, runs * width)
        result = np.zeros((count, self.bits), dtype=np.uint8)
        result[:, positions] = columns.reshape(rows, count, port_width).transpose(1, 0, 2)
        return result


class BlockRamFormat(BlockRamCell):
    """A family's block RAM in the files that yosys, nextpnr, the packer and the unpacker write.

    Attributes:
        placed_suffix: suffix that nextpnr adds to a cell's name.
        text: the file with the placed design that nextpnr writes for the packer.
        unpack_tool: the tool that turns a bitstream into a text of the same format.
    """

    placed_suffix: str = ""
    text: str
    unpack_tool: str

    @abstractmethod
    def parameters(self, contents: Bits) -> dict[str, str]:
        """The parameters of a cell that holds ``contents``."""

    @abstractmethod
    def blocks(self, text: str, places: list[str]) -> dict[str, Bits]:
        """The contents of the blocks at ``places``, in nextpnr's notation, in a placed design or unpacked bitstream.

        Raises:
            RuntimeError: a place has no contents.
        """

    @abstractmethod
    def with_blocks(self, text: str, contents: Mapping[str, Bits]) -> str:
        """The text of a placed design with other contents at the given places; raises RuntimeError like `blocks`."""

    @abstractmethod
    def unpack_arguments(self, bitstream: str) -> tuple[str, ...]:
        """The arguments with which ``unpack_tool`` unpacks a bitstream into ``UNPACKED``."""


def binary(bits: Bits) -> str:
    """Bits as a binary number, last bit first."""
    return (bits[::-1] + ord("0")).astype(np.uint8).tobytes().decode()


def bits_of(number: str) -> Bits:
    """Inverse of :func:`binary`; any character other than 0 and 1 counts as 0."""
    return (np.frombuffer(number.encode(), dtype=np.uint8)[::-1] == ord("1")).astype(np.uint8)
