"""Models of snnTorch and SpikingJelly as graphs; their own spikes are compared with those of the graph."""

import pytest
import torch

from snn.convert.graph import Neurons
from snn.convert.modules import read_modules
from snn.convert.recording import untouched
from tests.snn.convert.framework_models import MODELS
from tests.snn.convert.graph_reference import run


def module_of(model):
    pytest.importorskip(model.framework, reason="pip install 'qblif[frameworks]'")
    return model.module()


def inputs_of(model, reading, samples):
    """What the graph gets, (T, batch, C, H, W)."""
    if model.called is not None:
        inputs = torch.stack(samples)
    elif reading.time_axis is None:
        inputs = torch.stack(samples * reading.timesteps)
    else:
        inputs = samples[0].movedim(reading.time_axis, 0)
    return inputs.reshape(*inputs.shape[:2], *reading.graph.shape)


@torch.no_grad()
def framework_run(module, graph, samples):
    """What the framework's neurons send, {name: (T, batch, features)}, and what the model returns."""
    spikes: dict[str, list] = {}
    names = {node.name for node in graph.nodes if isinstance(node, Neurons)}

    def keep(name):
        def hook(one, _, output):
            sent = output[0] if isinstance(output, tuple) else output
            several = getattr(one, "step_mode", "s") == "m"
            spikes.setdefault(name, []).extend(sent.clone() if several else [sent.clone()])

        return hook

    hooks = [one.register_forward_hook(keep(name)) for name, one in module.named_modules() if name in names]
    with untouched(module):
        results = [module(sample) for sample in samples]
    for hook in hooks:
        hook.remove()
    assert set(spikes) == names
    return {name: torch.stack(sent).flatten(2) for name, sent in spikes.items()}, results


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
    outputs = run(reading.graph, inputs_of(model, reading, samples))
    assert sum(sent.numel() for sent in spikes.values()) > 2000
    for name, sent in spikes.items():
        assert 0.01 < sent.clamp(max=1).mean() < 0.95, name
        assert torch.equal(outputs[name].flatten(2), sent), name
    given = torch.stack([first(one) for one in results]) if model.called else first(results[0])
    if reading.output.over_time == "each" and not model.called and isinstance(results[0], list):
        given = torch.stack(results[0])
    expected = REDUCE[reading.output.over_time](outputs[reading.graph.output])
    torch.testing.assert_close(given, expected.reshape(given.shape))


def first(result):
    return result[0] if isinstance(result, tuple) else result
