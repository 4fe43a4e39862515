"""Resources of a design before synthesis: block RAMs counted, LUTs and flip-flops from a fitted linear model.

Every component adds to a handful of features (bits of adders, of shifters, of registers, words of ROM ...);
``resource_constants.json`` says what one of each costs on each FPGA family. ``python -m studies.resources`` fits it.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from boards.board import Family
from hw.configuration import (
    LayerConfig,
    NeuronConfig,
    PoolingConfig,
    ProjectionConfig,
    ReadoutConfig,
    TopConfig,
    WindowConfig,
)
from hw.constants import row_layout
from hw.device import counter_widths
from hw.link.cobs import BLOCK_DEPTH
from hw.link.configuration import buffer_bytes
from hw.link.host_link import JOBS
from hw.plan import MemoryStyle
from qblif.protocol import COUNTER_BYTES, Identity, inference_bytes

CONSTANTS = Path(__file__).with_name("resource_constants.json")
Features = Counter[str]
UNSHARED_FLIP_FLOPS = 0.55
"""Share of the flip-flops that take a logic cell of their own, where a chip has those, see
:class:`boards.board.Resources`; what carry chains take beside their LUTs is in it."""


@dataclass(frozen=True, kw_only=True)
class MemoryShape:
    """One memory: ``depth`` words of ``width`` bits; ``writable`` or a table of constants."""

    depth: int
    width: int
    style: MemoryStyle
    writable: bool


@dataclass(frozen=True, kw_only=True)
class StageResources:
    """Of one stage: ``bram``, in the family's unit, is counted; ``lut``, ``ff`` and ``cells``, see
    :class:`boards.board.Resources`, are estimates."""

    name: str
    lut: float
    ff: float
    bram: float
    cells: float


@cache
def constants(family: str) -> dict[str, dict[str, float]]:
    """What one of each feature costs on ``family``: ``{"lut": {...}, "ff": {...}}``."""
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


def stage_resources(family: Family, stage: LayerConfig | PoolingConfig) -> StageResources:
    """Resources of one stage on ``family``."""
    return part_resources(family, stage.name, stage_features(stage), memories(stage))


def self_test_resources(family: Family, config: TopConfig, samples: int) -> StageResources:
    """Resources of the on-chip self-test with ``samples`` reference inputs; of 0 there is none."""
    if not samples:
        return part_resources(family, "self-test", Features(), [])
    shapes = [
        MemoryShape(
            depth=max(2, samples * config.input.beats_per_inference),
            width=config.input.group * config.input.burst_bits,
            style="block",
            writable=False,
        ),
        MemoryShape(
            depth=max(2, samples * config.readout.classes),
            width=config.readout.logit_bits,
            style="block",
            writable=False,
        ),
    ]
    return part_resources(family, "self-test", Features(self_test=1), shapes)


def link_resources(family: Family, config: TopConfig) -> StageResources:
    """Resources of the host link of a network."""
    return part_resources(family, "host link", link_features(config), link_memories(family, config))


def link_features(config: TopConfig) -> Features:
    """What the host link is made of, memories apart."""
    counters = counter_widths(config)
    return Features(
        link=1,
        link_counter=8 * COUNTER_BYTES * len(counters),
        link_increment=sum(counters.values()),
        link_beat=config.input.group * config.input.burst_bits,
    )


def link_memories(family: Family, config: TopConfig) -> list[MemoryShape]:
    """The ring of requests, the identity, a block of an answer and the jobs."""
    small: MemoryStyle = "distributed" if family.has_lut_ram else "block"
    identity = Identity.LAYOUT.size + len("\0".join(counter_widths(config)))
    return [
        MemoryShape(depth=buffer_bytes(inference_bytes(config.input)), width=8, style="block", writable=True),
        MemoryShape(depth=identity, width=8, style="block", writable=False),
        MemoryShape(depth=BLOCK_DEPTH, width=8, style="block", writable=True),
        MemoryShape(depth=JOBS, width=16, style=small, writable=True),
    ]


def memories(stage: LayerConfig | PoolingConfig) -> list[MemoryShape]:
    """Every memory of a stage."""
    if isinstance(stage, PoolingConfig):
        return [pooling_memory(stage)]
    found = projection_memories(stage.projection)
    if isinstance(stage.target, NeuronConfig):
        found += neuron_memories(stage.target)
    elif stage.target.constants_memory == "block":
        found.append(constants_shape(stage.target))
    return found


def projection_memories(projection: ProjectionConfig) -> list[MemoryShape]:
    """Weights of every bank, and the line buffer."""
    window = projection.window
    return [weight_memory(projection)] * projection.banks + ([field_memory(window)] if window.rows_kept else [])


def weight_memory(projection: ProjectionConfig) -> MemoryShape:
    """The weights of one bank."""
    return MemoryShape(
        depth=max(2, projection.rows),
        width=projection.lanes * projection.weight_bits,
        style=projection.weight_memory,
        writable=False,
    )


def field_memory(window: WindowConfig) -> MemoryShape:
    """The line buffer of a receptive field."""
    source = window.source
    words = window.rows_kept * source.width * source.beats_per_position
    return MemoryShape(depth=max(2, words), width=source.group * source.burst_bits, style=window.memory, writable=True)


def pooling_memory(pooling: PoolingConfig) -> MemoryShape:
    """The unfinished windows of a pooling stage."""
    output = pooling.output
    words = output.width * pooling.stream.beats_per_position
    return MemoryShape(depth=max(2, words), width=output.group * output.burst_bits, style=pooling.memory, writable=True)


def neuron_memories(neurons: NeuronConfig) -> list[MemoryShape]:
    """Membranes, constants and skip queues."""
    found = [membrane_memory(neurons), constants_shape(neurons)]
    for skip in neurons.skips:
        width = skip.stream.group * skip.stream.burst_bits
        found.append(MemoryShape(depth=max(2, skip.depth), width=width, style=skip.memory, writable=True))
    return found


def constants_shape(target: NeuronConfig | ReadoutConfig) -> MemoryShape:
    """Biases and exponents. A readout's, where they are logic, are a part of its fitted cost."""
    rows = target.slots * target.folds if isinstance(target, NeuronConfig) else target.classes
    width = row_layout(target).size
    return MemoryShape(depth=max(2, rows), width=width, style=target.constants_memory, writable=False)


def membrane_memory(neurons: NeuronConfig) -> MemoryShape:
    """The membranes of the neurons of one fold."""
    return MemoryShape(
        depth=max(2, neurons.slots),
        width=neurons.cores * neurons.membrane_bits,
        style=neurons.membrane_memory,
        writable=True,
    )


def block_rams(family: Family, memory: MemoryShape) -> float:
    """Block RAMs of a memory, in the family's unit."""
    return family.block_rams(memory.depth, memory.width, memory.writable) if memory.style == "block" else 0.0


def memory_features(family: Family, memory: MemoryShape) -> Features:
    """What a memory takes of LUTs: those of a table or LUT RAM, in units of the family's LUT."""
    if memory.style == "block":
        return Features()
    if memory.writable:
        return Features(lut_ram=family.lut_ram_luts(memory.depth, memory.width))
    return Features(rom=family.rom_luts(memory.depth, memory.width), rom_register=memory.width)


def stage_features(stage: LayerConfig | PoolingConfig) -> Features:
    """What a stage is made of, memories apart."""
    if isinstance(stage, PoolingConfig):
        return Features(
            stage=1,
            pooling=stage.output.group * stage.output.burst_bits,
            stream=stage.stream.group * stage.stream.burst_bits,
        )
    features = projection_features(stage.projection)
    if isinstance(stage.target, NeuronConfig):
        target = stage.target
        features += Features(
            stage=1,
            core=target.cores * target.potential_bits,
            leak=target.cores * target.membrane_bits * max(0, target.leak.multiplier.bit_count() - 1),
            exponent=target.cores * target.current_bits * target.exponent_bits,
            beat=target.group * target.burst_bits,
            skip=sum(target.cores * (target.current_bits + skip.stream.burst_bits) for skip in target.skips),
        )
    else:
        features += Features(stage=1, readout=stage.target.logit_bits)
    if stage.target.constants_memory == "block":
        features += Features(rom_register=row_layout(stage.target).size)
    return features


def projection_features(projection: ProjectionConfig) -> Features:
    """Lanes, banks, scanner and receptive field."""
    window, source = projection.window, projection.window.source
    planes, lanes, banks = source.burst_bits, projection.lanes, projection.banks
    shifted = projection.weight_bits + planes - 1
    address = math.ceil(math.log2(max(2, projection.rows)))
    features = Features(
        accumulator=lanes * projection.accumulator_bits,
        weight_register=lanes * banks * projection.weight_bits,
        shifter=lanes * banks * shifted * (planes - 1).bit_length(),
        bank_adder=lanes * (banks - 1) * (shifted + 1),
        scanner=source.group * source.burst_bits,
        scanner_bank=banks * address,
    )
    if window.rows_kept:
        features += Features(field=1, stream=source.group * source.burst_bits)
        features += Features(field_padding=int(window.padding > 0))
    else:
        features += Features(stream=source.group * source.burst_bits)
    return features
