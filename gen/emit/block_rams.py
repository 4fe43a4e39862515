"""Which block RAM holds which bits of a table, and checks that it does: in netlist, placed design and bitstream."""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from boards.block_ram import PLACED, UNPACKED, Bits, BlockRamCell, BlockRamFormat
from boards.board import ToolRun
from gen.emit.memory_images import MemoryImage, placeholder
from gen.emit.toolrun import run_tool
from qblif.errors import UserError
from qblif.reading import read_json

NETLIST = "top.json"
MEMORIES = "memories.json"
MOST_COLUMNS = 2**20
LONGEST_NAME = 1000


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block RAM: its name in the netlist, and its place in nextpnr's notation; empty before placement."""

    cell: str
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class MemoryBlocks:
    """The blocks of a table.

    Attributes:
        path: the table's name, as in :class:`gen.emit.memory_images.MemoryImage`.
        columns: the bits of a word that are in block RAM; yosys turns bits that are the same in all words into logic.
        port_width: bits of the blocks' read ports.
        blocks: in the order of :meth:`boards.block_ram.BlockRamCell.spread`.
    """

    path: str
    columns: tuple[int, ...]
    port_width: int
    blocks: tuple[Block, ...]

    def contents(self, form: BlockRamCell, image: MemoryImage) -> Bits:
        """The part of the table's words that the blocks hold: (blocks, bits)."""
        return form.spread(image.bits[:, self.columns], self.port_width)


def block_contents(
    memories: list[MemoryBlocks], form: BlockRamCell, images: list[MemoryImage]
) -> Iterator[tuple[Block, Bits]]:
    """Every block of the tables, with the bits that it must hold.

    Raises:
        RuntimeError: a table has fewer or more blocks than its words take.
    """
    wanted = {image.path: image for image in images}
    for memory in memories:
        contents = memory.contents(form, wanted[memory.path])
        if len(contents) != len(memory.blocks):
            raise RuntimeError(f"memory {memory.path}: in {len(memory.blocks)} block RAMs instead of {len(contents)}")
        yield from zip(memory.blocks, contents, strict=True)


def netlist_cells(netlist: str, form: BlockRamCell) -> dict[str, Any]:
    """Every block RAM of a netlist in the form that yosys or nextpnr writes, by name."""
    return {match["name"]: json.loads(match["cell"]) for match in cell_pattern(form.cell).finditer(netlist)}


def cell_pattern(cell: str) -> re.Pattern[str]:
    """The pattern of a cell of type ``cell`` in a netlist; groups: ``name``, and ``cell``, its parameters as JSON."""
    return re.compile(
        rf'^        "(?P<name>[^"\n]+)": \{{\n          "hide_name": [01],\n          "type": "{cell}",\n'
        r'          "parameters": (?P<cell>\{.*?^          \})',
        re.MULTILINE | re.DOTALL,
    )


def find_blocks(netlist: str, form: BlockRamCell, images: list[MemoryImage]) -> list[MemoryBlocks]:
    """Find the blocks of every table in the netlist that yosys made of a design with these tables.

    Raises:
        RuntimeError: a block is missing, or one holds something else.
    """
    parameters = netlist_cells(netlist, form)
    found = []
    for image in images:
        columns = tuple(np.flatnonzero((image.bits != image.bits[0]).any(axis=0)).tolist())
        if not columns:
            continue
        names = (f"{image.path}.0.{number}" for number in itertools.count())
        blocks = tuple(Block(cell=name) for name in itertools.takewhile(lambda name: name in parameters, names))
        if not blocks:
            raise RuntimeError(f"memory {image.path}: the netlist does not keep it in block RAM")
        width = form.port_width(parameters[blocks[0].cell])
        found.append(MemoryBlocks(path=image.path, columns=columns, port_width=width, blocks=blocks))
    held = {name: form.contents(cell) for name, cell in parameters.items()}
    check_contents(found, form, images, lambda block: held[block.cell], "netlist")
    return found


def find_tables(netlist: str, kinds: Sequence[BlockRamCell], images: list[MemoryImage]) -> list[MemoryBlocks]:
    """Like :func:`find_blocks`, for tables that are each in one of several kinds of block RAM."""
    kind_of = {name: kind for kind in kinds for name in netlist_cells(netlist, kind)}
    chosen = [kind_of.get(f"{image.path}.0.0", kinds[0]) for image in images]
    return [
        memory
        for kind in kinds
        for memory in find_blocks(
            netlist, kind, [image for image, its in zip(images, chosen, strict=True) if its is kind]
        )
    ]


def fill_tables(
    folder: Path, form: BlockRamFormat, images: list[MemoryImage], *, placeholders: bool
) -> list[MemoryBlocks]:
    """Find the tables in the build's netlist and check them; placeholders are replaced by the tables' words."""
    path = folder / NETLIST
    netlist = path.read_text()
    if not placeholders:
        return find_blocks(netlist, form, images)
    memories = find_blocks(netlist, form, [placeholder(image) for image in images])
    contents = {block.cell: held for block, held in block_contents(memories, form, images)}
    path.write_text(fill_netlist(netlist, form, contents))
    return memories


def check_contents(
    memories: list[MemoryBlocks],
    form: BlockRamCell,
    images: list[MemoryImage],
    held: Callable[[Block], Bits],
    where: str,
) -> None:
    """Raise RuntimeError unless every block holds the right bits; ``where`` they were read, for the message."""
    for block, wanted in block_contents(memories, form, images):
        wrong = int((wanted != held(block)).sum())
        if wrong:
            raise RuntimeError(f"block RAM {block.cell}: {wrong} bits in the {where} are not the network's")


def fill_netlist(netlist: str, form: BlockRamFormat, contents: Mapping[str, Bits]) -> str:
    """The netlist with new contents in the named block RAMs."""

    def filled(match: re.Match[str]) -> str:
        if match["name"] not in contents:
            return match[0]
        parameters = json.loads(match["cell"]) | form.parameters(contents[match["name"]])
        lines = ",\n".join(f"            {json.dumps(key)}: {json.dumps(value)}" for key, value in parameters.items())
        before = match[0][: match.start("cell") - match.start()]
        return f"{before}{{\n{lines}\n          }}"

    return cell_pattern(form.cell).sub(filled, netlist)


def place_tables(folder: Path, form: BlockRamFormat, memories: list[MemoryBlocks]) -> list[MemoryBlocks]:
    """The same tables with the places that nextpnr chose. They are saved, and nextpnr's own file is deleted.

    Raises:
        RuntimeError: a block has no place.
    """
    cells = json.loads((folder / PLACED).read_text())["modules"]["top"]["cells"]

    def place(cell: str) -> str:
        try:
            return str(cells[cell + form.placed_suffix]["attributes"]["NEXTPNR_BEL"])
        except KeyError:
            raise RuntimeError(f"block RAM {cell} has no place in the placed design") from None

    placed = [
        replace(memory, blocks=tuple(replace(block, place=place(block.cell)) for block in memory.blocks))
        for memory in memories
    ]
    (folder / MEMORIES).write_text(json.dumps([asdict(memory) for memory in placed], indent=1) + "\n")
    (folder / PLACED).unlink()
    return placed


def load_blocks(path: Path) -> list[MemoryBlocks]:
    """Read the file that :func:`place_tables` saved; raises UserError if it is missing or damaged."""
    try:
        return [memory_blocks(row) for row in read_json(path, "record of block RAMs")]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged; build the design again") from error


def memory_blocks(row: dict[str, Any]) -> MemoryBlocks:
    """One table's blocks from JSON; raises ValueError, KeyError or TypeError for anything else."""
    columns, blocks = row.pop("columns"), row.pop("blocks")
    if not all(type(one) is int and 0 <= one < MOST_COLUMNS for one in (*columns, row["port_width"])):
        raise ValueError("a number is not one of a table")
    if not isinstance(columns, list) or not isinstance(blocks, list):
        raise TypeError("columns and blocks are not lists")
    if not all(isinstance(block, dict) and set(block) == {"cell", "place"} for block in blocks):
        raise ValueError("a block is not a cell and its place")
    found = MemoryBlocks(columns=tuple(columns), blocks=tuple(Block(**block) for block in blocks), **row)
    names = [found.path, *(name for block in found.blocks for name in (block.cell, block.place))]
    if not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names):
        raise TypeError("a name is not one of a table")
    return found


def read_back(
    folder: Path, bitstream: str, form: BlockRamFormat, memories: list[MemoryBlocks], images: list[MemoryImage]
) -> None:
    """Unpack the bitstream and compare every table that it keeps in block RAM with the expected words.

    Raises:
        RuntimeError: a bit differs.
    """
    arguments = form.unpack_arguments(bitstream)
    run_tool(ToolRun(purpose="read-back", tool=form.unpack_tool, arguments=arguments, log="unpack.log"), folder)
    held = form.blocks((folder / UNPACKED).read_text(), [block.place for memory in memories for block in memory.blocks])
    check_contents(memories, form, images, lambda block: held[block.place], "bitstream")
    (folder / UNPACKED).unlink()
