"""QB-LIF nodes in models of SpikingJelly and snnTorch: what they compute, and what they become."""

import importlib.util
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from qblif.errors import UserError
from qblif.network.nodes import Leak
from snn import checkpoint
from snn.bursts import Bursts
from snn.convert.comparison import quantized
from snn.convert.neurons import neuron_form
from snn.convert.sources import from_modules
from snn.layers import SpikingLayer
from snn.neuron import QBLIF
from snn.nodes import QBLIFCell, QBLIFNode, reset_cells
from snn.projections import QuantLinear
from snn.surrogate import Surrogate

STEPS = 5
BATCH = 6
THREE_QUARTERS = Leak(multiplier=3, shift=2)
OPTIONS: list[dict] = [
    {},
    {"burst_bits": 1, "reset": "hard"},
    {"burst_ceiling": 5, "leak": THREE_QUARTERS},
    {"burst_bits": 3, "leak": THREE_QUARTERS, "learn_leak": True, "reset": "hard"},
    {"learn_scale": False, "leak": Leak(multiplier=1, shift=0), "surrogate": Surrogate(name="triangle")},
]


@pytest.fixture(autouse=True)
def seeded():
    """Models are drawn alike, whichever tests ran before."""
    torch.manual_seed(0)


def currents_of(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def node(step_mode="s", **options):
    return QBLIFNode(step_mode=step_mode, **options).double()


def cell(**options):
    return QBLIFCell(**options).double()


def at_once(**options):
    neurons = node("m", **options)
    return neurons, neurons


def step_by_step(**options):
    neurons = node(**options)

    def run(currents):
        return torch.stack([neurons(current) for current in currents])

    return neurons, run


def with_membranes(**options):
    neurons = cell(**options)

    def run(currents):
        mem, sent = neurons.init_leaky(), []
        for current in currents:
            spk, mem = neurons(current, mem)
            sent.append(spk)
        return torch.stack(sent)

    return neurons, run


def with_hidden_membranes(**options):
    neurons = cell(init_hidden=True, **options)

    def run(currents):
        return torch.stack([neurons(current) for current in currents])

    return neurons, run


WAYS = [at_once, step_by_step, with_membranes, with_hidden_membranes]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("way", WAYS)
def test_a_node_is_a_spiking_layer(way, options):
    layer = SpikingLayer(QuantLinear(7, 4, batch_norm=False), QBLIF(**{"burst_bits": 2} | options)).double()
    arriving = torch.randint(0, 4, (STEPS, BATCH, 7)).double()
    bursts = Bursts(counts=arriving, scale=torch.tensor(0.25).double(), ceiling=3, timesteps=STEPS)
    layer(bursts)
    neurons, run = way(**options)
    neurons.neuron.load_state_dict(layer.neuron.state_dict())
    weight: Any = layer.projections[0].weight
    upstream = currents_of(STEPS, BATCH, 4)

    sent = layer(bursts)
    expected = sent.counts * sent.scale
    (expected * upstream).sum().backward()
    gradients = {name: value.grad for name, value in layer.neuron.named_parameters()}
    ours = weight.detach().clone().requires_grad_()
    found = run(functional.linear(arriving * 0.25, ours))
    (found * upstream).sum().backward()

    assert 0.1 < (sent.counts > 0).double().mean() < 0.9
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(ours.grad, weight.grad, rtol=1e-12, atol=1e-12)
    for name, value in neurons.neuron.named_parameters():
        assert (value.grad is None) == (gradients[name] is None) == (not value.requires_grad)
        if value.grad is not None:
            torch.testing.assert_close(value.grad, gradients[name], rtol=1e-12, atol=1e-12)


def test_a_node_continues_until_it_is_reset():
    neurons = node("m")
    currents = currents_of(4, BATCH, 3)
    whole = neurons(currents)
    assert neurons.v.shape == (BATCH, 3)
    neurons.reset()
    assert neurons.v == 0.0
    halves = torch.cat([neurons(currents[:2]), neurons(currents[2:])])
    assert torch.equal(halves, whole)
    assert not torch.equal(neurons(currents), whole)
    neurons.detach()
    assert not neurons.v.requires_grad
    assert not any(name.endswith("v") for name in neurons.state_dict())


def test_a_cell_continues_until_it_is_reset():
    cells = nn.ModuleList([cell(init_hidden=True), cell(init_hidden=True, output=True)])
    current = currents_of(BATCH, 3)
    first, (last, mem) = (one(current) for one in cells)
    assert torch.equal(first, last)
    assert mem is cells[1].mem
    assert not torch.equal(cells[0](current), first)
    reset_cells(cells)
    assert torch.equal(cells[0](current), first)
    assert "mem" not in cells[0].state_dict()


@pytest.mark.parametrize("way", WAYS)
def test_the_first_currents_choose_the_scale(way):
    neurons, run = way(burst_bits=2)
    currents = currents_of(1, BATCH, 30).expand(STEPS, -1, -1).clone()
    currents[0] = 0
    run(currents)
    arrived = currents if way is at_once else currents[1]
    torch.testing.assert_close(neurons.neuron.scale.detach(), 2 * arrived.abs().mean() / 3**0.5)


@pytest.mark.parametrize("make", [node, cell])
def test_eval_mode_chooses_no_scale(make):
    with pytest.raises(UserError, match="run one in training mode first"):
        make().eval()(currents_of(BATCH, 3))


@pytest.mark.parametrize("make", [node, cell])
def test_another_batch_size_cannot_continue(make):
    neurons = make()
    neurons(currents_of(BATCH, 3))
    with pytest.raises(UserError, match="reset the node first"):
        neurons(currents_of(BATCH - 1, 3))
    neurons.reset() if make is node else neurons.reset_mem()
    neurons(currents_of(BATCH - 1, 3))


def test_wrong_arguments():
    with pytest.raises(UserError, match="unknown step_mode 'x'"):
        node("x")
    with pytest.raises(UserError, match="keeps mem itself"):
        cell(init_hidden=True)(currents_of(2, 3), torch.zeros(2, 3))


# In models of the frameworks


class Forward(nn.Module):
    """A module with children and a forward function."""

    def __init__(self, forward, **children):
        super().__init__()
        self.function = forward
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x):
        return self.function(self, x)


def spikingjelly_convolutional():
    """Multi-step, BatchNorm, two poolings, and the mean of the last layer's currents."""
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    helpers = pytest.importorskip("spikingjelly.activation_based.functional")
    stages = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1, bias=False),
        layer.BatchNorm2d(4),
        QBLIFNode(2),
        layer.MaxPool2d(2),
        layer.Conv2d(4, 5, 3),
        QBLIFNode(1, reset="hard", leak=THREE_QUARTERS),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(20, 8),
        QBLIFNode(burst_ceiling=5),
        layer.Linear(8, 4),
    )
    helpers.set_step_mode(stages, "m")

    def forward(self, x):
        return self.stages(x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)).mean(0)

    return Forward(forward, stages=stages)


def spikingjelly_steps():
    """Single-step in a loop, without its layers; the last layer's spikes are added."""

    def forward(self, x):
        return sum(self.stages(x) for _ in range(STEPS))

    stages = nn.Sequential(
        nn.Flatten(), nn.Linear(144, 9), QBLIFNode(3), nn.Linear(9, 4), QBLIFNode(leak=THREE_QUARTERS)
    )
    return Forward(forward, stages=stages)


def snntorch_membranes():
    """The loop of snnTorch's tutorials, with a neuron of its own between two cells."""
    leaky = pytest.importorskip("snntorch").Leaky(beta=0.5, threshold=0.25)
    leaky.spike_grad = Sign.apply  # its own are float32

    def forward(self, x):
        mem1, mem2, mem3 = self.lif1.init_leaky(), self.lif2.init_leaky(), self.lif3.reset_mem()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.conv(x), mem1)
            spk2, mem2 = self.lif2(self.fc1(functional.max_pool2d(spk1, 2).flatten(1)), mem2)
            spk3, mem3 = self.lif3(self.fc2(spk2), mem3)
            spikes.append(spk3)
            membranes.append(mem3)
        return torch.stack(spikes), torch.stack(membranes)

    return Forward(
        forward,
        conv=nn.Conv2d(1, 3, 3),
        lif1=QBLIFCell(2),
        fc1=nn.Linear(75, 12),
        lif2=leaky,
        fc2=nn.Linear(12, 4),
        lif3=QBLIFCell(2, reset="hard"),
    )


class Sign(torch.autograd.Function):
    """Spikes of the membrane's own type, and a straight gradient."""

    @staticmethod
    def forward(_, membrane):
        return (membrane > 0).to(membrane.dtype)

    @staticmethod
    def backward(_, *gradients):
        return gradients[0]


def snntorch_hidden():
    """Hidden membranes; what the model returns are the currents of its last layer, in a list."""

    def forward(self, x):
        reset_cells(self)
        return [self.stages(x) for _ in range(STEPS)]

    cells = (QBLIFCell(2, init_hidden=True), QBLIFCell(1, init_hidden=True))
    stages = nn.Sequential(nn.Flatten(), nn.Linear(144, 9), cells[0], nn.Linear(9, 7), cells[1], nn.Linear(7, 4))
    return Forward(forward, stages=stages)


def residual():
    """A skip past a layer."""

    def forward(self, x):
        total = 0
        for _ in range(STEPS):
            early = self.first(self.conv1(x))
            late = self.second(self.conv2(early) + early)
            total = total + self.fc(late.flatten(1))
        return total

    return Forward(
        forward,
        conv1=nn.Conv2d(1, 3, 3, stride=2),
        first=QBLIFNode(2),
        conv2=nn.Conv2d(3, 3, 3, padding=1),
        second=QBLIFNode(2),
        fc=nn.Linear(75, 4),
    )


MODELS = [spikingjelly_convolutional, spikingjelly_steps, snntorch_membranes, snntorch_hidden, residual]


def pixels(count=24):
    return torch.randint(0, 256, (count, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


def at_rest(model):
    for module in model.modules():
        if isinstance(module, QBLIFNode):
            module.reset()
    reset_cells(model)


def answer(result):
    """One number for each class, (batch, classes), of what a model returns."""
    result = result[0] if isinstance(result, tuple) else result
    result = torch.stack(result) if isinstance(result, list) else result
    return result.sum(0) if result.dim() == 3 else result


def trained(make):
    """A model after some steps."""
    torch.manual_seed(4)
    model = make().double()
    samples = pixels() / 255.0
    labels = torch.arange(len(samples)) % 4
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model(samples.double())
    scales = [one.neuron.rho for one in nodes_of(model).values()]
    for scale in scales:
        scale.data -= 1.0  # neurons that fire often
    before = [scale.item() for scale in scales]
    for _ in range(6):
        at_rest(model)
        loss = functional.cross_entropy(answer(model(samples.double())), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(scale.item() != first for scale, first in zip(scales, before, strict=True))
    at_rest(model)
    return model.eval()


def nodes_of(model):
    return {name: one for name, one in model.named_modules() if isinstance(one, QBLIFNode | QBLIFCell)}


@torch.no_grad()
def counts_of(model, samples):
    """The bursts of every node, (T, batch, ...), and what the model answers."""
    found: dict[str, list] = {name: [] for name in nodes_of(model)}

    def keep(name):
        def hook(one, _, output):
            sent = output[0] if isinstance(output, tuple) else output
            counts = sent / one.neuron.scale
            assert (counts - counts.round()).abs().max() < 1e-12
            found[name].extend(counts.round() if getattr(one, "step_mode", "s") == "m" else [counts.round()])

        return hook

    hooks = [one.register_forward_hook(keep(name)) for name, one in nodes_of(model).items()]
    at_rest(model)
    result = answer(model(samples))
    at_rest(model)
    for hook in hooks:
        hook.remove()
    return {name: torch.stack(counts) for name, counts in found.items()}, result


@pytest.mark.parametrize("make", MODELS)
def test_a_trained_model_converts_exactly(make):
    model = trained(make)
    samples = pixels(40)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    converted = from_modules(model, samples[:2] / 255.0)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    expected, result = counts_of(model, samples.double() / 255)
    with torch.no_grad():
        values = converted.eval().run(samples)
    for name, counts in expected.items():
        assert 0.1 < (counts > 0).double().mean() < 0.9, name
        sent = values[name]
        assert isinstance(sent, Bursts)
        assert torch.equal(sent.counts, counts), name
        assert sent.ceiling == model.get_submodule(name).neuron.burst_ceiling
    logits = values[converted.last]
    assert isinstance(logits, Tensor)
    unit = {spikingjelly_convolutional: 1 / STEPS}.get(make, 1.0)
    if make in (spikingjelly_steps, snntorch_membranes):  # a count of bursts, each worth the last scale
        unit = list(nodes_of(model).values())[-1].neuron.scale
    torch.testing.assert_close(logits * unit, result, rtol=1e-12, atol=1e-12)
    assert torch.equal(logits.argmax(1), result.argmax(1)) or make in (spikingjelly_steps, snntorch_membranes)

    integers = quantized(converted, samples)
    content = checkpoint.describe(integers, samples, torch.zeros(len(samples), dtype=torch.long))
    assert content["kind"] == "qat"
    ceilings = [layer["burst_ceiling"] for layer in content["layers"] if layer["kind"] == "population"]
    assert [one.neuron.burst_ceiling for one in nodes_of(model).values()] == [
        ceiling for ceiling, name in zip(ceilings, converted.scales, strict=True) if name in expected
    ]


def test_spikingjelly_s_helpers_know_the_node(caplog):
    helpers = pytest.importorskip("spikingjelly.activation_based.functional")
    base = pytest.importorskip("spikingjelly.activation_based.base")
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    net = nn.Sequential(layer.Linear(7, 5), QBLIFNode(2), layer.Linear(5, 3), QBLIFNode(2)).double()
    current = currents_of(STEPS, BATCH, 7)
    helpers.set_step_mode(net, "m")
    whole = net(current)
    assert [one.step_mode for one in nodes_of(net).values()] == ["m", "m"]
    helpers.reset_net(net)
    assert [one.v for one in nodes_of(net).values()] == [0.0, 0.0]
    helpers.set_step_mode(net, "s")
    steps = [net(one) for one in current]
    assert torch.equal(torch.stack(steps), whole)
    helpers.detach_net(net)
    assert not any(one.v.requires_grad for one in nodes_of(net).values())
    assert len(base.extract_memories(net)) == 2
    helpers.reset_net(net)
    assert torch.equal(helpers.multi_step_forward(current, net), whole)
    helpers.reset_net(net)
    results, states = base.to_functional_forward(net)((current[0],), (0.0, 0.0))
    assert torch.equal(results[0], whole[0])
    assert [state.shape for state in states] == [(BATCH, 5), (BATCH, 3)]
    assert not caplog.records


def test_without_spikingjelly(monkeypatch):
    monkeypatch.setitem(sys.modules, "spikingjelly.activation_based.base", None)
    spec = importlib.util.find_spec("snn.nodes")
    assert spec is not None
    assert spec.loader is not None
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    assert alone.QBLIFNode.__mro__[1] is nn.Module
    ours, theirs = alone.QBLIFNode(2, step_mode="m").double(), node("m")
    currents = currents_of(STEPS, BATCH, 3)
    assert torch.equal(ours(currents), theirs(currents))
    ours.detach()
    model = nn.Sequential(nn.Linear(3, 3), ours).double()
    ours.step_mode = "s"
    assert neuron_form(ours) == neuron_form(theirs)
    layer: Any = from_modules(model, torch.zeros(2, 3), timesteps=2).layer("1")
    assert layer.neuron.burst_ceiling == 3
    assert ours.v.shape == (BATCH, 3)
    ours.reset()
    assert ours.v == 0.0


def test_the_form_of_a_node():
    neurons = node("m", burst_ceiling=5, leak=THREE_QUARTERS, reset="hard")
    neurons(currents_of(STEPS, BATCH, 3))
    form = neuron_form(neurons)
    assert form.scale == form.amplitude == neurons.neuron.scale.item()
    assert (form.firing, form.burst_ceiling, form.reset, form.decay.leak) == ("nearest", 5, "hard", THREE_QUARTERS)
    assert form.rounding(4) == 8


def test_a_learned_leak_becomes_a_near_fraction():
    neurons = node(learn_leak=True)
    neurons(currents_of(BATCH, 3))
    assert neuron_form(neurons).decay.error == 0
    assert neurons.neuron.decay.raw is not None
    neurons.neuron.decay.raw.data += 1.0
    decay = neuron_form(neurons).decay
    assert decay.beta == torch.sigmoid(torch.tensor(1.0).double()).item()
    assert 0 < abs(decay.error) < 2**-9


def refused(module):
    with pytest.raises(UserError) as caught:
        neuron_form(module)
    return str(caught.value)


def test_what_is_refused():
    assert "no batch has chosen its scale" in refused(node())
    with pytest.raises(UserError, match="run one in training mode first"):
        from_modules(nn.Sequential(nn.Linear(3, 3), QBLIFNode(2)), torch.zeros(2, 3), timesteps=2)
    changed = cell()
    changed(currents_of(BATCH, 3))
    changed.neuron.threshold = 0.25
    assert "options that snn.nodes does not name" in refused(changed)
    changed.neuron = nn.Identity()
    assert "its neurons were exchanged" in refused(changed)
    changed.extra = 1
    assert "attribute extra is not known" in refused(changed)
    broken = node()
    broken(currents_of(BATCH, 3))
    with torch.no_grad():
        broken.neuron.rho.fill_(torch.nan)
    assert "its scale is nan" in refused(broken)


def test_a_derived_node_and_a_returned_membrane_are_refused():
    derived = type("Mine", (QBLIFCell,), {"__module__": "mine"})
    for neurons, words in ((derived(2), "is derived from a framework's neuron"), (QBLIFCell(2), "return spikes, or")):
        model = Forward(lambda self, x: self.neurons(self.fc(x))[1], fc=nn.Linear(3, 3), neurons=neurons)
        model(torch.rand(2, 3))
        with pytest.raises(UserError, match=words):
            from_modules(model, torch.rand(2, 3), timesteps=2)
