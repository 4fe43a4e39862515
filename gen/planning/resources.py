"""Resources of a design before synthesis: block RAMs counted, LUTs and flip-flops from a fitted linear model.

Every component adds to a handful of features (bits of adders, of shifters, of registers, words of ROM ...);
``resource_constants.json`` says what one of each costs on each FPGA family. ``python -m studies.resources`` fits it.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from boards.board import Family
from hw.configuration import TopConfig
from hw.features import Features
from hw.link.configuration import buffer_bytes, link_mode
from hw.link.host_link import JOBS, link_memories
from hw.memory import Inventory, MemoryShape, MemoryStyle
from hw.shell.activity import counter_widths
from hw.shell.selftest import expected_memory, samples_memory
from hw.stages.stage import Stage
from qblif.protocol import COUNTER_BYTES, Identity, request_bytes

CONSTANTS = Path(__file__).with_name("resource_constants.json")
UNSHARED_FLIP_FLOPS = 0.55
"""Share of the flip-flops that take a separate logic cell, on chips that count cells (see
:class:`boards.board.Resources`); includes the cells that carry chains take beside their LUTs."""


@dataclass(frozen=True, kw_only=True)
class StageResources:
    """Resources of one stage: ``bram``, in the family's unit, is counted; ``lut``, ``ff`` and ``cells`` are estimates,
    see :class:`boards.board.Resources`."""

    name: str
    lut: float
    ff: float
    bram: float
    cells: float


@cache
def constants(family: str) -> dict[str, dict[str, float]]:
    """The cost of one of each feature on ``family``: ``{"lut": {...}, "ff": {...}}``."""
    fitted: dict[str, dict[str, dict[str, float]]] = json.loads(CONSTANTS.read_text())["families"]
    return fitted[family if family in fitted else "ecp5"]


def part_resources(family: Family, name: str, features: Features, memories: list[MemoryShape]) -> StageResources:
    """Resources of a part of a design that is made of ``features`` and ``memories``."""
    features = features.copy()
    for memory in memories:
        features += memory_features(family, memory)
    lut, ff = (
        sum(costs.get(feature, 0.0) * amount for feature, amount in features.items())
        for costs in (constants(family.name)[key] for key in ("lut", "ff"))
    )
    return StageResources(
        name=name,
        lut=lut,
        ff=ff,
        cells=lut + UNSHARED_FLIP_FLOPS * ff,
        bram=sum(block_rams(family, memory) for memory in memories),
    )


def stage_resources(family: Family, stage: Stage) -> StageResources:
    """Resources of one stage on ``family``."""
    return part_resources(family, stage.name, stage.features(), shapes(stage.memories()))


def shapes(memories: Inventory) -> list[MemoryShape]:
    """The shapes of memories, which determine their cost."""
    return [memory.shape for _, memory in memories]


def self_test_resources(family: Family, config: TopConfig, samples: int) -> StageResources:
    """Resources of the on-chip self-test with ``samples`` reference inputs; nothing for 0 samples."""
    if not samples:
        return part_resources(family, "self-test", Features(), [])
    beats, results = samples * config.beats_per_result, samples * config.readout.beats
    found = [samples_memory(config, beats).shape, expected_memory(config, results).shape]
    return part_resources(family, "self-test", Features(self_test=1), found)


def link_resources(family: Family, config: TopConfig) -> StageResources:
    """Resources of the host link of a network."""
    return part_resources(family, "host link", link_features(config), link_shapes(family, config))


def link_features(config: TopConfig) -> Features:
    """The features of the host link, without its memories."""
    counters = counter_widths(config)
    return Features(
        link=1,
        link_counter=8 * COUNTER_BYTES * len(counters),
        link_increment=sum(counters.values()),
        link_beat=config.input.group * config.input.burst_bits,
    )


def link_shapes(family: Family, config: TopConfig) -> list[MemoryShape]:
    """The memories of the host link, with its queue of jobs."""
    small: MemoryStyle = "distributed" if family.has_lut_ram else "block"
    identity = Identity.LAYOUT.size + len("\0".join(counter_widths(config)))
    mode = link_mode(config)
    stored = None if mode == "sample" else config.readout
    known = shapes(link_memories(buffer_bytes(request_bytes(config.input, mode)), stored, identity))
    return [*known, MemoryShape(depth=JOBS, width=16, style=small, writable=True)]


def block_rams(family: Family, memory: MemoryShape) -> float:
    """Block RAMs of a memory, in the family's unit."""
    return family.block_rams(memory.depth, memory.width, memory.writable) if memory.style == "block" else 0.0


def memory_features(family: Family, memory: MemoryShape) -> Features:
    """The LUTs that a memory takes, as a table or LUT RAM, in units of the family's LUT."""
    if memory.style == "block":
        return Features()
    if memory.writable:
        return Features(lut_ram=family.lut_ram_luts(memory.depth, memory.width))
    return Features(rom=family.rom_luts(memory.depth, memory.width), rom_register=memory.width)
