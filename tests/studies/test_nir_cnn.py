"""Spiking CNNs in NIR as integer networks, against a float simulation of the graph's own nodes."""

from itertools import pairwise

import numpy as np
import pytest

from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.file import load_network
from studies.nir_cnn import Spiking, float_counts, integer_network, main, quantized, read_chain
from tests.snn.datasets import event_files

nir = pytest.importorskip("nir")

TIMESTEPS = 12
SHAPE = (2, 8, 7)


def some_weights(random, *shape):
    """Multiples of 1/32 that 8 bits hold."""
    return (random.integers(-30, 50, shape) / 32).astype(np.float32)


def neurons(*shape, threshold=1.0, r=1.0):
    return nir.IF(r=np.full(shape, r), v_threshold=np.full(shape, threshold))


def some_nodes(shape=SHAPE, stride=(2, 1)):
    """Two convolutions with a pooling, and two dense layers; weights and biases on grids."""
    random = np.random.default_rng(5)
    rows, columns = (shape[1] - 1) // stride[0] + 1, (shape[2] - 1) // stride[1] + 1
    pooled = (3, rows // 2, columns // 2)
    fan_in = int(np.prod((4, *pooled[1:])))
    zeros, biases = np.zeros(3), np.array([0, 0.25, -0.125, 0.0625])
    thresholds = np.array([0.5, 1, 2])[:, None, None] + np.zeros((3, rows, columns))
    return {
        "input": nir.Input(input_type={"input": np.array(shape)}),
        "0": nir.Conv2d(shape[1:], some_weights(random, 3, 2, 3, 3), stride, 1, 1, 1, zeros),
        "1": nir.IF(r=np.ones((3, rows, columns)), v_threshold=thresholds),
        "2": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "3": nir.Conv2d(pooled[1:], some_weights(random, 4, 3, 3, 3), 1, 1, 1, 1, biases),
        "4": neurons(4, *pooled[1:], threshold=2.0),
        "5": nir.Flatten({"input": np.array([4, *pooled[1:]])}, start_dim=0, end_dim=-1),
        "6": nir.Affine(weight=some_weights(random, 5, fan_in), bias=np.zeros(5)),
        "7": neurons(5, threshold=4.0, r=2.0),
        "8": nir.Linear(weight=some_weights(random, 3, 5)),
        "9": neurons(3),
        "output": nir.Output(output_type={"output": np.array([3])}),
    }


def graph_of(nodes, *, edges=None):
    names = list(nodes)
    edges = list(pairwise(names)) if edges is None else edges
    return nir.NIRGraph(nodes=nodes, edges=edges[::-1], type_check=False)


def some_events(count, shape=SHAPE, timesteps=TIMESTEPS):
    random = np.random.default_rng(6)
    return random.poisson(0.4, (count, timesteps, *shape)).astype(np.uint8)


def layer_of(nodes, place):
    """A layer of the graph, in integers, and as it was read."""
    layer = read_chain(graph_of(nodes)).parts[place]
    assert isinstance(layer, Spiking)
    return quantized(layer), layer


def convolved(node, image):
    padded = np.pad(image, [(0, 0), *[(one, one) for one in node.padding]])
    outputs, _, height, width = node.weight.shape
    rows = (padded.shape[1] - height) // node.stride[0] + 1
    columns = (padded.shape[2] - width) // node.stride[1] + 1
    result = np.zeros((outputs, rows, columns))
    for c, y, x in np.ndindex(result.shape):
        top, left = y * node.stride[0], x * node.stride[1]
        window = padded[:, top : top + height, left : left + width]
        result[c, y, x] = (node.weight[c].astype(float) * window).sum() + node.bias[c]
    return result


def simulated(nodes, frames, reset, ceiling):
    """Spikes of every IF node and timestep, (T, ...); one timestep and one node after another."""
    membranes: dict[str, np.ndarray] = {}
    spikes: dict[str, list] = {name: [] for name, node in nodes.items() if isinstance(node, nir.IF)}
    for frame in frames:
        values = np.minimum(frame, 3).astype(float)
        for name, node in nodes.items():
            if isinstance(node, nir.Conv2d):
                values = convolved(node, values)
            elif isinstance(node, nir.Affine):
                values = node.weight.astype(float) @ values + node.bias
            elif isinstance(node, nir.Linear):
                values = node.weight.astype(float) @ values
            elif isinstance(node, nir.SumPool2d):
                channels, rows, columns = values.shape[0], values.shape[1] // 2, values.shape[2] // 2
                tiles = values[:, : 2 * rows, : 2 * columns].reshape(channels, rows, 2, columns, 2)
                values = tiles.sum(axis=(2, 4))
            elif isinstance(node, nir.Flatten):
                values = values.reshape(-1)
            elif isinstance(node, nir.IF):
                membrane = membranes.get(name, 0) + node.r * values
                values = np.clip(np.floor(membrane / node.v_threshold), 0, ceiling)
                rest = membrane - values * node.v_threshold
                membranes[name] = rest if reset == "soft" else np.where(values > 0, 0, membrane)
                spikes[name].append(values)
    return {name: np.array(steps) for name, steps in spikes.items()}


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("ceiling", [1, 7])
def test_every_spike_is_that_of_the_float_simulation(reset, ceiling):
    nodes, events = some_nodes(), some_events(3)
    chain = read_chain(graph_of(nodes))
    network = integer_network(chain, reset, ceiling, TIMESTEPS)
    run = golden.run(network, encode(events, network.input))
    expected = [simulated(nodes, frames, reset, ceiling) for frames in events]
    names = [population.name for population in network.populations]
    for name, node in zip(names, expected[0], strict=True):
        spikes = np.stack([one[node] for one in expected])
        assert spikes.any()
        np.testing.assert_array_equal(run.bursts[name].numpy().reshape(spikes.shape), spikes, err_msg=name)
    totals = np.stack([one["9"].sum(axis=0) for one in expected])
    np.testing.assert_array_equal(run.logits.numpy(), totals)
    np.testing.assert_array_equal(float_counts(chain, encode(events, network.input), reset, ceiling), totals)


def test_a_channel_fills_its_bits_and_no_bit_lies_below_the_finest_grid():
    nodes = some_nodes()
    nodes["3"].weight[:] = np.random.default_rng(7).normal(size=nodes["3"].weight.shape)
    nodes["3"].weight[0] /= 8
    found, layer = layer_of(nodes, 2)
    assert found.exponent.min() == 0
    grid = 2.0 ** (found.exponent - found.fraction_bits)
    largest = np.abs(found.weights).reshape(4, -1).max(axis=1)
    assert ((largest >= 63) & (largest <= 127)).all()
    errors = np.abs(found.weights * grid[:, None, None, None] - layer.weights).reshape(4, -1).max(axis=1)
    assert (errors <= grid / 2).all()


def test_a_bias_off_the_grid_gets_guard_bits():
    nodes = some_nodes()
    before = layer_of(nodes, 2)[0]
    nodes["3"].bias[1] = 0.3
    after = layer_of(nodes, 2)[0]
    assert after.fraction_bits == before.fraction_bits + 12
    assert (after.exponent == before.exponent + 12).all()
    assert after.bias[1] == round(0.3 / 2 * 2**after.fraction_bits)


def test_a_channel_of_zeros_is_a_channel_of_zeros():
    nodes = some_nodes()
    nodes["8"].weight[1] = 0
    assert not layer_of(nodes, -1)[0].weights[1].any()
    nodes["8"].weight[:] = 0
    assert not layer_of(nodes, -1)[0].weights.any()


def replaced(name, node):
    def change(nodes):
        nodes[name] = node

    return change


def changed(name, attribute, value):
    def change(nodes):
        setattr(nodes[name], attribute, value)

    return change


def one_neuron(parameter, value):
    def change(nodes):
        getattr(nodes["4"], parameter)[0, 0, 0] = value

    return change


def moved(name, place):
    def change(nodes):
        order = [other for other in nodes if other != name]
        order.insert(place, name)
        for other in order:
            nodes[other] = nodes.pop(other)

    return change


LEAKY = {name: np.ones((4, 2, 3)) for name in ("tau", "r", "v_leak", "v_threshold")}
REFUSED = {
    "a leak": (replaced("4", nir.LIF(**LEAKY)), "node '4': 'LIF' is not expected here"),
    "another pooling": (replaced("2", nir.AvgPool2d(2, 2, 0)), "node '2': 'AvgPool2d' is not supported here"),
    "a delay": (replaced("2", nir.Delay(np.ones(3))), "node '2': 'Delay' is not supported here"),
    "weights after weights": (moved("3", 2), "node '3': 'Conv2d' is not expected here; weights and IF nodes come in"),
    "neurons after neurons": (moved("4", 3), "node '4': 'IF' is not expected here"),
    "a reset to another value": (changed("4", "v_reset", np.ones((4, 2, 3))), "v_reset is not 0"),
    "a threshold of 0": (changed("4", "v_threshold", np.zeros((4, 2, 3))), "a threshold is not above 0"),
    "thresholds in a channel": (one_neuron("v_threshold", 3), "node '4': v_threshold differs between the neurons"),
    "r in a channel": (one_neuron("r", 3), "node '4': r differs between the neurons of a channel"),
    "neurons of other channels": (replaced("4", neurons(5, 2, 3)), "r has shape .5, 2, 3., but the weights have 4"),
    "a bias of other channels": (changed("3", "bias", np.zeros(3)), "a bias of shape .3,. is not one of 4 channels"),
    "padding by a word": (changed("3", "padding", "same"), "'same' instead of numbers"),
    "not a number": (changed("6", "weight", np.full((5, 24), np.nan)), "node '7'.* not a finite number"),
    "a part of Flatten": (changed("5", "start_dim", 1), "node '5': 'Flatten' is not supported here"),
    "dense weights before Flatten": (moved("5", 9), "node '6': Affine is on the wrong side of Flatten"),
    "no last neurons": (lambda nodes: nodes.pop("9"), "does not end with Flatten, Affine or Linear, and IF"),
    "no output": (lambda nodes: nodes.pop("output"), "not one chain of nodes from an Input to an Output"),
    "weights that do not fit": (
        changed("6", "weight", np.ones((5, 23))),
        "layer3 -> layer4: weights .5, 23., source .4, 2, 3.",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(change, message):
    nodes = some_nodes()
    change(nodes)
    with pytest.raises(UserError, match=message) as refused:
        integer_network(read_chain(graph_of(nodes)), "soft", 1)
    assert "\n" not in str(refused.value)


def test_branches_and_loops_are_refused():
    nodes = some_nodes()
    names = list(nodes)
    straight = list(pairwise(names))
    apart = [edge for edge in straight if edge[0] != "3"]
    for edges in ([*straight, ("4", "3")], [*straight, ("1", "3")], apart, [*apart, ("4", "3")]):
        with pytest.raises(UserError, match="not one chain"):
            read_chain(graph_of(nodes, edges=edges))


@pytest.fixture
def nmnist(tmp_path):
    """A data set of three short recordings."""
    for label in range(3):
        folder = tmp_path / "Test" / str(label)
        folder.mkdir(parents=True)
        recording = event_files.some_events(34, label)
        (folder / "00001.bin").write_bytes(event_files.nmnist(recording))
    return tmp_path


def test_the_command_writes_a_network_with_references(nmnist, tmp_path, capsys):
    graph = graph_of(some_nodes((2, 34, 34), (8, 8)))
    nir.write(tmp_path / "cnn.nir", graph)
    out = tmp_path / "network.qblif"
    options = ["--nir", tmp_path / "cnn.nir", "--data-dir", nmnist, "--out", out, "--count", 2, "--reset", "hard"]
    assert main([str(option) for option in options]) == 0
    printed = capsys.readouterr().out
    shares = [line.split(": ")[1] for line in printed.splitlines() if line.startswith(("float:", "integer:"))]
    assert len(shares) == 2
    assert shares[0] == shares[1]
    network, references = load_network(out)
    assert [population.reset for population in network.populations] == ["hard"] * 4
    assert references.samples.shape == (2, 100, 2, 34, 34)
    np.testing.assert_array_equal(golden.replay(network, references), references.logits)


def test_the_command_refuses(fails, nmnist, tmp_path):
    (tmp_path / "broken.nir").write_bytes(b"no HDF5")
    rest = ("--data-dir", nmnist, "--out", tmp_path / "network.qblif")
    assert "is not a NIR file" in fails(main, "--nir", tmp_path / "broken.nir", *rest)
    assert "cannot read NIR file" in fails(main, "--nir", tmp_path / "missing.nir", *rest)
    assert "is less than 1" in fails(main, "--nir", tmp_path / "broken.nir", *rest, "--count", 0)
    nir.write(tmp_path / "small.nir", graph_of(some_nodes()))
    assert "has an input of shape (2, 8, 7)" in fails(main, "--nir", tmp_path / "small.nir", *rest)
