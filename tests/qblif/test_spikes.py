"""Spike trains against those of snntorch.spikegen, and against their definition."""

import numpy as np
import pytest
import torch

from qblif.errors import UserError
from qblif.spikes import delta, latency, rate

spikegen = pytest.importorskip("snntorch.spikegen")
EVERY = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)


def theirs(spikes: torch.Tensor) -> np.ndarray:
    """(T, count, ...) of snnTorch as (count, T, ...)."""
    return spikes.transpose(0, 1).numpy()


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize(("timesteps", "tau", "threshold"), [(20, 1.0, 0.01), (12, 5.0, 0.01), (40, 3.0, 0.2)])
def test_latency_is_that_of_snntorch(linear, normalize, clip, timesteps, tau, threshold):
    data = torch.from_numpy(EVERY).double() / 255
    expected = spikegen.latency(
        data, timesteps, threshold=threshold, tau=tau, linear=linear, normalize=normalize, clip=clip, bypass=True
    )
    options = {"tau": tau, "threshold": threshold, "linear": linear, "normalize": normalize, "clip": clip}
    assert (latency(EVERY, timesteps, **options) == theirs(expected)).all()


@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("off_spikes", [False, True])
def test_delta_is_that_of_snntorch(padding, off_spikes):
    recordings = np.random.default_rng(0).integers(0, 256, (3, 7, 2, 4, 5)).astype(np.uint8)
    data = torch.from_numpy(recordings).double().transpose(0, 1) / 255
    expected = theirs(spikegen.delta(data, threshold=0.3, padding=padding, off_spike=off_spikes))
    found = delta(recordings, threshold=0.3, padding=padding, off_spikes=off_spikes).astype(int)
    if off_spikes:
        found = found[:, :, :2] - found[:, :, 2:]
    assert (found == expected).all()
    assert 0.1 < (found != 0).mean() < 0.9


def test_rate_has_the_probability_of_snntorch():
    samples = np.repeat(EVERY, 40, axis=0)
    spikes = rate(samples, 50, seed=1, gain=1.5, offset=-0.1)
    probability = np.clip(EVERY[0] / 255 * 1.5 - 0.1, 0, 1)
    deviation = np.sqrt(probability * (1 - probability) / 2000)
    assert (np.abs(spikes.mean(axis=(0, 1)) - probability) <= 5 * deviation).all()
    assert set(np.unique(spikes)) == {0, 1}


def test_the_same_seed_gives_the_same_spikes_in_parts():
    samples = np.random.default_rng(2).integers(0, 256, (7, 1, 3, 4)).astype(np.uint8)
    whole = rate(samples, 9, seed=5)
    parts = [rate(samples[start : start + 3], 9, seed=5, first=start) for start in (0, 3, 6)]
    assert (np.concatenate(parts) == whole).all()
    assert (rate(samples, 9, seed=6) != whole).any()
    assert (rate(samples[:1], 9, seed=5, first=1) != whole[:1]).any()


@pytest.mark.parametrize(
    ("words", "call"),
    {
        "unsigned bytes": lambda: rate(EVERY / 255, 4, seed=0),
        "dimensions": lambda: latency(EVERY[0], 4),
        "timesteps": lambda: rate(EVERY, 0, seed=0),
        "threshold": lambda: latency(EVERY, 4, threshold=1.0),
        "tau": lambda: latency(EVERY, 4, tau=0.0),
        "threshold 0": lambda: delta(EVERY[np.newaxis], threshold=0.0),
    }.items(),
)
def test_other_samples_are_one_line(words, call):
    with pytest.raises(UserError, match=words):
        call()
