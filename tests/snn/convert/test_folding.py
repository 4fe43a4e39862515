"""Chains of linear operations: folded into one projection against torch's own operations, one after the other."""

import functools
import itertools
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from qblif.errors import UserError
from snn.convert.folding import Path
from snn.convert.graph import AdaptivePool, Affine, Convolution, Dense, Flatten, Node, Pool
from tests.snn.convert.graph_run import originally

SHAPE = (4, 9, 11)


def whole(*shape: int) -> torch.Tensor:
    """Numbers on a grid, so that all sums are exact."""
    return torch.randint(-8, 9, shape).double() / 8


def convolution(**options) -> Convolution:
    options = {"sources": (), "name": "conv", "weight": whole(6, 4, 3, 2), "bias": whole(6)} | options
    return Convolution(**options)


def affine(channels: int, *, shift: bool = True) -> Affine:
    return Affine(name="scale", sources=(), scale=whole(channels) + 2, shift=whole(channels) * shift)


def pool(kind: str, kernel=(2, 2), stride=(2, 2), padding=(0, 0)) -> Pool:
    return Pool(name=f"{kind} pool", sources=(), kind=kind, kernel=kernel, stride=stride, padding=padding)


def dense(inputs: int, outputs: int = 5) -> Dense:
    return Dense(name="dense", sources=(), weight=whole(outputs, inputs), bias=whole(outputs))


def folded(spikes: torch.Tensor, chain: list[Node]) -> torch.Tensor:
    """What the stages and the projection of a folded chain make of the same values."""
    path = Path.start("input", tuple(spikes.shape[1:]))
    for node in chain:
        path = path.through(node)
    values = spikes
    for stage in path.stages:
        values = originally(values, stage)
        if isinstance(stage, Pool) and stage.kind == "sum":
            assert stage.kernel is not None
            values = values / (stage.kernel[0] * stage.kernel[1])
    weights = path.projected().even() if not path.projected().dense else path.projected()
    if weights.dense:
        result = functional.linear(values, weights.weight, weights.bias)
    else:
        padding = (weights.padding[0], weights.padding[2])
        assert weights.padding == (padding[0], padding[0], padding[1], padding[1])
        result = functional.conv2d(
            values, weights.weight, weights.bias, weights.stride, padding, weights.dilation, weights.groups
        )
    result = result.flatten(1) if path.flat else result
    assert tuple(result.shape[1:]) == path.shape
    return result


CHAINS: dict[str, Callable[[], list[Node]]] = {
    "convolution": lambda: [convolution()],
    "stride, dilation, groups": lambda: [
        convolution(weight=whole(6, 2, 3, 2), groups=2, stride=(2, 1), dilation=(1, 3))
    ],
    "padding that differs from side to side": lambda: [convolution(padding=(0, 1, 2, 0), stride=(2, 2))],
    "the same, dilated": lambda: [convolution(padding=(1, 3, 0, 2), dilation=(2, 3), stride=(1, 2))],
    "no bias": lambda: [convolution(bias=None)],
    "normalised": lambda: [convolution(), affine(6), affine(6)],
    "averaged currents": lambda: [convolution(padding=(1, 1, 1, 1)), affine(6), pool("average")],
    "summed currents": lambda: [convolution(stride=(2, 2)), pool("sum", (2, 3), (1, 2)), affine(6)],
    "averaged currents, dilated and uneven": lambda: [
        convolution(padding=(0, 1, 0, 2), dilation=(2, 1)), pool("average", (3, 2), (2, 3))
    ],
    "two poolings of currents": lambda: [convolution(), pool("average"), pool("average")],
    "whole images of currents": lambda: [convolution(), Pool(name="p", sources=(), kind="average", kernel=None)],
    "features of currents": lambda: [convolution(), affine(6), Flatten(name="f", sources=())],
    "pooled spikes": lambda: [pool("max"), pool("average", (2, 2), (1, 1)), convolution()],
    "summed spikes": lambda: [pool("sum", (3, 3), (2, 2), (1, 1)), convolution()],
    "scaled spikes": lambda: [affine(4), convolution(weight=whole(6, 2, 3, 2), groups=2), affine(6)],
    "scaled, pooled, scaled spikes": lambda: [
        affine(4), pool("sum"), affine(4), pool("max"), convolution(weight=whole(6, 4, 2, 2))
    ],
    "scaled spikes in padding": lambda: [affine(4, shift=False), convolution(padding=(1, 1, 1, 1))],
    "features": lambda: [affine(4), Flatten(name="f", sources=()), dense(4 * 9 * 11), affine(5), dense(5, 3)],
    "adapted": lambda: [
        AdaptivePool(name="a", sources=(), kind="average", size=(3, 1)), convolution(weight=whole(6, 4, 3, 1))
    ],
    "nothing but a scale": lambda: [affine(4), pool("average")],
    "nothing at all": lambda: [],
    "features and a scale": lambda: [Flatten(name="f", sources=()), affine(396)],
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_a_folded_chain_is_the_chain(name):
    torch.manual_seed(len(name))
    chain = CHAINS[name]()
    spikes = torch.randint(0, 4, (3, *SHAPE)).double()
    expected = spikes
    for node in chain:
        expected = originally(expected, node)
    found = folded(spikes, chain)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-9


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), list(itertools.product([1, 2, 3], [1, 2, 3], range(3), [1, 2]))
)
def test_any_average_of_any_convolution(kernel, stride, padding, dilation):
    torch.manual_seed(kernel)
    chain: list[Node] = [
        convolution(
            weight=whole(2, 4, kernel, kernel),
            bias=whole(2),
            stride=(stride, 1),
            padding=(padding, 0, 1, padding),
            dilation=(dilation, 1),
        ),
        pool("average", (2, 3), (3, 1)),
    ]
    spikes = torch.randint(0, 4, (2, *SHAPE)).double()
    expected = originally(originally(spikes, chain[0]), chain[1])
    assert (folded(spikes, chain) - expected).abs().max() < 1e-9


REFUSED: dict[str, Callable[[], list[Node]]] = {
    "largest current": lambda: [convolution(), pool("max")],
    "pads currents": lambda: [convolution(), pool("average", padding=(1, 1))],
    "without neurons between": lambda: [convolution(), convolution(weight=whole(6, 6, 1, 1))],
    "put a Flatten": lambda: [dense(4)],
    "does not fold over": lambda: [affine(4), convolution(padding=(1, 1, 1, 1))],
    "channels, and 4 arrive": lambda: [affine(3)],
    "images of 3 channels": lambda: [convolution(weight=whole(6, 3, 1, 1))],
    "leaves nothing": lambda: [pool("sum", (10, 2))],
    "leaves nothing of": lambda: [convolution(weight=whole(6, 4, 10, 2))],
    "differ in size": lambda: [AdaptivePool(name="a", sources=(), kind="average", size=(2, 1))],
    "takes images": lambda: [Flatten(name="f", sources=()), pool("sum")],
    "0 or less": lambda: [Affine(name="s", sources=(), scale=-torch.ones(4), shift=torch.zeros(4)), pool("max")],
    "shifted; leave": lambda: [affine(4), pool("sum", (3, 3), (2, 2), (1, 1))],
    "in front of the Flatten": lambda: [convolution(), Flatten(name="f", sources=()), affine(6 * 7 * 10)],
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_has_no_hardware_is_one_line(words):
    torch.manual_seed(0)
    path = Path.start("input", SHAPE)
    with pytest.raises(UserError, match=words) as refused:
        functools.reduce(Path.through, REFUSED[words](), path)
    assert "\n" not in str(refused.value)
