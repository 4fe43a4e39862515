"""NIR graphs as graphs of float operations, against NIR's own equations."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from qblif.errors import UserError
from snn.convert.graph import Affine, Convolution, Dense, Integrator, Neurons
from snn.convert.nir.graph import graph_of, read_nir
from tests.snn.convert.graph_reference import run
from tests.snn.convert.nir_equations import simulate

nir = pytest.importorskip("nir")

PAPER = Path(os.environ.get("QBLIF_DATA", "")) / "nir"
"""The graphs of the NIR paper."""
DT = 1e-3
TIMESTEPS = 25


def source(shape):
    return nir.Input(input_type={"input": np.array(shape)})


def sink(shape):
    return nir.Output(output_type={"output": np.array(shape)})


def full(shape, value):
    """An array of NIR's parameters: one value, or one for each channel."""
    shape, values = (shape,) if isinstance(shape, int) else shape, np.asarray(value, dtype=float)
    return np.zeros(shape) + (values if values.ndim == 0 else values.reshape(-1, *[1] * (len(shape) - 1)))


def lif(shape, tau=4e-3, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0):
    names = {"tau": tau, "r": r, "v_leak": v_leak, "v_threshold": v_threshold, "v_reset": v_reset}
    return nir.LIF(**{name: full(shape, value) for name, value in names.items()})


def cuba(shape, tau_mem=4e-3, tau_syn=2e-3, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0, w_in=1.0):
    names = {"tau_mem": tau_mem, "tau_syn": tau_syn, "r": r, "v_leak": v_leak}
    names |= {"v_threshold": v_threshold, "v_reset": v_reset, "w_in": w_in}
    return nir.CubaLIF(**{name: full(shape, value) for name, value in names.items()})


def integrate(shape, r=1.0, v_threshold=1.0, v_reset=0.0):
    return nir.IF(r=full(shape, r), v_threshold=full(shape, v_threshold), v_reset=full(shape, v_reset))


def graph(nodes, edges=None):
    return nir.NIRGraph(nodes=nodes, edges=list(pairwise(nodes)) if edges is None else edges, type_check=False)


def images(reset):
    """A convolutional network of all layers with two axes, with thresholds, gains and leaks by channel."""
    random = np.random.default_rng(1)
    rest = 0.0 if reset == "soft" else -0.25
    return {
        "input": source((2, 7, 6)),
        "same": nir.Conv2d((7, 6), random.normal(0.3, 1, (4, 2, 2, 3)), 1, "same", (1, 2), 1, random.normal(size=4)),
        "lif": lif((4, 7, 6), r=[2, 1, 1.5, 3], v_leak=[0.2, 0, 0.1, -0.3], v_threshold=[0.5, 1, 0.75, 1.25]),
        "average": nir.AvgPool2d(np.array([2, 2]), np.array([2, 1]), np.array([0, 0])),
        "groups": nir.Conv2d((3, 5), random.normal(0.3, 1, (6, 2, 3, 3)), (1, 2), (1, 0), 1, 2, random.normal(size=6)),
        "cuba": cuba((6, 3, 2), r=3.0, w_in=[1, 2, 1, 3, 1, 2], v_threshold=0.5, v_leak=rest, v_reset=rest),
        "sum": nir.SumPool2d(np.array([2, 2]), np.array([1, 1]), np.array([1, 0])),
        "flatten": nir.Flatten({"input": np.array([6, 4, 1])}, start_dim=0, end_dim=-1),
        "affine": nir.Affine(random.normal(0.1, 0.6, (5, 24)), random.normal(size=5)),
        "if": integrate(5, r=[1, 2, 1, 1, 0.5], v_threshold=2.0, v_reset=0.0 if reset == "soft" else 0.5),
        "linear": nir.Linear(random.normal(size=(3, 5))),
        "li": nir.LI(tau=full(3, 2e-3), r=full(3, [1, 2, 3]), v_leak=full(3, 0.5)),
        "output": sink((3,)),
    }


def rows():
    """A network with one axis, with the nodes that have no state."""
    random = np.random.default_rng(2)
    return {
        "input": source((3, 9)),
        "conv": nir.Conv1d(9, random.normal(size=(4, 3, 4)), 1, "same", 1, 1, random.normal(size=4)),
        "scale": nir.Scale(full((4, 9), [1, -2, 0.5, 3])),
        "threshold": nir.Threshold(full((4, 9), [1, 0.5, 2, 1])),
        "valid": nir.Conv1d(9, random.normal(size=(2, 4, 2)), 2, "valid", 2, 1, np.zeros(2)),
        "delay": nir.Delay(np.zeros((2, 4))),
        "lif": lif((2, 4), r=4.0),
        "flatten": nir.Flatten({"input": np.array([2, 4])}, start_dim=0, end_dim=1),
        "linear": nir.Linear(random.normal(size=(3, 8))),
        "i": nir.I(r=full(3, 0.5)),
        "output": sink((3,)),
    }


def some_inputs(shape, chance=0.4):
    return (np.random.default_rng(3).random((TIMESTEPS, *shape)) < chance).astype(float)


def given_by(converted, inputs, names):
    """What nodes of a converted graph give, in the shapes that NIR has."""
    shape = converted.shape
    found = run(converted, torch.from_numpy(inputs).reshape(len(inputs), 1, *shape))
    return {name: found[name].squeeze(1).numpy() for name in names}


def compare(converted, expected, names, inputs):
    """Every spike and every membrane is the same; the populations fire, but not always."""
    found = given_by(converted, inputs, names)
    for name in names:
        assert np.allclose(found[name].reshape(expected[name].shape), expected[name], atol=1e-9), name
        spiking = isinstance(next(node for node in converted.nodes if node.name == name), Neurons)
        assert not spiking or 0.03 < expected[name].mean() < 0.97, (name, expected[name].mean())


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("rule", ["euler", "exponential"])
def test_images_follow_the_equations(reset, rule):
    nodes, inputs = images(reset), some_inputs((2, 7, 6))
    expected = simulate(nodes, list(pairwise(nodes)), list(nodes), inputs, dt=DT, rule=rule, reset=reset)
    converted = graph_of(graph(nodes), dt=DT, reset=reset, rule=rule, tolerance=0.01)
    compare(converted, expected, ["same", "lif", "cuba", "sum", "affine", "if", "li"], inputs)
    assert converted.shape == (2, 7, 6)
    assert converted.output == "li"


def test_rows_follow_the_equations():
    nodes, inputs = rows(), some_inputs((3, 9))
    expected = simulate(nodes, list(pairwise(nodes)), list(nodes), inputs, dt=DT, per_second=True)
    converted = graph_of(graph(nodes), dt=DT, reset="hard", integration="per second")
    compare(converted, expected, ["conv", "threshold", "lif", "i"], inputs)
    assert converted.shape == (3, 1, 9)
    assert not any(node.name == "delay" for node in converted.nodes)


def recurrent_nodes():
    """Two populations that read themselves, and the second one the first by weights and the first one the second."""
    random = np.random.default_rng(4)
    return {
        "input": source((4,)),
        "in": nir.Affine(random.normal(0.3, 1, (5, 4)), random.normal(size=5) / 4),
        "a.rec": nir.Affine(random.normal(size=(5, 5)), random.normal(size=5) / 4),
        "back": nir.Linear(random.normal(size=(5, 3))),
        "a.lif": lif(5, r=4.0),
        "mid": nir.Linear(random.normal(0.4, 1, (3, 5))),
        "b": cuba(3, r=4.0, w_in=2.0),
        "out": nir.Linear(random.normal(0.2, 1, (2, 3))),
        "last": integrate(2, v_threshold=1.5),
        "output": sink((2,)),
    }


RECURRENT_EDGES = [
    *(("input", "in"), ("in", "a.lif"), ("a.lif", "a.rec"), ("a.rec", "a.lif"), ("a.lif", "mid"), ("mid", "b")),
    *(("b", "b"), ("b", "back"), ("back", "a.lif"), ("b", "out"), ("out", "last"), ("last", "output")),
]
NESTED_EDGES = [
    *(("input", "in"), ("in", "a"), ("a", "mid"), ("mid", "b"), ("b", "b"), ("b", "back"), ("back", "a")),
    *(("b", "out"), ("out", "last"), ("last", "output")),
]


def nested():
    """The same network, with one population and its recurrent weights in a subgraph."""
    nodes = recurrent_nodes()
    inner = {"input": source((5,)), "lif": nodes["a.lif"], "rec": nodes["a.rec"], "output": sink((5,))}
    edges = [("input", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")]
    return graph(
        {name: node for name, node in nodes.items() if "." not in name} | {"a": graph(inner, edges)}, NESTED_EDGES
    )


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("made", [lambda: graph(recurrent_nodes(), RECURRENT_EDGES[::-1]), nested])
def test_cycles_read_the_timestep_before(reset, made):
    nodes, inputs = recurrent_nodes(), some_inputs((4,))
    expected = simulate(nodes, RECURRENT_EDGES, list(nodes), inputs, dt=DT, reset=reset)
    converted = graph_of(made(), dt=DT, reset=reset)
    compare(converted, expected, ["a.lif", "b", "last"], inputs)
    late = [note for note in converted.notes if note.endswith("one timestep later")]
    assert sorted(late) == [
        "'a.rec' reads 'a.lif' one timestep later",
        "'b' reads 'b' one timestep later",
        "'back' reads 'b' one timestep later",
    ]


def test_files_are_what_was_written(tmp_path):
    made = nested()
    nir.write(tmp_path / "net.nir", made)
    stored = read_nir(tmp_path / "net.nir")
    one, other = (graph_of(one, dt=DT, reset="hard") for one in (made, stored))
    inputs = some_inputs((4,))
    names = [node.name for node in one.nodes]
    assert [node.name for node in other.nodes] == names
    found, again = given_by(one, inputs, names), given_by(other, inputs, names)
    assert all(np.array_equal(found[name], again[name]) for name in names)


def random_wiring(random):
    """Populations and weights with random edges between them, many of them on cycles."""
    names = [f"n{index}" for index in range(random.integers(2, 9))]
    nodes = {name: integrate(2) if random.random() < 0.6 else nir.Linear(np.ones((2, 2))) for name in names}
    nodes |= {"input": source((2,)), "output": sink((2,))}
    wanted = [(str(a), str(b)) for a, b in random.choice(names, (random.integers(2, 16), 2))]
    edges = {("input", names[0]), (names[-1], "output"), *pairwise(names), *wanted}
    return graph(nodes, sorted(edges))


def test_random_cycles_are_cut_where_spikes_leave_neurons():
    random, taken = np.random.default_rng(6), 0
    for _ in range(300):
        made = random_wiring(random)
        try:
            converted = graph_of(made, reset="hard")
        except UserError:
            continue
        taken += 1
        place = {node.name: index for index, node in enumerate(converted.nodes)}
        kinds = {node.name: type(node) for node in converted.nodes}
        late = [(one, node.name) for node in converted.nodes for one in node.sources if one != "input"]
        late = [(one, other) for one, other in late if place[one] >= place[other]]
        assert all(kinds[one] is Neurons for one, _ in late)
        said = {f"'{other}' reads '{one}' one timestep later" for one, other in late}
        assert said == {note for note in converted.notes if note.endswith("later")}
        assert len(late) < len(made.edges) - 1
    assert taken > 50


def test_a_chain_of_thousands_of_nodes_is_no_problem():
    count = 5000
    nodes = {"input": source((1,))} | {f"n{i}": nir.Linear(np.ones((1, 1))) for i in range(count)}
    nodes |= {"if": integrate(1), "output": sink((1,))}
    assert len(graph_of(graph(nodes), reset="hard").nodes) == count + 1


def one_layer(node, arriving=(3,), leaving=None):
    leaving = arriving if leaving is None else leaving
    return graph({"input": source(arriving), "n": node, "output": sink(leaving)})


def only(node, **options):
    """The nodes that one population becomes."""
    return graph_of(one_layer(node), **{"dt": DT, "reset": "hard", **options}).nodes


def test_gains_of_one_stay_one():
    share = DT / np.float32(0.0123)
    [neurons] = only(lif(3, tau=np.float32(0.0123), r=np.float32(1 / share)), tolerance=0.01)
    assert neurons.form.gain == 1
    [neurons] = only(lif(3, tau=float(np.float32(2e-3))))
    assert neurons.form.decay.beta == 0.5
    assert neurons.form.decay.error == 0


def test_parameters_of_one_value_fit_every_shape():
    node = nir.LIF(*(np.array(value) for value in (4e-3, 4.0, 0.0, 2.0, 0.0)))
    [neurons] = only(node)
    assert (neurons.form.scale, neurons.form.gain, neurons.thresholds) == (2, 1, None)


def test_gains_by_channel_are_a_node_of_their_own():
    front, neurons = only(lif(3, r=[1, 2, 3], v_threshold=[1, 1, 2]))
    assert isinstance(front, Affine)
    assert neurons.sources == (front.name,) == ("n.gain",)
    assert neurons.form.scale == neurons.form.gain == 1
    assert neurons.thresholds.tolist() == [1, 1, 2]


def test_the_input_may_be_the_only_source():
    converted = graph_of(one_layer(integrate(3)), reset="soft")
    assert [type(node) for node in converted.nodes] == [Neurons]
    assert converted.nodes[0].sources == ("input",)


def noted(converted, words):
    return any(words in note for note in converted.notes)


def test_notes_say_what_was_taken():
    converted = graph_of(one_layer(lif(3)), dt=DT, reset="soft")
    for words in ("reset soft", "reaches its threshold", "dt 0.001 s, rule euler", "start at 0"):
        assert noted(converted, words)
    assert noted(graph_of(one_layer(lif(3)), dt=DT, reset="soft", firing="exceeded"), "exceeds its threshold")
    assert noted(graph_of(one_layer(integrate(3)), reset="soft"), "adds r times")
    assert noted(graph_of(one_layer(integrate(3, v_reset=0.5)), reset="hard"), "start at v_reset")
    with_metadata = integrate(3)
    with_metadata.metadata = {"trained": "yes"}
    assert noted(graph_of(one_layer(with_metadata), reset="soft"), "metadata 'trained' = 'yes'")


def test_notes_give_hints_of_other_choices():
    tau = -DT / np.log(0.9)
    assert noted(graph_of(one_layer(lif(3, tau=tau)), dt=DT, reset="hard", tolerance=0.01), "exponential rule would")
    assert not noted(graph_of(one_layer(lif(3)), dt=DT, reset="hard"), "would make it")
    assert noted(graph_of(one_layer(integrate(3, r=1 / DT)), dt=DT, reset="hard"), "is 1 / dt")
    [neurons] = only(integrate(3, r=1 / DT), integration="per second")
    assert neurons.form.gain == 1


def test_a_threshold_fires_as_it_is_told():
    [neurons] = only(nir.Threshold(np.full(3, 0.5)), dt=None, firing="exceeded")
    assert neurons.form.decay.leak.multiplier == 0
    assert (neurons.form.firing, neurons.form.scale) == ("exceeded", 0.5)


def test_a_synaptic_current_without_memory_is_a_leaky_integrator():
    node = nir.CubaLI(full(3, DT), full(3, 4e-3), full(3, 2.0), full(3, 0.0), full(3, 2.0))
    [readout] = only(node)
    assert isinstance(readout, Integrator)
    assert (readout.gain, readout.beta) == (1, 0.75)


def conv(shape=(2, 2, 3, 3), input_shape=(5, 5), stride=1, padding=0, groups=1, bias=None):
    bias = np.zeros(shape[0]) if bias is None else bias
    return nir.Conv2d(input_shape, np.ones(shape), stride, padding, 1, groups, bias)


def damaged(node, **changes):
    for name, value in changes.items():
        setattr(node, name, value)
    return node


class Unknown:
    def __init__(self):
        self.input_type = self.output_type = {"input": np.array([3])}


REFUSED: dict[str, tuple] = {
    "no dt": (lif(3), {"dt": None}, "'n' (LIF): tau needs the length of a timestep; give --dt"),
    "negative tau": (lif(3, tau=-1.0), {}, "'n' (LIF): tau is -1, not above 0"),
    "no number": (lif(3, r=np.nan), {}, "'n' (LIF): r has values that are not finite"),
    "infinite tau": (lif(3, tau=np.inf), {}, "'n' (LIF): tau has values that are not finite"),
    "tau shorter than dt": (lif(3, tau=5e-4), {}, "--rule exponential"),
    "taus by channel": (lif(3, tau=[1, 2, 3]), {}, "tau differs between channels"),
    "a membrane that nearly stays": (lif(3, tau=1e6), {}, "no fraction a/2^p"),
    "no fraction": (lif(3, tau=1.0), {}, "allow a larger tolerance"),
    "a threshold of 0": (integrate(3, v_threshold=0.0), {}, "'n' (IF): v_threshold is not above 0"),
    "a threshold below its reset": (integrate(3, v_reset=2.0), {}, "not above the value that it resets to"),
    "a reset to elsewhere": (lif(3, v_reset=0.5), {}, "v_reset is neither 0 nor v_leak"),
    "a reset that is not soft": (integrate(3, v_reset=0.5), {"reset": "soft"}, "take --reset hard"),
    "a leak beside the current": (cuba(3, v_leak=0.5), {}, "'n' (CubaLIF): v_leak would reach the membrane"),
    "a current in the readout": (
        nir.CubaLI(full(3, 2e-3), full(3, 4e-3), full(3, 1.0), full(3, 0.0)),
        {},
        "'n' (CubaLI): the synaptic current of a readout keeps 0.5",
    ),
    "a delay": (nir.Delay(np.full(3, DT)), {}, "'n' (Delay): delays by more than 0"),
    "another shape": (lif(4), {}, "v_leak has shape (4,), and what arrives has (3,)"),
    "another scale": (nir.Scale(np.ones(2)), {}, "'n' (Scale): scale has shape (2,)"),
    "other weights": (nir.Linear(np.ones((3, 2))), {}, "'n' (Linear): has weights for (2,) features and gets (3,)"),
    "weights of three dimensions": (nir.Linear(np.ones((1, 3, 3))), {}, "2 dimensions are expected"),
    "no weights": (damaged(nir.Linear(np.ones((3, 3))), weight="no"), {}, "weight is 'no' instead of numbers"),
    "another bias": (nir.Affine(np.ones((3, 3)), np.ones(2)), {}, "2 biases for 3 channels"),
    "a picture too few": (conv(), {}, "'n' (Conv2d): has windows over 2 axes and gets (3,)"),
    "pooling of features": (nir.SumPool2d(2, 2, 0), {}, "'n' (SumPool2d): pools (channels, rows, columns)"),
    "an attribute": (damaged(integrate(3), refractory=np.ones(3)), {}, "attribute 'refractory' is not known"),
    "another class": (Unknown(), {}, "'n' (Unknown): not a node that can be converted"),
    "a flattening with a batch": (nir.Flatten({"input": np.array([3])}), {}, "take 0 and -1"),
    "dt below 0": (lif(3), {"dt": -1.0}, "a timestep of -1 seconds"),
    "dt that is no number": (lif(3), {"dt": np.nan}, "a timestep of nan seconds"),
    "a long name": (nir.NIRGraph({"i" * 300: source((3,))}, [], type_check=False), {}, "rename the node"),
    "a subgraph without ends": (nir.NIRGraph({}, [], type_check=False), {}, "'n' (NIRGraph): the subgraph has 0 Input"),
}
PICTURES = {
    "other channels": (conv((2, 3, 3, 3)), "do not fit 2 channels"),
    "groups": (conv((3, 1, 3, 3), groups=2), "in 2 groups do not fit"),
    "another size": (conv(input_shape=(4, 5)), "input_shape is (4, 5) and (5, 5) arrives"),
    "a window too large": (conv((2, 2, 6, 6)), "makes (2, 0, 0) of (2, 5, 5)"),
    "half a stride": (conv(stride=np.array([0.5, 1])), "stride is not 2 whole numbers"),
    "no stride": (damaged(conv(), stride=0), "stride (0, 0) is less than 1"),
    "a strided 'same'": (conv(stride=2, padding="same"), "padding 'same' with a stride above 1"),
    "unknown padding": (damaged(conv(), padding="reflect"), "padding 'reflect' is neither"),
    "padded averages": (nir.AvgPool2d(2, 2, 1), "NIR does not say whether an average counts padding"),
    "half a flattening": (nir.Flatten({"input": np.array([2, 5, 5])}), "flattens dimensions 1 to -1 of (2, 5, 5)"),
    "another flattening": (nir.Flatten({"input": np.array([2, 5, 4])}, 0), "expects (2, 5, 4) and gets (2, 5, 5)"),
    "differs in a channel": (integrate((2, 5, 5), v_threshold=1.0), "v_threshold differs between the neurons"),
}
PICTURES["differs in a channel"][0].v_threshold[0, 1, 2] = 3


def refused(made, **options):
    with pytest.raises(UserError) as caught:
        graph_of(made, **{"dt": DT, "reset": "hard", **options})
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    node, options, words = REFUSED[name]
    assert words in refused(one_layer(node), **options)


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_refused_of_pictures(name):
    node, words = PICTURES[name]
    message = refused(one_layer(node, (2, 5, 5)))
    assert words in message
    assert f"'n' ({type(node).__name__})" in message


def wired(*edges, **nodes):
    usual = {"input": source((3,)), "a": integrate(3), "b": integrate(3), "output": sink((3,))}
    return graph(usual | nodes, [*edges])


STRAIGHT = (("input", "a"), ("a", "b"), ("b", "output"))
LINEAR = nir.Linear(np.eye(3))
WIRINGS = {
    "no output": (graph({"input": source((3,)), "a": integrate(3)}), "has 0 Output nodes: none"),
    "two inputs": (wired(*STRAIGHT, other=source((3,))), "has 2 Input nodes: 'input', 'other'"),
    "a node alone": (wired(*STRAIGHT, c=LINEAR), "'c' (Linear): the network's input does not reach it"),
    "a dead end": (wired(*STRAIGHT, ("b", "c"), c=LINEAR), "'c' (Linear): it does not reach the network's output"),
    "an edge twice": (wired(*STRAIGHT, ("a", "b")), "'b' (IF): reads 'a' twice"),
    "an edge to nowhere": (wired(*STRAIGHT, ("a", "c")), "the edge 'a' -> 'c' does not join"),
    "an edge from the output": (wired(*STRAIGHT, ("output", "a")), "an edge leaves the output"),
    "an edge to the input": (wired(*STRAIGHT, ("a", "input")), "an edge leads into the input"),
    "two outputs in one": (wired(*STRAIGHT, ("a", "output")), "2 nodes lead to the output"),
    "a cycle of weights": (
        wired(("input", "c"), ("c", "d"), ("d", "c"), ("d", "a"), *STRAIGHT[1:], c=LINEAR, d=nir.Scale(np.ones(3))),
        "cycle without spiking neurons",
    ),
    "a cycle of a delay": (
        wired(*STRAIGHT, ("a", "c"), ("c", "c"), ("c", "b"), c=nir.Delay(np.zeros(3))),
        "'c' (Delay): is on a cycle without spiking neurons",
    ),
    "in time and late": (
        wired(*STRAIGHT, ("a", "c"), ("c", "a"), ("c", "b"), c=LINEAR),
        "'c' (Linear): 'a' reaches earlier and later neurons through it",
    ),
    "shapes that differ": (
        wired(*STRAIGHT, ("input", "c"), ("c", "b"), c=nir.Linear(np.ones((2, 3)))),
        "'b' (IF): 'a' sends it (3,) and 'c' (2,)",
    ),
    "another output": (wired(*STRAIGHT, output=sink((4,))), "'output' (Output): expects (4,) and gets (3,)"),
    "membranes inside": (wired(*STRAIGHT, a=nir.I(np.ones(3))), "'b' (IF): reads the membranes of 'a'"),
    "a batch": (wired(*STRAIGHT, input=source((1, 3, 1, 1))), "without a batch"),
    "a shape of no size": (wired(*STRAIGHT, input=source((0,))), "its shape is"),
    "two of one name": (
        wired(*STRAIGHT, g=graph({"h": integrate(3), "i": source((3,)), "o": sink((3,))}), **{"g.h": integrate(3)}),
        "two nodes are called 'g.h'",
    ),
}
WIRINGS["another end of a subgraph"] = (
    graph(
        {
            "input": source((3,)),
            "g": graph({"i": source((2,)), "h": integrate(3), "o": sink((3,))}),
            "output": sink((3,)),
        }
    ),
    "'g.i' (Input): expects (2,) and gets (3,)",
)


@pytest.mark.parametrize("name", WIRINGS)
def test_what_is_refused_of_wirings(name):
    made, words = WIRINGS[name]
    assert words in refused(made)


def test_a_graph_inside_itself_is_refused():
    inner = {"i": source((3,)), "o": sink((3,))}
    made = nir.NIRGraph(inner, [], type_check=False)
    made.nodes["self"] = made
    assert "subgraphs lie in each other" in refused(one_layer(made))


def test_something_else_is_refused():
    assert "a NIR graph is expected, not a IF" in refused(integrate(3))


FILES: dict[str, tuple] = {
    "01_lif_norse.nir": ([Dense, Neurons], (1, 1, 1)),
    "02_cnn_sinabs.nir": ([Convolution] * 3 + [Dense] * 2 + [Neurons] * 5, (2, 34, 34)),
    "03_rnn_braille_bias_zero.nir": ([Dense] * 3 + [Neurons] * 2, (12, 1, 1)),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_the_paper(name):
    if not (PAPER / name).is_file():
        pytest.skip(f"no nir/{name} here; QBLIF_DATA may name a folder that holds it")
    kinds, shape = FILES[name]
    converted = graph_of(read_nir(PAPER / name), dt=1e-4, reset="hard")
    found = [type(node) for node in converted.nodes]
    assert all(found.count(kind) == kinds.count(kind) for kind in kinds)
    assert converted.shape == shape
    assert all(node.form.gain in (1.0, pytest.approx(0.04)) for node in converted.nodes if isinstance(node, Neurons))
