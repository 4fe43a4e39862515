"""Memories, declared once as data.

A component elaborates its memories from these declarations; block-RAM counts, memory images, patching, read-back and
the resource model read the same ones. So a memory's name, and with it its path in a netlist, is defined in one place.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from amaranth.hdl import Shape, ShapeLike
from amaranth.lib.memory import Memory

MemoryStyle = Literal["block", "distributed", "logic"]
"""Block RAM; LUT RAM; a table made of LUTs."""
FEWEST_WORDS = 2
"""Minimum depth of any memory: one with a single word would have no address."""


@dataclass(frozen=True, kw_only=True)
class MemoryShape:
    """Everything that a memory's cost depends on: ``depth`` words of ``width`` bits; ``writable`` or a table of
    constants."""

    depth: int
    width: int
    style: MemoryStyle
    writable: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class MemoryDeclaration:
    """One memory of a component.

    Attributes:
        name: name of the submodule; the last part of the memory's path in a netlist.
        depth: words that are used; the memory has at least :data:`FEWEST_WORDS`.
        layout: layout of a word.
        style: block RAM, LUT RAM or logic.
        words: computes the contents of a table of constants, each word as an integer, negative ones in two's
            complement; None for a memory that the hardware writes.
    """

    name: str
    depth: int
    layout: ShapeLike
    style: MemoryStyle
    words: Callable[[], Sequence[int]] | None = None

    @property
    def shape(self) -> MemoryShape:
        """The properties that its cost depends on."""
        return MemoryShape(
            depth=max(FEWEST_WORDS, self.depth), width=self.width, style=self.style, writable=self.words is None
        )

    @property
    def width(self) -> int:
        """Bits of a word."""
        return Shape.cast(self.layout).width

    def contents(self) -> tuple[int, ...]:
        """Every word of a table of constants as an unsigned number, including words that only fill it up."""
        assert self.words is not None
        words = [word & (1 << self.width) - 1 for word in self.words()]
        return (*words, *[0] * (FEWEST_WORDS - len(words)))

    def memory(self) -> Memory:
        """The Amaranth memory."""
        value = getattr(self.layout, "from_bits", int)
        init = [] if self.words is None else [value(word) for word in self.words()]
        return Memory(
            shape=self.layout, depth=max(FEWEST_WORDS, self.depth), init=init, attrs={"ram_style": self.style}
        )


Inventory = Iterable[tuple[str, MemoryDeclaration]]
"""Memories, each with its path below a component: the names of the submodules that lead to it, and its own."""


def inventory(*declarations: MemoryDeclaration) -> Iterator[tuple[str, MemoryDeclaration]]:
    """A component's own memories."""
    for declaration in declarations:
        yield declaration.name, declaration


def under(owner: str, memories: Inventory) -> Iterator[tuple[str, MemoryDeclaration]]:
    """The memories of the submodule ``owner``, as its parent sees them."""
    for path, declaration in memories:
        yield f"{owner}.{path}", declaration
