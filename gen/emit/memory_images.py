"""The words of a design's tables in block RAM. They and the plan contain everything that training decides.

A patchable design is synthesised with random words in these tables, so that no netlist depends on what a network has
learned; the real words are put into the netlist afterwards.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from boards.block_ram import Bits
from gen.design import Hardware, self_test_vectors
from gen.emit.board_top import design_link
from hw.shell.device import device_memories

RTLIL = "top.il"
DEVICE = "device"
"""The device's name in the board's top."""


@dataclass(frozen=True, kw_only=True)
class MemoryImage:
    """One table of constants: its name in the flat netlist of the board's top, bits of a word, and its words."""

    path: str
    width: int
    words: tuple[int, ...]

    @property
    def bits(self) -> Bits:
        """The words' bits, (depth, width), bit 0 first."""
        digits = "".join(f"{word:0{self.width}b}" for word in self.words)
        return (np.frombuffer(digits.encode(), dtype=np.uint8) - ord("0")).reshape(-1, self.width)[:, ::-1]


def memory_images(design: Hardware) -> list[MemoryImage]:
    """Every table of the design that is in block RAM."""
    memories = device_memories(design.config, self_test_vectors(design), design_link(design))
    return [
        MemoryImage(path=f"{DEVICE}.{path}", width=memory.width, words=memory.contents())
        for path, memory in memories
        if memory.words is not None and memory.style == "block"
    ]


def placeholder(image: MemoryImage) -> MemoryImage:
    """A table of the same name and shape with random words, the same every time; none of its columns is constant."""
    random = np.random.default_rng(list(hashlib.sha256(image.path.encode()).digest()))
    bits = random.integers(0, 2, (len(image.words), image.width), dtype=np.uint8)
    bits[1] = 1 - bits[0]
    words = (int((row[::-1] + ord("0")).astype(np.uint8).tobytes(), 2) for row in bits)
    return replace(image, words=tuple(words))


def with_placeholders(rtlil: str, images: list[MemoryImage]) -> str:
    """The RTLIL of a board's top with placeholders in its tables; raises RuntimeError, see :func:`with_words`."""
    return with_words(rtlil, {image: placeholder(image) for image in images})


def without_placeholders(rtlil: str, images: list[MemoryImage]) -> str:
    """The inverse of :func:`with_placeholders`: the RTLIL of the chip after its tables are filled."""
    return with_words(rtlil, {placeholder(image): image for image in images})


def with_words(rtlil: str, images: Mapping[MemoryImage, MemoryImage]) -> str:
    """The RTLIL of a board's top with other words in its tables; ``images`` maps each old table to the new one.

    Raises:
        RuntimeError: a table is missing, or does not hold the words of its image: the lowering is wrong.
    """
    for image, wanted in images.items():
        owner, _, name = image.path.rpartition(".")
        begin = rtlil.find(f"\nmodule \\top.{owner}\n")
        table = re.compile(
            rf'    parameter \\MEMID "\\\\{re.escape(name)}"\n(?:    .*\n)*?    connect \\DATA (\d+\'[01]+)\n'
        ).search(rtlil, max(begin, 0), rtlil.find("\nend\n", begin))
        if begin < 0 or table is None or table[1] != rtlil_constant(image):
            raise RuntimeError(f"memory {image.path}: the RTLIL does not hold its words")
        rtlil = rtlil[: table.start(1)] + rtlil_constant(wanted) + rtlil[table.end(1) :]
    return rtlil


def rtlil_constant(image: MemoryImage) -> str:
    """All words of a table as one constant, the last word first."""
    digits = "".join(f"{word:0{image.width}b}" for word in reversed(image.words))
    return f"{len(digits)}'{digits}"
