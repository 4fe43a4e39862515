"""A small network for N-MNIST in a NIR file, its neurons written out one by one, and its recordings."""

from itertools import pairwise

import numpy as np
import pytest

from qblif import golden
from qblif.errors import UserError
from qblif.network.coding import encode
from qblif.network.file import load_network
from studies import nir_cnn
from tests.snn.datasets.event_files import nmnist, write

nir = pytest.importorskip("nir")
COUNT = 3


def fire(shape, **changed):
    values = {"r": 2.0, "v_threshold": 0.5, "v_reset": 0.0} | changed
    return nir.IF(**{name: np.full(shape, value, dtype=np.float32) for name, value in values.items()})


def grid(random, *shape):
    """Weights that 8 bits hold exactly."""
    return (random.integers(-20, 30, shape) / 64).astype(np.float32)


def small_nodes(random):
    return {
        "input": nir.Input(np.array([2, 34, 34])),
        "0": nir.Conv2d((34, 34), grid(random, 3, 2, 4, 4), 4, 1, 1, 1, grid(random, 3)),
        "1": fire((3, 9, 9)),
        "2": nir.SumPool2d(np.array([3, 3]), np.array([3, 3]), np.array([0, 0])),
        "3": nir.Flatten({"input": np.array([3, 3, 3])}, 0, -1),
        "4": nir.Affine(grid(random, 10, 27), grid(random, 10)),
        "5": fire((10,)),
        "output": nir.Output(np.array([10])),
    }


def graph_file(path, nodes, edges=None):
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)) if edges is None else edges)
    nir.write(path, graph)
    return path


@pytest.fixture
def small(tmp_path):
    return graph_file(tmp_path / "small.nir", small_nodes(np.random.default_rng(1)))


@pytest.fixture
def recordings(tmp_path):
    """Recordings of COUNT digits of 0.31 s; events after 0.3 s do not count."""
    random = np.random.default_rng(2)
    for label in range(COUNT):
        times = np.sort(random.integers(0, 310_000, 3000))
        events = np.stack([*random.integers(0, 34, (2, 3000)), times, random.integers(0, 2, 3000)], axis=1)
        write(tmp_path / "Test" / str(label) / f"{label:05d}.bin", nmnist(events))
    return tmp_path


def neuron_by_neuron(nodes, frames, reset):
    """Spike counts of the last neurons, from the equations of NIR: dV/dt = r * I, reset at the threshold."""
    convolution, dense = nodes["0"], nodes["4"]
    hidden, last, counts = np.zeros((3, 9, 9)), np.zeros(10), np.zeros(10, dtype=np.int64)

    def fired(membrane, node):
        membrane_now = membrane >= node.v_threshold
        membrane -= node.v_threshold * membrane_now if reset == "soft" else membrane * membrane_now
        return membrane_now

    for frame in frames:
        padded = np.pad(frame, ((0, 0), (1, 1), (1, 1)))
        for c, y, x in np.ndindex(3, 9, 9):
            window = padded[:, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
            hidden[c, y, x] += 2.0 * ((window * convolution.weight[c]).sum(dtype=np.float64) + convolution.bias[c])
        pooled = fired(hidden, nodes["1"]).reshape(3, 3, 3, 3, 3).sum((2, 4))
        last += 2.0 * (dense.weight.astype(np.float64) @ pooled.reshape(-1) + dense.bias)
        counts += fired(last, nodes["5"])
    return counts


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_integers_and_floats_spike_like_the_equations(small, recordings, reset):
    chain = nir_cnn.read_chain(small)
    network = nir_cnn.integer_network(chain, reset)
    samples, labels = nir_cnn.frames_of_tests(recordings, None)
    bursts = encode(samples, network.input)
    expected = np.stack([neuron_by_neuron(dict(chain), one, reset) for one in bursts])
    assert labels.tolist() == list(range(COUNT))
    assert len(np.unique(expected)) > 3
    assert np.array_equal(golden.run(network, bursts).logits.numpy(), expected)
    assert np.array_equal(nir_cnn.float_counts(chain, bursts, reset).numpy(), expected)


def test_the_command_writes_a_network_with_references(small, recordings, capsys):
    out = recordings / "small.qblif"
    arguments = ["--nir", small, "--data-dir", recordings, "--count", 2, "--out", out]
    assert nir_cnn.main([str(one) for one in arguments]) == 0
    assert "2 recordings, hard reset: " in capsys.readouterr().out
    network, references = load_network(out)
    assert np.array_equal(golden.replay(network, references), references.logits)
    assert references.labels.tolist() == [0, 1]


def test_frames_of_a_recording(recordings):
    frames, _ = nir_cnn.frames_of_tests(recordings, 1)
    raw = np.frombuffer((recordings / "Test" / "0" / "00000.bin").read_bytes(), dtype=np.uint8).reshape(-1, 5)
    expected = np.zeros((100, 2, 34, 34), dtype=np.int64)
    for x, y, high, middle, low in raw.tolist():
        step = (high % 128 * 65536 + middle * 256 + low) // 3000
        if step < 100:
            expected[step, high // 128, y, x] += 1
    assert np.array_equal(frames[0], expected)


def changed(**nodes):
    return small_nodes(np.random.default_rng(1)) | nodes


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (changed(**{"5": fire((10,), v_reset=0.25)}), "node 5: threshold 0.5 and reset to 0.25"),
        (changed(**{"5": fire((10,), v_threshold=0.0)}), "node 5: threshold 0 and reset to 0"),
        (changed(**{"5": fire((10,), r=np.arange(10))}), "node 5: r differs from neuron to neuron"),
        (changed(**{"2": nir.Scale(np.ones((3, 9, 9)))}), "node 2: Scale cannot be imported here"),
        (changed(**{"2": fire((3, 9, 9))}), "node 2: IF, but IF follows weights"),
        (
            changed(**{"1": nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0]))}),
            "node 1: SumPool2d, but",
        ),
    ],
    ids=["reset elsewhere", "no threshold", "unequal neurons", "unknown node", "neurons without weights", "no neurons"],
)
def test_graphs_that_are_refused(nodes, words):
    with pytest.raises(UserError, match=words):
        nir_cnn.integer_network(list(nodes.items())[1:-1], "hard")


def test_padding_in_words_is_refused():
    nodes = small_nodes(np.random.default_rng(1))
    nodes["0"].padding = "same"
    with pytest.raises(UserError, match="padding 'same' is not supported"):
        nir_cnn.integer_network(list(nodes.items())[1:-1], "hard")


def test_files_that_are_refused(tmp_path, recordings, small, fails, monkeypatch):
    arguments = ("--data-dir", recordings, "--out", tmp_path / "out.qblif", "--nir")
    assert "is not a NIR file" in fails(nir_cnn.main, *arguments, tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("no graph")
    assert "is not a NIR file" in fails(nir_cnn.main, *arguments, tmp_path / "text.nir")
    nodes = small_nodes(np.random.default_rng(1))
    edges = [*pairwise(nodes), ("4", "6"), ("6", "output")]
    fork = graph_file(tmp_path / "fork.nir", nodes | {"6": fire((10,))}, edges)
    assert "is not a chain" in fails(nir_cnn.main, *arguments, fork)
    del nodes["5"]
    assert "does not end with IF" in fails(nir_cnn.main, *arguments, graph_file(tmp_path / "open.nir", nodes))
    assert "--count 0 is not 1 or more" in fails(nir_cnn.main, *arguments, small, "--count", 0)
    monkeypatch.setattr(nir_cnn, "find_spec", lambda _: None)
    assert "pip install nir" in fails(nir_cnn.main, *arguments, small)


def test_recordings_that_are_refused(tmp_path, recordings, small, fails):
    arguments = ("--nir", small, "--out", tmp_path / "out.qblif", "--data-dir")
    assert "no Test in" in fails(nir_cnn.main, *arguments, tmp_path / "none")
    (recordings / "Test" / "0" / "00000.bin").write_bytes(b"123")
    assert "it is cut off" in fails(nir_cnn.main, *arguments, recordings)
    for path in recordings.glob("Test/*/*.bin"):
        path.unlink()
    assert "holds no recordings" in fails(nir_cnn.main, *arguments, recordings)
