"""The shipped networks do what is said of them, on all test images."""

import json

import numpy as np
import pytest
import torch

from gen.checkpoint import load_checkpoint
from gen.fold import fold
from hw.network import encode
from sim import golden
from snn.checkpoint import load_model
from snn.data import load

LEAST = {"digits": 0.95, "fashion_mnist": 0.885}


@pytest.mark.parametrize("data", list(LEAST))
def test_trained_model_and_golden_print_the_same_logits_on_every_test_image(data, request):
    path = request.getfixturevalue(f"{data.split('_')[0]}_checkpoint")
    network, model, images = fold(load_checkpoint(path)), load_model(path), load(data, "test")
    grid = 2.0**network.readout.fraction_bits
    right = 0
    for start in range(0, len(images.labels), 1000):
        pixels = images.pixels[start : start + 1000]
        result = golden.run(network, encode(pixels, network.input))
        with torch.no_grad():
            logits = model(torch.from_numpy(pixels.copy())).double() * grid
        assert (logits == result.logits).all()
        right += int((result.classes.numpy() == images.labels[start : start + 1000]).sum())
    accuracy = right / len(images.labels)
    assert accuracy >= LEAST[data]
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["test_accuracy"] == pytest.approx(accuracy)
    assert record["test_images"] == len(images.labels)


def test_fashion_mnist_is_the_network_that_was_asked_for(fashion_checkpoint):
    network = fold(load_checkpoint(fashion_checkpoint))
    assert [p.weights.shape for p in network.projections] == [(128, 784), (10, 128)]
    assert [p.weight_bits for p in network.projections] == [4, 4]
    assert (network.timesteps, network.nodes[0].burst_ceiling, network.input.bits) == (4, 3, 4)
    assert np.abs(network.projections[0].weights).max() == 8
