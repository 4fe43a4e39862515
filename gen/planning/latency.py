"""The expected latency of a design: the exact cycle model, for one inference with bursts of the expected activity."""

import numpy as np

from gen.planning.activity import KnownActivity
from gen.planning.cycles import predict
from hw.configuration import TopConfig


def expected_latency(config: TopConfig, expectation: KnownActivity) -> int:
    """Cycles from the first beat of an inference to its class, if it comes alone."""
    network, random = expectation.network, np.random.default_rng(1)
    bursts = {}
    for node in (network.input.name, *(node.name for node in network.nodes)):
        ceiling, shape = network.burst_ceiling(node), network.shape(node)
        steps = network.steps(node)
        density = expectation.densities(node)
        share = np.resize(np.array(density) / ceiling.bit_length(), steps).clip(0, 1)
        planes = [random.random((1, steps, *shape)) < share[:, None, None, None] for _ in range(ceiling.bit_length())]
        drawn = sum(plane.astype(np.int64) << bit for bit, plane in enumerate(planes))
        bursts[node] = np.minimum(drawn, ceiling)
    return int(predict(config, bursts).finished[0])
