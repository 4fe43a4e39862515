"""What a report says of the network, against the arrays themselves."""

import numpy as np

from gen.facts.network import burst_counts, histogram, network_graph, weight_counts
from qblif.network.projections import Skip
from qblif.network.references import ReferenceVectors
from tests.networks import random_convolutions, random_shortcuts, recurrent_stream


def test_every_node_and_edge_is_in_the_graph():
    for network in (random_convolutions(1), random_shortcuts(2), recurrent_stream()):
        graph = network_graph(network)
        names = [node["name"] for node in graph["nodes"]]
        assert names == ["input", *(node.name for node in network.nodes), "readout"]
        assert graph["nodes"][-1]["shape"] == [len(network.readout.bias), 1, 1]
        assert {(edge["source"], edge["target"]) for edge in graph["edges"]} >= {
            (one.source, one.target) for one in network.projections
        }
        loops = [(edge["source"], edge["target"]) for edge in graph["edges"] if edge["recurrent"]]
        assert loops == [(one.source, one.target) for one in network.projections if one.recurrent]
        skips = [edge for edge in graph["edges"] if edge["kind"] == "skip"]
        assert len(skips) == sum(isinstance(one, Skip) for one in network.projections)
        # Every node but the input is led into.
        assert {edge["target"] for edge in graph["edges"]} == set(names[1:])


def test_weights_are_counted_one_by_one():
    network = random_convolutions(3)
    rows = {(row["source"], row["target"]): row for row in weight_counts(network)}
    weighted = [one for one in network.projections if not isinstance(one, Skip)]
    assert len(rows) == len(weighted)
    for projection in weighted:
        row = rows[projection.source, projection.target]
        for index, count in enumerate(row["counts"]):
            low = row["lowest"] + index * row["step"]
            inside = (projection.weights >= low) & (projection.weights < low + row["step"])
            assert count == np.count_nonzero(inside)
        assert sum(row["counts"]) == projection.weights.size
        assert row["zeros"] == np.count_nonzero(projection.weights == 0)


def test_values_share_bars_only_if_there_are_many():
    few = histogram(np.array([-8, 7, 7]), -8, 16)
    assert few == {"lowest": -8, "step": 1, "counts": [1, *[0] * 14, 2]}
    many = histogram(np.array([-128, 127, 126, 0]), -128, 256)
    assert (many["step"], many["counts"][0], many["counts"][32], many["counts"][-1]) == (4, 1, 1, 2)


def test_bursts_without_references_are_not_invented():
    network = random_convolutions(1)
    samples, logits = np.zeros((0, *network.input.shape), np.uint8), np.zeros((0, len(network.readout.bias)), np.int64)
    empty = ReferenceVectors(samples=samples, logits=logits, labels=np.zeros(0, np.int64))
    rows = burst_counts(network, empty, {"input": [3.0, 6.0]})
    assert [row["node"] for row in rows] == ["input", *(node.name for node in network.nodes)]
    assert not any(sum(row["counts"]) for row in rows)
    neurons = np.prod(network.input.shape)
    assert np.allclose(rows[0]["planes"], [3.0 / neurons, 6.0 / neurons], atol=1e-4)
    assert rows[1]["planes"] == []
