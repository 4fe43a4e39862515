"""Skips hold as many rows as their neurons wait for: stated row by row, and run in hardware with poolings inside."""

import math

import numpy as np
import pytest

from hw.configure import SLACK_ROWS, configure
from hw.network import Conv2d, Dense, InputSpec, Leak, Network, Pooling, Population, Readout, Skip
from hw.skip_depth import furthest
from tests.hw.test_top import check
from tests.networks import plan_for


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
        last = (row + 1) * node.kernel - 1
        return rows_needed(network, source, node.source, last)
    return max(
        rows_needed(network, source, p.source, row_before(network, p, row)) for p in network.projections_into(name)
    )


def row_before(network: Network, projection: Conv2d | Dense | Skip, row: int) -> int:
    """The last source row that must be there before a row of a projection's windows is read."""
    height = network.shape(projection.source)[1]
    if isinstance(projection, Skip):
        return row
    if isinstance(projection, Dense):
        return height - 1
    windows = network.shape(projection.target)[1]
    stride, padding, kernel = projection.stride, projection.padding, projection.weights.shape[2]
    seen = min(row * stride - padding + kernel, height)
    # Rows that no later window needs leave the buffer with this one, so they have come before.
    left = height if row == windows - 1 else min(max((row + 1) * stride - padding, 0), height)
    return max(seen, left, 1 if row == 0 else 0) - 1


def around(height: int, width: int, kernel: int, kind: str = "sum", inner: tuple[int, int, int] = (3, 1, 1)) -> Network:
    """A skip around a convolution ``inner``, a pooling, and a convolution whose padding gives the rows back."""
    numbers = np.random.default_rng(height * 100 + width * 10 + kernel)
    channels = 2

    def population(name, shape):
        return Population(
            name=name,
            shape=shape,
            fraction_bits=4,
            burst_ceiling=3,
            leak=Leak(),
            reset="soft",
            bias=numbers.integers(-20, 30, channels),
            exponent=np.zeros(channels, dtype=np.int64),
        )

    def convolution(source, target, inputs, size, stride, padding):
        weights = numbers.integers(-8, 8, (channels, inputs, *size))
        return Conv2d(source=source, target=target, weights=weights, weight_bits=4, stride=stride, padding=padding)

    size, stride, padding = inner
    before = tuple((extent + 2 * padding - size) // stride + 1 for extent in (height, width))
    pooled = tuple(extent // kernel for extent in before)
    # A kernel as small as the padding allows: (pooled + 2 * padding - k) + 1 is the source's extent.
    back = max(math.ceil((extent - small) / 2) for extent, small in zip((height, width), pooled, strict=True))
    last = tuple(small + 2 * back - extent + 1 for extent, small in zip((height, width), pooled, strict=True))
    shape = (channels, height, width)
    classify = numbers.integers(-8, 8, (3, math.prod(shape)))
    return Network(
        timesteps=2,
        input=InputSpec(shape=(1, height, width), coding="direct", bits=2),
        nodes=(
            population("entry", shape),
            population("inner", (channels, *before)),
            Pooling(name="pooled", source="inner", kind=kind, kernel=kernel),
            population("outer", shape),
        ),
        projections=(
            convolution("input", "entry", 1, (3, 3), 1, 1),
            convolution("entry", "inner", channels, (size, size), stride, padding),
            convolution("pooled", "outer", channels, last, 1, back),
            Skip(source="entry", target="outer", weight=23),
            Dense(source="outer", target="readout", weights=classify, weight_bits=4),
        ),
        readout=Readout(fraction_bits=4, bias=numbers.integers(-8, 8, 3), exponent=np.zeros(3, dtype=np.int64)),
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


def test_of_several_paths_the_furthest_counts():
    path = furthest([lambda _: 2, lambda row: row + 1])
    assert [path(row) for row in range(4)] == [2, 2, 3, 4]


def test_a_pooling_inside_a_skip_never_stands_still():
    """Its first row waits for the whole of a window, more rows than the slack is."""
    kernel = SLACK_ROWS + 2
    network = around(8, 4, kernel, "sum", (1, 1, 0))
    check(network, plan_for(network), count=2, pauses=(0.0, 0.3))
