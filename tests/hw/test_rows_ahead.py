"""Skips hold as many rows as their neurons wait for: stated row by row, and run in hardware with poolings inside."""

import math
from typing import Literal

import numpy as np
import pytest

from hw.configure import configure
from hw.rows_ahead import furthest
from hw.stages.queues import SLACK_ROWS
from qblif.network.graph import Network
from qblif.network.nodes import InputSpec, Leak, Pooling, Population, Readout
from qblif.network.projections import Conv2d, Dense, Skip
from studies.plan_edits import plan_for
from tests.hw.test_top import check


def rows_needed(network: Network, source: str, name: str, row: int) -> int:
    """Rows of ``source`` that must have been sent before a row of ``name`` can be; 0 if it does not depend on it."""
    if row < 0:
        return 0
    if name == source:
        return row + 1
    node = network.node(name) if name != "readout" else network.readout
    if isinstance(node, InputSpec):
        return 0
    if isinstance(node, Pooling):
        last = pooled_before(network, node, row)
        return rows_needed(network, source, node.source, last)
    return max(
        rows_needed(network, source, p.source, row_before(network, p, row)) for p in network.projections_into(name)
    )


def pooled_before(network: Network, node: Pooling, row: int) -> int:
    """The last source row that must be there before a row of pooled windows can be sent."""
    axis, height = node.window.rows, network.shape(node.source)[1]
    if node.tiles:
        return (row + 1) * axis.kernel - 1
    seen = min(row * axis.stride - axis.padding + axis.kernel, height)
    windows = network.shape(node.name)[1]
    left = height if row == windows - 1 else min(max((row + 1) * axis.stride - axis.padding, 0), height)
    return max(seen, left, 1 if row == 0 else 0) - 1


def row_before(network: Network, projection: Conv2d | Dense | Skip, row: int) -> int:
    """The last source row that must be there before a row of a projection's windows is read."""
    height = network.shape(projection.source)[1]
    if isinstance(projection, Skip):
        return row
    if isinstance(projection, Dense):
        return height - 1
    windows = network.shape(projection.target)[1]
    axis = projection.window((0, 0)).rows
    stride, padding = axis.stride, axis.padding
    seen = min(row * stride - padding + (axis.kernel - 1) * axis.dilation + 1, height)
    # Rows that no later window needs leave the buffer with this one, so they have come before.
    left = height if row == windows - 1 else min(max((row + 1) * stride - padding, 0), height)
    return max(seen, left, 1 if row == 0 else 0) - 1


CHANNELS = 2


def population(numbers: np.random.Generator, name: str, extent: tuple[int, int]) -> Population:
    """Neurons with random biases."""
    return Population(
        name=name,
        shape=(CHANNELS, *extent),
        fraction_bits=4,
        burst_ceiling=3,
        leak=Leak(),
        reset="soft",
        bias=numbers.integers(-20, 30, CHANNELS),
        exponent=np.zeros(CHANNELS, dtype=np.int64),
    )


def readout(numbers: np.random.Generator) -> Readout:
    """Three classes with random biases."""
    return Readout(fraction_bits=4, bias=numbers.integers(-8, 8, 3), exponent=np.zeros(3, dtype=np.int64))


def convolution(
    numbers: np.random.Generator,
    source: str,
    target: str,
    size: tuple[int, int],
    *,
    inputs: int = CHANNELS,
    stride: int = 1,
    padding: int = 0,
) -> Conv2d:
    """A convolution with random weights."""
    weights = numbers.integers(-8, 8, (CHANNELS, inputs, *size))
    return Conv2d(source=source, target=target, weights=weights, weight_bits=4, stride=stride, padding=padding)


def widening(
    numbers: np.random.Generator, source: str, target: str, small: tuple[int, int], large: tuple[int, int]
) -> Conv2d:
    """A convolution whose padding makes ``small`` planes ``large``, with a kernel as small as the padding allows."""
    # (small + 2 * padding - size) + 1 is the large extent.
    padding = max(math.ceil((wide - narrow) / 2) for wide, narrow in zip(large, small, strict=True))
    size = tuple(narrow + 2 * padding - wide + 1 for wide, narrow in zip(large, small, strict=True))
    return convolution(numbers, source, target, (size[0], size[1]), padding=padding)


def around(
    height: int,
    width: int,
    kernel: int,
    kind: Literal["sum", "max"] = "sum",
    inner: tuple[int, int, int] = (3, 1, 1),
) -> Network:
    """A skip around a convolution ``inner``, a pooling, and a convolution whose padding gives the rows back."""
    numbers = np.random.default_rng(height * 100 + width * 10 + kernel)
    size, stride, padding = inner
    rows, columns = ((extent + 2 * padding - size) // stride + 1 for extent in (height, width))
    classify = numbers.integers(-8, 8, (3, CHANNELS * height * width))
    return Network(
        timesteps=2,
        input=InputSpec(shape=(1, height, width), coding="direct", bits=2),
        nodes=(
            population(numbers, "entry", (height, width)),
            population(numbers, "inner", (rows, columns)),
            Pooling(name="pooled", source="inner", kind=kind, kernel=kernel),
            population(numbers, "outer", (height, width)),
        ),
        projections=(
            convolution(numbers, "input", "entry", (3, 3), inputs=1, padding=1),
            convolution(numbers, "entry", "inner", (size, size), stride=stride, padding=padding),
            widening(numbers, "pooled", "outer", (rows // kernel, columns // kernel), (height, width)),
            Skip(source="entry", target="outer", weight=23),
            Dense(source="outer", target="readout", weights=classify, weight_bits=4),
        ),
        readout=readout(numbers),
    )


def nested(extent: tuple[int, int], inner: int, outer: int) -> Network:
    """A skip around another one, and a pooling inside each; it drops the rows that do not fill its kernel."""
    numbers = np.random.default_rng(1)

    def pooled(kernel: int) -> tuple[int, int]:
        return extent[0] // kernel, extent[1] // kernel

    return Network(
        timesteps=1,
        input=InputSpec(shape=(1, *extent), coding="direct", bits=2),
        nodes=(
            population(numbers, "entry", extent),
            Pooling(name="inner_pooled", source="entry", kind="sum", kernel=inner),
            population(numbers, "middle", extent),
            Pooling(name="outer_pooled", source="middle", kind="max", kernel=outer),
            population(numbers, "last", extent),
        ),
        projections=(
            convolution(numbers, "input", "entry", (1, 1), inputs=1),
            widening(numbers, "inner_pooled", "middle", pooled(inner), extent),
            Skip(source="entry", target="middle", weight=23),
            widening(numbers, "outer_pooled", "last", pooled(outer), extent),
            Skip(source="entry", target="last", weight=-19),
            Dense(
                source="last",
                target="readout",
                weights=numbers.integers(-8, 8, (3, CHANNELS * math.prod(extent))),
                weight_bits=4,
            ),
        ),
        readout=readout(numbers),
    )


@pytest.mark.parametrize(
    ("height", "width", "kernel", "kind", "inner"),
    [
        (6, 4, 2, "sum", (3, 1, 1)),
        (7, 3, 3, "max", (1, 1, 0)),
        (5, 3, 3, "sum", (1, 1, 0)),
        (9, 5, 2, "max", (3, 2, 2)),
        (4, 4, 2, "sum", (2, 1, 1)),
    ],
)
def test_a_skip_holds_the_rows_that_its_neurons_wait_for(height, width, kernel, kind, inner):
    network = around(height, width, kernel, kind, inner)
    check_depth(network, "outer", "entry")


def check_depth(network: Network, target: str, source: str) -> None:
    """The one skip into ``target`` holds what ``target``'s own projection waits for, and the slack."""
    config = configure(network, plan_for(network))
    skip = next(population.skips[0] for name, population, _ in config.populations if name == target)
    main = next(p for p in network.projections_into(target) if not isinstance(p, Skip))
    rows = range(network.shape(target)[1])
    waiting = [rows_needed(network, source, main.source, row_before(network, main, row)) - row for row in rows]
    assert skip.source == source
    assert skip.depth == (max(waiting) + SLACK_ROWS) * skip.stream.width * skip.stream.beats_per_position


@pytest.mark.parametrize(("extent", "inner", "outer"), [((5, 5), 3, 4), ((7, 7), 4, 7), ((6, 7), 2, 5)])
def test_a_skip_around_another_waits_for_what_the_inner_one_brings(extent, inner, outer):
    """The inner pooling drops rows that its path never waits for; the inner skip brings them all the same."""
    check_depth(nested(extent, inner, outer), "last", "entry")


@pytest.mark.slow
def test_a_skip_around_another_never_stands_still():
    """Without the inner skip's path the outer one would be a row too short, beyond its slack."""
    network = nested((7, 7), 4, 7)
    check(network, plan_for(network), count=2, pauses=(0.0, 0.0))


def test_of_several_paths_the_furthest_counts():
    path = furthest([lambda _: 2, lambda row: row + 1])
    assert [path(row) for row in range(4)] == [2, 2, 3, 4]


def test_a_pooling_inside_a_skip_never_stands_still():
    """Its first row waits for the whole of a window, more rows than the slack is."""
    kernel = SLACK_ROWS + 2
    network = around(8, 4, kernel, "sum", (1, 1, 0))
    check(network, plan_for(network), count=2, pauses=(0.0, 0.3))
