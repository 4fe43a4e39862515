"""Assembled models against the meaning of their graphs, and their integers against their floats."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch

from qblif.errors import UserError
from snn import checkpoint
from snn.bursts import Bursts
from snn.convert.assembly import Feed, assemble
from snn.convert.comparison import compare, quantized
from snn.convert.graph import INPUT, Affine, Convolution, Dense, Flatten, Graph, Integrator, Neurons, Node, Pool
from snn.convert.neurons import NeuronForm, nearest_decay
from snn.datasets.data import Images
from tests.snn.convert.graph_run import run

TIMESTEPS = 8


def form(beta: float = 0.75, *, firing="reached", reset="soft", **options) -> NeuronForm:
    decay = nearest_decay(beta, 0.0)
    assert decay is not None
    options = {"scale": 1.0 / beta if firing == "exceeded after leak" else 2.0} | options
    return NeuronForm(firing=firing, reset=reset, decay=decay, **options)


FORMS = (
    form(),
    form(1.0, reset="hard", burst_ceiling=3),
    form(0.5, firing="exceeded", reset="hard", gain=0.25),
    form(0.5, firing="exceeded after leak"),
    form(0.75, firing="exceeded after leak", current_decay=nearest_decay(0.5, 0.0)),
    form(0.25, firing="nearest", burst_ceiling=4, scale=0.5, amplitude=0.5),
)


class Maker:
    """A random graph of nodes on a grid, from the input on."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        self.shape: tuple[int, ...] = (int(self.random.integers(1, 4)), 10, 9)
        self.input_shape = self.shape
        self.last = INPUT

    def whole(self, *shape: int) -> torch.Tensor:
        return torch.from_numpy(self.random.integers(-6, 7, shape)).double() / 8

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def add(self, node: type[Node], /, sources: tuple[str, ...] | None = None, **fields) -> str:
        name = f"{node.__name__.lower()}.{len(self.nodes)}"
        self.nodes.append(node(name=name, sources=sources or (self.last,), **fields))
        self.last = name
        return name

    def convolution(self, outputs: int, size: int, padding: int) -> str:
        inputs = self.shape[0]
        weight = self.whole(outputs, inputs, size, size)
        name = self.add(Convolution, weight=weight, bias=self.whole(outputs), padding=(padding,) * 4)
        less = size - 1 - 2 * padding
        self.shape = (outputs, self.shape[1] - less, self.shape[2] - less)
        return name

    def neurons(self, *more: str, channels: int) -> str:
        options = {}
        if self.chance(0.3):
            options["thresholds"] = torch.from_numpy(2.0 ** self.random.integers(-1, 2, channels)).double()
        if self.chance(0.3):
            options["bias"] = self.whole(channels) / 4
        chosen = FORMS[self.random.integers(len(FORMS))]
        return self.add(Neurons, (self.last, *more), form=chosen, **options)

    def image_stage(self) -> None:
        channels = int(self.random.integers(2, 5))
        self.convolution(channels, 3, 1 if min(self.shape[1:]) < 5 else int(self.random.integers(0, 2)))
        if self.chance(0.5):
            self.add(Affine, scale=self.whole(channels) + 1, shift=self.whole(channels))
        if self.chance(0.3):
            self.add(Pool, kind="average", kernel=(2, 2), stride=(2, 2))
            self.shape = (channels, self.shape[1] // 2, self.shape[2] // 2)
        entry = self.neurons(channels=channels)
        if self.chance(0.5):
            self.convolution(channels, 3, 1)
            self.neurons(entry, channels=channels)
        elif self.chance(0.7):
            inner = self.convolution(channels, 3, 1)
            self.last = entry
            outer = self.convolution(channels, 1, 0)
            if self.chance(0.5):
                # The shift is added to the sum, so only once.
                self.add(Affine, (inner, outer), scale=self.whole(channels) + 1, shift=self.whole(channels))
                self.neurons(channels=channels)
            else:
                self.neurons(inner, channels=channels)
        if self.chance(0.5) and min(self.shape[1:]) > 3:
            kind = ("sum", "average", "max")[self.random.integers(3)]
            self.add(Pool, kind=kind, kernel=(2, 2), stride=(2, 2))
            self.shape = (channels, self.shape[1] // 2, self.shape[2] // 2)

    def dense_stage(self, outputs: int) -> None:
        inputs = int(np.prod(self.shape))
        source = self.last
        self.add(Dense, weight=self.whole(outputs, inputs) / 2, bias=self.whole(outputs))
        if self.chance(0.3):
            other = self.last
            self.add(Dense, (source,), weight=self.whole(outputs, inputs) / 2)
            self.add(Dense, (other, self.last), weight=self.whole(outputs, outputs) / 4, bias=self.whole(outputs))
        self.shape = (outputs,)
        if self.chance(0.5):
            place = len(self.nodes)
            back = f"dense.{place + 1}"
            own = self.neurons(back, channels=outputs)
            self.add(Dense, (own,), weight=self.whole(outputs, outputs) / 4, bias=self.whole(outputs))
            assert self.last == back
            self.last = own
        else:
            self.neurons(channels=outputs)

    def graph(self) -> Graph:
        for _ in range(int(self.random.integers(0, 3))):
            self.image_stage()
        self.add(Flatten)
        for _ in range(int(self.random.integers(1, 3))):
            self.dense_stage(int(self.random.integers(3, 12)))
        if self.chance(0.4):
            weight = self.whole(4, *self.shape)
            self.add(Dense, weight=weight, bias=self.whole(4))
            if self.chance(0.6):
                self.add(Integrator, gain=0.5, beta=(1.0, 0.75)[self.random.integers(2)], bias=self.whole(4))
        return Graph(shape=self.input_shape, nodes=tuple(self.nodes), output=self.last)


def spikes_of(model, samples: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        values = model.eval().run(samples)
    return {name: value.counts for name, value in values.items() if isinstance(value, Bursts)}


@pytest.mark.parametrize("seed", range(40))
def test_a_model_does_what_its_graph_means(seed):
    graph = Maker(seed).graph()
    recordings = np.random.default_rng(seed).integers(0, 4, (3, TIMESTEPS, *graph.shape)).astype(np.uint8)
    model = assemble(graph, Feed(coding="events", bits=2, timesteps=TIMESTEPS), weight_bits=12)
    expected = run(graph, torch.from_numpy(recordings).double().transpose(0, 1))
    found = spikes_of(model, torch.from_numpy(recordings))
    populations = [node.name for node in graph.nodes if isinstance(node, Neurons)]
    for name in populations:
        assert (found[name].flatten(2) == expected[name].flatten(2)).all(), name
    logits = model(torch.from_numpy(recordings)).detach()
    last = expected[graph.output]
    sums = last if isinstance(graph.nodes[-1], Integrator) else last.cumsum(0)
    assert (logits - sums[-1].flatten(1)).abs().max() < 1e-9

    # With weights and thresholds on a grid the integers fire at the same places.
    integers = quantized(model, torch.from_numpy(recordings))
    images = Images(pixels=recordings, labels=np.zeros(len(recordings), dtype=np.int64))
    comparison = compare(model, integers, images, quiet=True)
    assert [layer.name for layer in comparison.layers] == populations
    assert sum(layer.decisions for layer in comparison.layers) > 0
    content = checkpoint.describe(integers, torch.from_numpy(recordings), torch.zeros(3, dtype=torch.long))
    assert content["kind"] == "qat"


def dense(name: str, *sources: str, outputs: int = 3, inputs: int = 3) -> Dense:
    return Dense(name=name, sources=sources, weight=torch.ones(outputs, inputs).double() / 4)


def neurons(name: str, *sources: str, **options) -> Neurons:
    return Neurons(name=name, sources=sources, form=FORMS[0], **options)


def graph_of(*nodes: Node) -> Graph:
    return Graph(shape=(3, 1, 1), nodes=nodes, output=nodes[-1].name)


REFUSED = {
    "does not reach": graph_of(dense("a", INPUT), dense("b", INPUT), neurons("c", "b")),
    "two nodes of one name": graph_of(dense("a", INPUT), neurons("a", "a")),
    "not finite": graph_of(Dense(name="a", sources=(INPUT,), weight=torch.full((3, 3), torch.nan))),
    "is not a node": graph_of(dense("a", "x")),
    "never fires, so it can only": graph_of(
        Integrator(name="i", sources=(INPUT,)), dense("a", "i"), neurons("b", "a")
    ),
    "cycle without neurons": graph_of(dense("a", INPUT, "b"), dense("b", "a"), neurons("c", "b")),
    "reads only what comes": graph_of(neurons("a", "b"), dense("b", "a"), neurons("c", "b")),
    "spikes of the timestep before": graph_of(
        *(dense("x", INPUT), neurons("m", "x"), dense("l", "m")),
        *(neurons("n", "k"), dense("k", "m"), neurons("o", "n", "l")),
    ),
    "reads only what comes later": graph_of(dense("b", "a"), neurons("a", "b"), neurons("c", "a")),
    "hardware adds 2": graph_of(
        *(dense(name, INPUT) for name in "abc"), neurons("n", "a", "b", "c")
    ),
    "through one projection": graph_of(dense("a", INPUT), neurons("n", "a", "m"), neurons("m", "n")),
    "different shapes": graph_of(dense("a", INPUT), dense("b", INPUT, outputs=4), neurons("n", "a", "b")),
    "more than 64 ways": graph_of(
        dense("a0", INPUT),
        *(dense(f"a{place}", f"a{place - 1}", f"a{place - 1}") for place in range(1, 8)),
        neurons("n", "a7"),
    ),
    "delays what it reads by more": graph_of(
        dense("a", INPUT), neurons("n", "a", "c"), dense("b", "d"), dense("c", "b"), dense("d", "n"), neurons("m", "n")
    ),
    "within 0.00195312 of its decay": graph_of(
        dense("a", INPUT), Integrator(name="i", sources=("a",), beta=0.999)
    ),
    "adds several branches": graph_of(
        dense("a", INPUT), neurons("n", "a"), dense("b", "n"), dense("c", "n"), Integrator(name="i", sources=("b", "c"))
    ),
    "largest of sums": Graph(
        shape=(3, 4, 4),
        nodes=(
            neurons("m", INPUT),
            neurons("n", "m"),
            Pool(name="p", sources=("m", "n"), kind="max", kernel=(2, 2), stride=(2, 2)),
            neurons("o", "p"),
        ),
        output="o",
    ),
    "has 2 channels, and 3 arrive": graph_of(dense("a", INPUT), neurons("n", "a", thresholds=torch.ones(2))),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_has_no_model_is_one_line(words):
    with pytest.raises(UserError, match=words) as refused:
        assemble(REFUSED[words], Feed(coding="events", timesteps=3))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [("membrane", "fires, so its result"), ("maximum", "fires, so its result"), ("other", "answer")],
)
def test_spikes_have_no_membrane_as_answer(answer, words):
    graph = graph_of(dense("a", INPUT), neurons("n", "a"))
    with pytest.raises(UserError, match=words):
        assemble(graph, Feed(coding="events", timesteps=3), answer=answer)


def test_integrators_have_no_count():
    graph = graph_of(dense("a", INPUT), Integrator(name="i", sources=("a",)))
    with pytest.raises(UserError, match="never fires"):
        assemble(graph, Feed(coding="events", timesteps=3), answer="count")


def test_the_largest_membrane_over_time():
    nodes = (dense("a", INPUT), Integrator(name="i", sources=("a",), beta=0.5))
    recordings = torch.randint(0, 4, (5, 6, 3, 1, 1), dtype=torch.uint8)
    model = assemble(graph_of(*nodes), Feed(coding="events", bits=2, timesteps=6), answer="maximum")
    expected = run(graph_of(*nodes), recordings.double().transpose(0, 1))["i"].max(0).values
    assert torch.allclose(model(recordings), expected)


def test_every_step_of_a_stream():
    nodes = (dense("a", INPUT), neurons("n", "a"))
    recordings = torch.randint(0, 4, (5, 6, 3, 1, 1), dtype=torch.uint8)
    model = assemble(graph_of(*nodes), Feed(coding="events", bits=2, timesteps=4), answer="step")
    assert (model(recordings) == run(graph_of(*nodes), recordings.double().transpose(0, 1))["n"]).all()


def test_a_normalisation_of_bytes_folds_into_the_first_layer():
    nodes = (
        Convolution(name="a", sources=(INPUT,), weight=torch.randn(4, 3, 3, 3).double()),
        neurons("n", "a"),
        Flatten(name="f", sources=("n",)),
        dense("d", "f", inputs=4 * 5 * 4),
    )
    graph = Graph(shape=(3, 7, 6), nodes=nodes, output="d")
    pixels = torch.randint(0, 256, (4, 3, 7, 6), dtype=torch.uint8)
    mean, deviation = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    model = assemble(graph, Feed(timesteps=5, mean=mean, deviation=deviation))
    channels = (torch.tensor(values).double().view(3, 1, 1) for values in (mean, deviation))
    normalised = (pixels.double() / 255 - next(channels)) / next(channels)
    expected = run(graph, normalised.expand(5, *normalised.shape))["n"]
    assert (spikes_of(model, pixels)["n"] == expected).all()
    padded = dataclasses.replace(nodes[0], padding=(1, 1, 1, 1))
    with pytest.raises(UserError, match="does not fold over padding"):
        assemble(
            dataclasses.replace(graph, nodes=(padded, *nodes[1:])), Feed(timesteps=5, mean=mean, deviation=deviation)
        )


def test_names_of_the_original_stay():
    model = assemble(graph_of(dense("fc.1", INPUT), neurons("lif.1", "fc.1")), Feed(coding="events", timesteps=3))
    assert model.layer("lif.1") is model.get_submodule("lif_1")
    with pytest.raises(UserError, match="no layer 'x'"):
        model.layer("x")
    assert all(one != other for one, other in pairwise(sorted(model.attributes.values())))
