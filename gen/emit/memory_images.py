"""The tables of a design that lie in block RAM, as their words: what training decides is all in them and in the plan.

A patchable design is synthesised with random words in place of these, so that no netlist depends on what a network
has learned; the real ones are put into the netlist afterwards.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from boards.block_ram import Bits
from gen.design import Hardware, self_test_vectors
from gen.emit.board_top import design_link
from hw.configuration import LayerConfig, NeuronConfig
from hw.constants import constants_words, row_layout

RTLIL = "top.il"


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


def memory_image(path: str, width: int, words: tuple[int, ...]) -> MemoryImage:
    """A table as the hardware has it: words are two's complement, and there are at least two."""
    padded = (*words, 0, 0)[: max(2, len(words))]
    return MemoryImage(path=path, width=width, words=tuple(word & (1 << width) - 1 for word in padded))


def memory_images(design: Hardware) -> list[MemoryImage]:
    """Every table of the design that is kept in block RAM."""
    found = [image for layer in design.config.layers for image in layer_images(layer)]
    vectors = self_test_vectors(design)
    stream, readout = design.config.input, design.config.readout
    if vectors.beats:
        found.append(memory_image("device.self_test.samples", stream.group * stream.burst_bits, tuple(vectors.beats)))
    if vectors.logits:
        found.append(memory_image("device.self_test.expected", readout.logit_bits, tuple(vectors.logits)))
    link = design_link(design)
    if link is not None:
        found.append(memory_image("device.link.answerer.identity", 8, tuple(link.identity.to_bytes())))
    return found


def layer_images(layer: LayerConfig) -> list[MemoryImage]:
    """Weights and constants of one layer, as far as they are kept in block RAM."""
    projection, target = layer.projection, layer.target
    found = []
    if projection.weight_memory == "block":
        width = projection.lanes * projection.weight_bits
        array = f"device.network.{layer.name}_projection.array"
        found += [
            memory_image(f"{array}.weights_{bank}", width, words) for bank, words in enumerate(projection.weight_words)
        ]
    if target.constants_memory == "block":
        owner = f"{layer.name}_neurons" if isinstance(target, NeuronConfig) else "readout"
        path = f"device.network.{owner}.constants_table"
        found.append(memory_image(path, row_layout(target).size, constants_words(target)))
    return found


def placeholder(image: MemoryImage) -> MemoryImage:
    """A table of the same name and shape with random words, the same every time, in which no column is constant."""
    random = np.random.default_rng(list(hashlib.sha256(image.path.encode()).digest()))
    bits = random.integers(0, 2, (len(image.words), image.width), dtype=np.uint8)
    bits[1] = 1 - bits[0]
    words = (int((row[::-1] + ord("0")).astype(np.uint8).tobytes(), 2) for row in bits)
    return replace(image, words=tuple(words))


def with_placeholders(rtlil: str, images: list[MemoryImage]) -> str:
    """The RTLIL of a board's top with placeholders in its tables; raises RuntimeError, see :func:`with_words`."""
    return with_words(rtlil, {image: placeholder(image) for image in images})


def without_placeholders(rtlil: str, images: list[MemoryImage]) -> str:
    """The inverse of :func:`with_placeholders`: what the chip does once its tables are filled."""
    return with_words(rtlil, {placeholder(image): image for image in images})


def with_words(rtlil: str, images: Mapping[MemoryImage, MemoryImage]) -> str:
    """The RTLIL of a board's top with other words, the values, in the tables that are the keys.

    Raises:
        RuntimeError: a table is not there, or does not hold the words of its image: the lowering is wrong.
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
