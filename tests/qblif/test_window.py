"""Windows against a plain walk over places and positions."""

import itertools

import numpy as np
import pytest

from qblif.network.checks import NetworkError
from qblif.network.nodes import Pooling
from qblif.network.projections import Conv2d
from qblif.network.window import Axis, make_window


def places(axis: Axis, extent: int) -> list[list[int]]:
    """The positions that each window sees, those in the padding included, by trying one window after the other."""
    found: list[list[int]] = []
    for start in itertools.count(-axis.padding, axis.stride):
        seen = [start + place * axis.dilation for place in range(axis.kernel)]
        if seen[-1] >= extent + axis.padding:
            return found
        found.append(seen)
    raise AssertionError


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("extent", [1, 5, 8])
def test_an_axis_by_hand(kernel, stride, padding, dilation, extent):
    axis = Axis(kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    walked = places(axis, extent)
    assert max(0, axis.windows(extent)) == len(walked)
    if walked:
        assert [axis.start(window) for window in range(len(walked))] == [seen[0] for seen in walked]
        assert axis.span == walked[0][-1] - walked[0][0] + 1
        counts = [sum(seen.count(position) for seen in walked) for position in range(extent)]
        assert axis.looks(extent).tolist() == counts
        padded = np.arange(-padding, extent + padding)
        for place in range(kernel):
            assert padded[axis.seen(place, len(walked))].tolist() == [seen[place] for seen in walked]


def test_views_of_both_axes():
    window = make_window((2, 3), (1, 2), (1, 0), (2, 1), name="window")
    values = np.arange(1, 2 * 4 * 5 * 2 + 1).reshape(2, 4, 5, 2)
    rows, columns = places(window.rows, 4), places(window.columns, 5)
    views = list(window.views(values))
    assert len(views) == window.area == 6
    for view, (row, column) in zip(views, np.ndindex(2, 3), strict=True):
        assert view.shape == (2, *window.windows(4, 5), 2) == (2, len(rows), len(columns), 2)
        for y, x in np.ndindex(len(rows), len(columns)):
            at, beside = rows[y][row], columns[x][column]
            assert (view[:, y, x] == (values[:, at, beside] if 0 <= at < 4 else 0)).all()


def test_groups_are_zeros_between_channels():
    weights = np.arange(1, 6 * 2 * 1 * 2 + 1).reshape(6, 2, 1, 2)
    full = Conv2d(source="a", target="b", weights=weights, weight_bits=8, groups=3).full_weights
    assert full.shape == (6, 6, 1, 2)
    for output, inputs in np.ndindex(6, 6):
        own = inputs // 2 == output // 2
        assert (full[output, inputs] == (weights[output, inputs % 2] if own else 0)).all()


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 4}, {"groups": 0}, {"groups": True}, {"dilation": 0}, {"dilation": (1, 2, 3)}, {"stride": (1, 0)},
        {"padding": (0, -1)}, {"padding": 256}, {"padding": "same"}, {"stride": (1, True)}, {"dilation": 2.0},
    ],
)  # fmt: skip
def test_convolutions_that_are_none(options):
    with pytest.raises(NetworkError):
        Conv2d(source="a", target="b", weights=np.ones((6, 2, 3, 3), dtype=np.int64), weight_bits=2, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 1}, {"kernel": 0}, {"kernel": (2, 2, 2)}, {"kernel": 3, "padding": 2}, {"kernel": 2, "stride": 0},
        {"kernel": (4, 1), "padding": 1}, {"kernel": 2.0}, {"kernel": True, "stride": 2},
    ],
)  # fmt: skip
def test_poolings_that_are_none(options):
    with pytest.raises(NetworkError):
        Pooling(name="pool", source="a", kind="max", **options)


def test_zeros_between_groups_are_bounded():
    weights = np.ones((2**14, 1, 1, 1), dtype=np.int64)
    with pytest.raises(NetworkError, match="zeros between groups"):
        Conv2d(source="a", target="b", weights=weights, weight_bits=2, groups=2**14)


def test_a_pooling_whose_stride_is_its_kernel_tiles():
    assert Pooling(name="pool", source="a", kind="max", kernel=(2, 3), stride=(2, 3)).tiles
    assert Pooling(name="pool", source="a", kind="max", kernel=(2, 2)) == Pooling(
        name="pool", source="a", kind="max", kernel=2, stride=2
    )
    for options in ({"stride": 1}, {"stride": 3}, {"padding": 1}):
        assert not Pooling(name="pool", source="a", kind="max", kernel=2, **options).tiles
