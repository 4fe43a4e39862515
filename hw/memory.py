"""Memories, declared once as data.

A component elaborates its memories from these declarations; block-RAM counts, memory images, patching, read-back and
the resource model read the same ones. So the name of a memory, and with it its path in a netlist, stands in one place.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from amaranth.hdl import Shape, ShapeLike
from amaranth.lib.memory import Memory

MemoryStyle = Literal["block", "distributed", "logic"]
"""Block RAM; LUT RAM; a table made of LUTs."""
FEWEST_WORDS = 2
"""Of any memory: with a single word there would be no address."""


@dataclass(frozen=True, kw_only=True)
class MemoryShape:
    """What a memory costs depends on this alone: ``depth`` words of ``width`` bits; ``writable`` or a table of
    constants."""

    depth: int
    width: int
    style: MemoryStyle
    writable: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class MemoryDeclaration:
    """One memory of a component.

    Attributes:
        name: of the submodule; the last part of the memory's path in a netlist.
        depth: words that are used; the memory has :data:`FEWEST_WORDS` at least.
        layout: of a word.
        style: what it is kept in.
        words: computes the contents of a table of constants, each word as an integer, two's complement where it is
            negative; None for a memory that the hardware writes.
    """

    name: str
    depth: int
    layout: ShapeLike
    style: MemoryStyle
    words: Callable[[], Sequence[int]] | None = None

    @property
    def shape(self) -> MemoryShape:
        """What its cost depends on."""
        return MemoryShape(
            depth=max(FEWEST_WORDS, self.depth), width=self.width, style=self.style, writable=self.words is None
        )

    @property
    def width(self) -> int:
        """Bits of a word."""
        return Shape.cast(self.layout).width

    def contents(self) -> tuple[int, ...]:
        """Every word of a table of constants as a number without sign, those that only fill it up included."""
        assert self.words is not None
        words = [word & (1 << self.width) - 1 for word in self.words()]
        return (*words, *[0] * (FEWEST_WORDS - len(words)))

    def memory(self) -> Memory:
        """The memory itself."""
        value = getattr(self.layout, "from_bits", int)
        init = [] if self.words is None else [value(word) for word in self.words()]
        return Memory(
            shape=self.layout, depth=max(FEWEST_WORDS, self.depth), init=init, attrs={"ram_style": self.style}
        )


Inventory = Iterable[tuple[str, MemoryDeclaration]]
"""Memories, each with its path below a component: the names of the submodules that lead to it, and its own."""


def inventory(*declarations: MemoryDeclaration) -> Iterator[tuple[str, MemoryDeclaration]]:
    """The memories of a component itself."""
    for declaration in declarations:
        yield declaration.name, declaration


def under(owner: str, memories: Inventory) -> Iterator[tuple[str, MemoryDeclaration]]:
    """The memories of the submodule ``owner``, as its parent sees them."""
    for path, declaration in memories:
        yield f"{owner}.{path}", declaration
