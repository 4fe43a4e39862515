"""Folding floats into integers, weight by weight."""

import math

import numpy as np
import pytest
import torch

from gen.frontend.fold import checked_integers, fold_layer
from qblif.errors import UserError


def layer(
    weight, *, norm=None, shift, exponent, scale=0.7, source_scale=0.3, fraction_bits=6, weight_bits=4, skip=None
):
    """A population as a checkpoint describes it; ``norm``: gain, mean and variance of each channel."""
    gain, mean, variance = (None, None, None) if norm is None else map(torch.tensor, norm)
    numbers = {
        "weight": torch.tensor(weight),
        "gain": gain,
        "shift": torch.tensor(shift),
        "mean": mean,
        "variance": variance,
        "epsilon": 0.125,
        "source_scale": torch.tensor(source_scale),
    }
    result = {
        "kind": "population",
        "scale": torch.tensor(scale),
        "fraction_bits": fraction_bits,
        "exponent": torch.tensor(exponent),
        "projections": [{"weight_bits": weight_bits, "floats": numbers}],
    }
    return result if skip is None else result | {"skip": {"source_scale": torch.tensor(skip)}}


def test_halves_are_rounded_up():
    folded = fold_layer(
        layer([[0.25, -0.25, 0.75, -0.75]], shift=[-1.25], exponent=[0], scale=1.0, source_scale=1.0, fraction_bits=1),
        "hidden",
    )
    assert folded.weights[0].tolist() == [[1, 0, 2, -1]]
    assert folded.bias.tolist() == [-2]


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("normalised", [True, False])
def test_every_weight_and_bias_is_the_formula(bits, normalised):
    random = np.random.default_rng(bits)
    weight = random.normal(size=(3, 2, 2, 2)).round(3)
    norm = (random.normal(size=3).round(3), random.normal(size=3).round(3), random.uniform(0.01, 0.3, 3).round(3))
    shift, exponent = random.normal(size=3).round(3), [2, 0, 1]
    described = layer(
        weight.tolist(),
        norm=[values.tolist() for values in norm] if normalised else None,
        shift=shift.tolist(),
        exponent=exponent,
        weight_bits=bits,
        skip=0.45,
    )
    folded = fold_layer(described, "hidden")
    numbers = described["projections"][0]["floats"]
    scale, source_scale = described["scale"].item(), numbers["source_scale"].item()
    limit = 2 ** (bits - 1)
    for channel in range(3):
        factor, offset = 1.0, numbers["shift"][channel].item()
        if normalised:
            gain, mean, variance = (numbers[key][channel].item() for key in ("gain", "mean", "variance"))
            factor = gain / math.sqrt(variance + 0.125)
            offset -= factor * mean
        for place in np.ndindex(2, 2, 2):
            value = factor * numbers["weight"][channel][place].item() * source_scale / scale
            rounded = math.floor(value * 2 ** (6 - exponent[channel]) + 0.5)
            assert folded.weights[0][channel][place] == min(max(rounded, -limit), limit - 1)
        assert folded.bias[channel] == math.floor(offset / scale * 2**6 + 0.5)
    assert folded.skip == math.floor(described["skip"]["source_scale"].item() / scale * 2**6 + 0.5)


def shifted(values, by):
    """The last of some integers changed by so much."""
    return torch.tensor([*values[:-1], values[-1] + by])


@pytest.mark.parametrize("by", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("what", ["weights", "bias", "skip"])
def test_integers_are_at_most_one_beside_the_fold(what, by):
    differ = dict.fromkeys(("weights", "bias", "skip"), 0) | {what: by}
    stored = layer(
        [[0.5, -0.25]], shift=[1.25], exponent=[0], scale=1.0, source_scale=1.0, fraction_bits=2, skip=0.75
    )  # fmt: skip
    stored["projections"][0] |= {"kind": "dense", "weights": shifted([2, -1], differ["weights"]).reshape(1, 2)}
    stored["bias"] = shifted([5], differ["bias"])
    stored["skip"]["weight"] = 3 + differ["skip"]
    if abs(by) > 1:
        with pytest.raises(UserError, match="layer hidden: the checkpoint's integers are not what its floats fold to"):
            checked_integers(stored, "hidden", "qat")
        return
    taken = checked_integers(stored, "hidden", "qat")
    assert taken.weights[0].tolist() == [[2, -1 + differ["weights"]]]
    assert (taken.bias.tolist(), taken.skip) == ([5 + differ["bias"]], 3 + differ["skip"])


def test_biases_of_all_projections_add_up():
    one = layer([[0.5]], shift=[1.25], exponent=[0], scale=1.0, source_scale=1.0, fraction_bits=2)
    other = layer([[0.25]], shift=[-0.5], exponent=[0])
    one["projections"] += other["projections"]
    assert fold_layer(one, "hidden").bias.tolist() == [3]
