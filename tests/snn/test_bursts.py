"""The encoder against the coding that hardware, golden model and host share."""

import numpy as np
import pytest
import torch

from qblif.network.checks import NetworkError
from qblif.network.coding import encode
from qblif.network.nodes import InputSpec
from snn.bursts import Encoder


@pytest.mark.parametrize("bits", [1, 3, 4, 8])
@pytest.mark.parametrize(("coding", "shape"), [("direct", (16, 2, 4, 4)), ("events", (16, 3, 2, 4, 4))])
def test_every_byte_becomes_the_burst_that_the_hardware_takes(coding, shape, bits):
    spec = InputSpec(shape=(2, 4, 4), coding=coding, bits=bits)
    samples = np.resize(np.random.default_rng(bits).permutation(256), shape).astype(np.uint8)
    counts = Encoder(spec, 3)(torch.from_numpy(samples)).counts
    assert np.array_equal(counts.transpose(0, 1).numpy(), encode(samples, spec))


def test_bursts_are_worth_as_much_as_their_float_type_can_say():
    encoder = Encoder(InputSpec(shape=(1, 2, 2), coding="direct", bits=8), 3)
    pixels = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    assert encoder(pixels).scale.dtype == torch.float32
    assert encoder.double()(pixels).scale == 1 / 255


@pytest.mark.parametrize(
    ("coding", "samples"),
    [
        ("direct", torch.zeros(5, 1, 4, 5, dtype=torch.uint8)),
        ("direct", torch.zeros(5, 1, 4, 4)),
        ("events", torch.zeros(5, 1, 4, 4, dtype=torch.uint8)),
        ("events", torch.zeros(5, 2, 1, 4, 4, dtype=torch.uint8)),
    ],
)
def test_samples_of_another_kind_are_refused(coding, samples):
    with pytest.raises(NetworkError, match="input"):
        Encoder(InputSpec(shape=(1, 4, 4), coding=coding, bits=2), 3)(samples)
