"""Models of snnTorch and SpikingJelly as graphs; their own spikes are compared with those of the graph."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from qblif.errors import UserError
from snn.convert.graph import Convolution, Dense, Neurons
from snn.convert.modules.reader import read_modules
from studies.frameworks.architectures import MODELS, STEPS
from studies.frameworks.networks import frames_of, framework_run
from tests.snn.convert.graph_reference import run

snntorch = pytest.importorskip("snntorch", reason="pip install 'qblif[frameworks]'")


def module_of(model):
    pytest.importorskip(model.framework, reason="pip install 'qblif[frameworks]'")
    return model.module()


REDUCE = {
    "sum": lambda x: x.sum(0),
    "mean": lambda x: x.mean(0),
    "max": lambda x: x.amax(0),
    "last": lambda x: x[-1],
    "each": lambda x: x,
}


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_neuron_of_the_graph_decides_as_the_framework_s(model):
    module = module_of(model)
    reading = read_modules(module, model.sample())
    torch.manual_seed(3)
    samples = [torch.rand_like(model.sample()) for _ in range(model.called or 1)]
    spikes, results = framework_run(module, reading.graph, samples)
    outputs = run(reading.graph, frames_of(model, reading, samples))
    assert sum(sent.numel() for sent in spikes.values()) > 2000
    for name, sent in spikes.items():
        assert 0.01 < sent.clamp(max=1).mean() < 0.95, name
        assert torch.equal(outputs[name].flatten(2), sent), name
    given = torch.stack([first(one) for one in results]) if model.called else first(results[0])
    if reading.output.over_time == "each" and not model.called and isinstance(results[0], list):
        given = torch.stack(results[0])
    expected = REDUCE[reading.output.over_time](outputs[reading.graph.output])
    torch.testing.assert_close(given, expected.reshape(given.shape))


def test_the_comparison_sees_another_neuron():
    model = next(one for one in MODELS if one.name == "tutorial_dense")
    module = module_of(model)
    reading = read_modules(module, model.sample())
    spikes, _ = framework_run(module, reading.graph, [model.sample()])
    for change in ({"firing": "exceeded"}, {"reset": "hard"}, {"scale": 1.01}, {"gain": 0.99}):
        nodes = [
            replace(node, form=replace(node.form, **change)) if isinstance(node, Neurons) else node
            for node in reading.graph.nodes
        ]
        outputs = run(replace(reading.graph, nodes=tuple(nodes)), frames_of(model, reading, [model.sample()]))
        assert not torch.equal(outputs["lif1"].flatten(2), spikes["lif1"])


def first(result):
    return result[0] if isinstance(result, tuple) else result


READINGS = {
    "tutorial_dense": (True, None, "spikes", "each"),
    "time_first": (False, 0, "spikes", "each"),
    "time_second": (False, 1, "spikes", "mean"),
    "hidden_states": (None, None, "spikes", "each"),
    "shared_and_skipped": (True, None, "spikes", "sum"),
    "membrane_output": (True, None, "membrane", "max"),
    "one_axis": (True, None, "spikes", "last"),
    "direct_encoding": (True, None, "current", "mean"),
    "sequence": (False, 0, "current", "each"),
    "containers": (False, 1, "current", "mean"),
    "residual": (True, None, "current", "mean"),
    "silent_output": (False, 0, "membrane", "last"),
}


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("name", READINGS)
def test_time_and_output_are_recognized(name):
    model = next(one for one in MODELS if one.name == name)
    reading = read_modules(module_of(model), model.sample())
    assert reading.timesteps == (1 if model.called else STEPS)
    assert (reading.constant, reading.time_axis, reading.output.quantity, reading.output.over_time) == READINGS[name]


def read_model(name):
    model = next(one for one in MODELS if one.name == name)
    return read_modules(module_of(model), model.sample()).graph


def test_nodes_have_the_paths_of_their_layers():
    graph = read_model("tutorial_dense")
    assert [(node.name, node.sources) for node in graph.nodes] == [
        ("fc1", ("input",)),
        ("lif1", ("fc1",)),
        ("fc2", ("lif1",)),
        ("lif2", ("fc2",)),
    ]
    assert (graph.shape, graph.output) == ((10, 1, 1), "lif2")
    assert "the spikes of lif2 are taken" in graph.notes[0]


def test_a_shared_layer_is_a_node_at_each_place():
    graph = read_model("shared_and_skipped")
    first, second = (node for node in graph.nodes if isinstance(node, Convolution))
    assert {first.name, second.name} == {"conv", "conv_2"}
    assert torch.equal(first.weight, second.weight)
    (thresholds,) = (node.thresholds for node in graph.nodes if node.name == "lif2")
    # A threshold is taken off after the leak by 1/2.
    torch.testing.assert_close(thresholds, torch.tensor([0.6, 1.2, 1.8], dtype=torch.float64))


def test_what_is_read_late_stands_behind_its_readers():
    graph = read_model("explicit_recurrence")
    order = [node.name for node in graph.nodes]
    assert order.index("own") < order.index("lif1")
    assert order.index("back") < order.index("lif2")
    (last,) = (node for node in graph.nodes if node.name == "lif2")
    assert "lif2" in last.sources


def wrapped(wrapper):
    net = nn.Sequential(nn.Linear(8, 8), snntorch.Leaky(beta=0.5, init_hidden=True))
    return wrapper(net)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("wrapper", [nn.DataParallel, torch.compile, lambda net: nn.Sequential(nn.DataParallel(net))])
def test_wrappers_leave_no_prefix(wrapper):
    graph = read_modules(wrapped(wrapper), torch.rand(2, 8)).graph
    assert [node.name.removeprefix("0.") for node in graph.nodes] == ["0", "1"]


def test_the_module_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(), snntorch.Leaky(beta=0.5, init_hidden=True))
    net(torch.rand(4, 8))
    before = net.state_dict(), net[3].mem, vars(net[3]).keys()
    values = [value.clone() for value in before[0].values()]
    for sample in (torch.rand(2, 8), torch.rand(2, 9)):
        with contextlib.suppress(UserError):
            read_modules(net, sample)
    assert net.training
    assert net[2].training
    assert net[3].mem is before[1]
    assert vars(net[3]).keys() == before[2]
    assert all(map(torch.equal, net.state_dict().values(), values))
    assert not net[0]._forward_hooks
    assert nn.Module.__call__.__qualname__ == "Module._wrapped_call_impl"


def test_rows_of_an_image_that_is_only_flattened_are_an_image():
    net = nn.Sequential(nn.Flatten(), nn.Linear(20, 3), snntorch.Leaky(beta=0.5, init_hidden=True))
    assert read_modules(net, torch.rand(2, 4, 5)).graph.shape == (1, 4, 5)


def test_numbers_are_copies_in_float64():
    net = nn.Sequential(nn.Linear(8, 8), snntorch.Leaky(beta=0.5, init_hidden=True))
    dense: Any = read_modules(net, torch.rand(2, 8)).graph.nodes[0]
    weight: Any = net[0].weight
    assert isinstance(dense, Dense)
    assert dense.weight.dtype == torch.float64
    assert torch.equal(dense.weight.float(), weight)
    assert dense.weight.data_ptr() != weight.data_ptr()
