"""The pictures of docs/concepts.md, drawn from the arithmetic, from a shipped network and from its plan."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from gen.design import Design, make_design
from hw.stages.pooling import PoolingStage
from hw.stages.stage import Stage
from qblif.files import write_whole
from qblif.network.checks import IntArray
from qblif.network.coding import encode
from qblif.zoo import checkpoint
from studies.site.svg import ORANGE, PALE, TEAL, VIOLET, Drawing

UNIT = 64
"""2^F of the drawn neuron."""
CURRENTS = (20, 44, 90, 30, 0, 180, 60, 12, 0, 250, 40, 30)
"""What enters the drawn neuron, timestep by timestep, in units of 2^-F."""
NETWORK, BOARD = "fashion_mnist_cnn", "ulx3s_85f"
"""The network and the board whose plan is drawn."""
MEMORIES = {"block": "block RAM", "distributed": "LUT RAM", "logic": "logic"}
ROW = 14
"""Pixels between lines of text."""


def neuron_steps(currents: Sequence[int], ceiling: int, multiplier: int, shift: int) -> list[tuple[int, int]]:
    """M and n of every timestep (docs/design.md, integer form), with soft reset and r = 2^(F-1)."""
    membrane, steps = 0, []
    for current in currents:
        potential = (multiplier * membrane >> shift) + current
        count = min(max((potential + UNIT // 2) // UNIT, 0), ceiling)
        membrane = potential - count * UNIT
        steps.append((potential, count))
    return steps


def burst_neuron() -> Drawing:
    """The same currents in a neuron of bursts and in one of binary spikes."""
    drawing = Drawing(760, 400, "Membrane and bursts of a neuron with K = 3 and of one with K = 1")
    for side, ceiling in enumerate((3, 1)):
        left, ground, high = 50 + side * 375, 290, 45
        name = "bursts, K = 3" if ceiling > 1 else "binary spikes, K = 1"
        drawing.text(left, 28, name, size=16, bold=True)
        drawing.text(left, 48, "bars: M; dark: what the burst takes away", size=12)
        for level in range(1, ceiling + 1):
            height = ground - (level - 0.5) * high
            drawing.line((left, height), (left + 312, height), colour=ORANGE, dashed=True)
            drawing.text(left - 6, height + 4, str(level), size=12, anchor="end", colour=ORANGE)
        for step, (potential, count) in enumerate(neuron_steps(CURRENTS, ceiling, 3, 2)):
            x, tall = left + 4 + step * 26, potential / UNIT * high
            drawing.box(x, ground - max(tall, 0), 20, abs(tall), "#b2dfdb")
            taken = count * high
            if count:
                drawing.box(x, ground - tall, 20, min(taken, tall), TEAL)
            for part in range(count):
                drawing.box(x + 3, ground + 46 - part * 14, 14, 11, ORANGE)
            drawing.text(x + 10, ground + 76, str(count), anchor="middle", bold=True)
        drawing.line((left, ground), (left + 312, ground))
        drawing.text(left, ground + 100, "burst n of each timestep", size=12)
    return drawing


def first_weights(design: Design) -> IntArray:
    """The integer weights of the second weighted projection, which reads bursts."""
    return design.network.weighted_projections(design.network.targets[1].name)[0].weights


def folding(design: Design) -> Drawing:
    """What is folded into the weights, and the weights of a shipped network."""
    drawing = Drawing(760, 300, "Scale, BatchNorm and weights become integer weights; a histogram of those")
    parts = (("W", "weights"), ("g / sqrt(var + eps)", "BatchNorm"), ("s_prev / s", "scales of two layers"))
    for place, (formula, what) in enumerate(parts):
        drawing.box(20, 30 + place * 62, 190, 44, PALE)
        drawing.text(115, 49 + place * 62, formula, anchor="middle", bold=True)
        drawing.text(115, 66 + place * 62, what, size=11, anchor="middle")
        drawing.line((210, 52 + place * 62), (252, 114), arrow=True)
    drawing.box(254, 84, 146, 60, "#b2dfdb")
    drawing.text(327, 109, "product, rounded", anchor="middle")
    drawing.text(327, 128, "to B bits", anchor="middle")
    drawing.line((400, 114), (436, 114), arrow=True)
    weights, target = first_weights(design), design.network.targets[1].name
    counts = Counter(weights.ravel().tolist())
    low, high, most = min(counts), max(counts), max(counts.values())
    wide = 290 / (high - low + 1)
    for value in range(low, high + 1):
        tall = counts[value] / most * 170
        x = 446 + (value - low) * wide
        drawing.box(x, 220 - tall, wide - 3, tall, TEAL)
        drawing.text(x + wide / 2 - 1, 238, str(value), size=11, anchor="middle")
    drawing.text(591, 262, f"integer weights of {target} ({NETWORK})", size=12, anchor="middle")
    drawing.text(20, 262, "In hardware: additions of these integers.", size=12)
    drawing.text(20, 280, "No multiplication, no scale.", size=12)
    return drawing


def describe(stage: Stage, design: Design) -> list[str]:
    """A stage in some lines: its shape, and how the plan builds it."""
    network = design.network
    readout = stage.name == network.readout.name
    shape = f"{len(network.readout.bias)} classes" if readout else " x ".join(map(str, network.shape(stage.name)))
    if isinstance(stage, PoolingStage):
        return [shape, "pooling"]
    figures = stage.figures()
    return [
        shape,
        f"lanes: {figures['lanes']}, folds: {figures['folds']}",
        f"banks: {figures['banks']}, cores: {figures['cores']}",
        f"{figures['weight_bits']}-bit weights in {MEMORIES[figures['weight_memory']]}",
        f"sums of {figures['accumulator_bits']} bits",
    ]


def data_path(design: Design) -> Drawing:
    """The stages of a plan and the streams between them."""
    stages = list(design.config.stages)
    columns, wide, tall = 4, 170, 120
    rows = math.ceil((len(stages) + 1) / columns)
    title = f"The data path of {NETWORK} on a {design.board.title}"
    drawing = Drawing(columns * 188 + 10, rows * (tall + 40) + 30, title)
    places = [(10 + at % columns * 188, 20 + at // columns * (tall + 40)) for at in range(len(stages) + 1)]
    boxes = [("input", [" x ".join(map(str, design.network.input.shape)), f"{design.network.input.bits} bits"], PALE)]
    for stage in stages:
        fill = "#d1c4e9" if isinstance(stage, PoolingStage) else "#b2dfdb"
        boxes.append((stage.name, describe(stage, design), fill))
    for (x, y), (name, lines, fill) in zip(places, boxes, strict=True):
        drawing.box(x, y, wide, tall, fill)
        drawing.text(x + wide / 2, y + 22, name, anchor="middle", bold=True)
        for number, words in enumerate(lines):
            drawing.text(x + wide / 2, y + 44 + number * (ROW + 2), words, size=11.5, anchor="middle")
    for (x, y), (onward, below) in itertools.pairwise(places):
        if below == y:
            drawing.line((x + wide, y + tall / 2), (onward, y + tall / 2), arrow=True)
        else:
            middle = y + tall + 20
            drawing.line(
                (x + wide / 2, y + tall), (x + wide / 2, middle), (onward + wide / 2, middle),
                (onward + wide / 2, below), arrow=True,
            )  # fmt: skip
    return drawing


def schedules() -> Drawing:
    """The order in which a layer of four positions works on three timesteps, under both schedules."""
    positions, timesteps = 4, 3
    drawing = Drawing(760, 270, "Position-major and time-major order of positions and timesteps")
    orders: tuple[tuple[str, str, Callable[[int, int], int]], ...] = (
        ("position-major", "all timesteps of a position, then the next", lambda p, t: p * timesteps + t),
        ("time-major", "all positions of a timestep, then the next", lambda p, t: t * positions + p),
    )
    for side, (name, words, order) in enumerate(orders):
        left = 60 + side * 370
        drawing.text(left, 28, name, size=16, bold=True)
        drawing.text(left, 48, words, size=12)
        for position in range(positions):
            drawing.text(left + 30 + position * 62, 76, f"pos. {position}", size=11, anchor="middle")
            for step in range(timesteps):
                x, y, number = left + 6 + position * 62, 86 + step * 44, order(position, step)
                share = number / (positions * timesteps - 1)
                drawing.box(x, y, 50, 34, f"hsl(174, 45%, {88 - 45 * share:.0f}%)")
                drawing.text(x + 25, y + 22, str(number + 1), anchor="middle", bold=True)
        for step in range(timesteps):
            drawing.text(left - 4, 108 + step * 44, f"t = {step + 1}", size=11, anchor="end")
        kept = "kept: the states of one position" if side == 0 else "kept: the states of all neurons"
        drawing.text(left, 244, kept, size=12, colour=VIOLET)
    return drawing


def bank_events(bursts: Sequence[int], banks: int) -> list[list[tuple[int, int]]]:
    """For every bank, the events (channel, plane) of a beat, in the order in which they are added: one per cycle."""

    def events(channel: int) -> list[tuple[int, int]]:
        return [(channel, plane) for plane in range(8) if bursts[channel] >> plane & 1]

    return [[one for channel in range(bank, len(bursts), banks) for one in events(channel)] for bank in range(banks)]


def scanner(design: Design) -> Drawing:
    """How two banks work on a beat of bursts: one set bit per bank and cycle."""
    sample = encode(design.references.samples[:1], design.network.input)[0, 0]
    middle = sample.shape[1] // 2
    bursts = [int(value) for value in sample[0, middle, 8:16]]
    banks = bank_events(bursts, 2)
    cycles = max(map(len, banks))
    drawing = Drawing(760, 320, "A beat of eight bursts, and the cycles in which two banks add its events")
    drawing.text(20, 28, "a beat of eight bursts (pixels of a reference image)", size=13, bold=True)
    for channel, burst in enumerate(bursts):
        x = 20 + channel * 62
        drawing.box(x, 40, 54, 34, "#b2dfdb" if channel % 2 == 0 else "#ffe0b2")
        drawing.text(x + 27, 62, str(burst), anchor="middle", bold=True)
        drawing.text(x + 27, 90, f"{burst:04b}", size=11, anchor="middle")
    for bank, events in enumerate(banks):
        y = 120 + bank * 76
        drawing.text(20, y + 14, f"bank {bank}", size=13, bold=True)
        for cycle in range(cycles):
            x = 90 + cycle * 94
            drawing.box(x, y, 88, 44, ("#b2dfdb", "#ffe0b2")[bank] if cycle < len(events) else "#ffffff")
            if cycle < len(events):
                channel, plane = events[cycle]
                drawing.text(x + 44, y + 20, f"sum += w[{channel}]", size=11, anchor="middle")
                drawing.text(x + 44, y + 36, f"<< {plane}", size=11, anchor="middle")
    for cycle in range(cycles):
        drawing.text(134 + cycle * 94, 262, f"cycle {cycle + 1}", size=11, anchor="middle")
    drawing.text(20, 296, "Every event is an addition in all P lanes at once. A pixel of 0 costs nothing.", size=12)
    return drawing


def pictures() -> dict[str, Drawing]:
    """All pictures, by file name."""
    design = make_design(checkpoint(NETWORK), BOARD)
    return {
        "neuron.svg": burst_neuron(),
        "folding.svg": folding(design),
        "events.svg": scanner(design),
        "data_path.svg": data_path(design),
        "schedules.svg": schedules(),
    }


def write(folder: Path) -> None:
    """Write all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawing in pictures().items():
        write_whole(folder / name, str(drawing))
