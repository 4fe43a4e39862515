"""Models that cannot be converted: one line that names the layer and the way out."""

import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from qblif.errors import UserError
from snn.convert.modules.reader import read_modules

snn = pytest.importorskip("snntorch", reason="pip install 'qblif[frameworks]'")
spikegen = pytest.importorskip("snntorch.spikegen")


class Net(nn.Module):
    """Two layers and two neurons, and a forward function that uses them."""

    def __init__(self, forward, **children):
        super().__init__()
        self.function = forward
        self.fc, self.lif = nn.Linear(8, 8), leaky()
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x):
        return self.function(self, x)


def leaky(**options):
    return snn.Leaky(beta=0.5, init_hidden=True, **options)


def dense(*layers, end=None):
    return nn.Sequential(nn.Linear(8, 8), *layers, leaky() if end is None else end)


def images(*layers):
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), *layers, leaky())


def functions(function):
    """A network with a function between its layer and its neuron."""
    return Net(lambda net, x: net.lif(function(net.fc(x))))


def loop(step, **children):
    return Net(lambda net, x: torch.stack([step(net, x, time) for time in range(3)]), **children)


def with_hook():
    net = dense()
    net[0].register_forward_hook(lambda *_: None)
    return net


def with_nan():
    net = dense()
    with torch.no_grad():
        net[0].weight[0, 0] = float("nan")
    return net


def foreign_state(net, x):
    _, other = net.first(net.fc(x))
    return net.second(net.fc(x), other)[0]


def rates(net, x):
    return torch.stack([net.lif(net.fc(one)) for one in spikegen.rate(x, num_steps=3)])


Leaky: Any = snn.Leaky


class Derived(Leaky):
    """A neuron that somebody changed."""


def unseen_value(net, x):
    """Reads a value in a way that no recording sees."""
    return net.lif(net.fc(x) * (1 + x.untyped_storage()[0]))


def now_and_before(net, x):
    mem, spikes, outputs = net.first.init_leaky(), torch.zeros(2, 8), []
    for _ in range(3):
        before = spikes
        spikes, mem = net.first(net.fc(x), mem)
        outputs.append(net.lif(spikes + before))
    return outputs


X, IMAGES, SEQUENCE = torch.rand(2, 8), torch.rand(2, 1, 8, 8), torch.rand(3, 2, 8)
CASES = {
    "transposed convolution": (lambda: images(nn.ConvTranspose2d(2, 2, 3)), IMAGES, "1 (ConvTranspose2d)", "stride"),
    "GRU": (lambda: Net(lambda net, x: net.lif(net.gru(x)[0]), gru=nn.GRU(8, 8)), X, "gru (GRU)", "RLeaky"),
    "softmax inside": (lambda: dense(nn.Softmax(1)), X, "1 (Softmax)", "leave it out"),
    "softmax at the end": (lambda: nn.Sequential(dense(), nn.Softmax(1)), X, "1 (Softmax)", "what the model returns"),
    "softmax as a function": (lambda: functions(lambda x: x.softmax(1)), X, "function softmax", "leave it out"),
    "argmax": (lambda: Net(lambda net, x: net.lif(net.fc(x)).argmax(1)), X, "function argmax", "leave it out"),
    "layer norm": (lambda: dense(nn.LayerNorm(8)), X, "1 (LayerNorm)", "BatchNorm"),
    "ReLU": (lambda: dense(nn.ReLU()), X, "1 (ReLU)", "a spiking neuron"),
    "ReLU as a function": (lambda: functions(functional.relu), X, "function relu", "a spiking neuron"),
    "convolution over volumes": (lambda: images(nn.Conv3d(2, 1, 1)), IMAGES, "1 (Conv3d)", "one or two axes"),
    "attention": (
        lambda: Net(lambda net, x: net.lif(net.att(x, x, x)[0]), att=nn.MultiheadAttention(8, 2)),
        SEQUENCE,
        "att (MultiheadAttention)",
        "take one of",
    ),
    "average of parts of windows": (
        lambda: images(nn.AvgPool2d(2, padding=1, count_include_pad=False)),
        IMAGES,
        "1 (AvgPool2d)",
        "set it to True",
    ),
    "ceil_mode": (lambda: images(nn.AvgPool2d(2, ceil_mode=True)), IMAGES, "1 (AvgPool2d)", "set False"),
    "divisor_override": (lambda: images(nn.AvgPool2d(2, divisor_override=3)), IMAGES, "1 (AvgPool2d)", "kernel's size"),
    "indices of a maximum": (
        lambda: images(nn.MaxPool2d(2, return_indices=True)),
        IMAGES,
        "1 (MaxPool2d)",
        "set it to False",
    ),
    "dilated maximum": (lambda: images(nn.MaxPool2d(2, dilation=2)), IMAGES, "1 (MaxPool2d)", "pool without it"),
    "unequal windows": (lambda: images(nn.AdaptiveAvgPool2d(3)), IMAGES, "1 (AdaptiveAvgPool2d)", "sizes that divide"),
    "padding_mode": (
        lambda: images(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")),
        IMAGES,
        "1 (Conv2d)",
        "'zeros'",
    ),
    "no running statistics": (
        lambda: dense(nn.BatchNorm1d(8, track_running_stats=False)),
        X,
        "1 (BatchNorm1d)",
        "track_running_stats=True",
    ),
    "forward hook": (with_hook, X, "0 (Linear)", "remove it"),
    "NaN": (with_nan, X, "0: weight", "not finite"),
    "random coding": (lambda: Net(rates), X, "function", "option of the conversion"),
    "random numbers": (
        lambda: functions(lambda x: x + torch.rand_like(x)),
        X,
        "function rand_like",
        "option of the conversion",
    ),
    "dropout that always drops": (
        lambda: functions(functional.dropout),
        X,
        "function dropout",
        "training=self.training",
    ),
    "unused layer": (
        lambda: Net(lambda net, x: net.lif(net.fc(x)), more=nn.Linear(8, 8)),
        X,
        "more (Linear)",
        "take it",
    ),
    "product of signals": (lambda: functions(lambda x: x * x), X, "function mul", "constant factors"),
    "shared neuron": (lambda: Net(lambda net, x: net.lif(net.lif(net.fc(x)))), X, "lif (Leaky)", "at one place"),
    "reset within the loop": (
        lambda: loop(lambda net, x, _: (net.lif.reset_mem(), net.lif(net.fc(x)))[1]),
        X,
        "lif (Leaky)",
        "reset only before the first",
    ),
    "another neuron's state": (
        lambda: Net(foreign_state, first=snn.Leaky(beta=0.5), second=snn.Leaky(beta=0.5)),
        X,
        "second (Leaky)",
        "begin with zeros",
    ),
    "timesteps differ": (
        lambda: loop(lambda net, x, time: net.lif(net.fc(x) if time % 2 else net.other(x)), other=nn.Linear(8, 8)),
        X,
        "lif (Leaky)",
        "let every timestep compute the same",
    ),
    "structure from values": (
        lambda: Net(lambda net, x: net.lif(net.fc(x)) if x[0, 0] > 0.5 else net.fc(x)),
        X,
        "function __getitem__",
        "take whole timesteps",
    ),
    "value that is not seen": (lambda: Net(unseen_value), X, "the model", "another input"),
    "values in Python": (lambda: functions(lambda x: x * x.tolist()[0][0]), X, "function tolist", "leave it out"),
    "part of the features": (lambda: functions(lambda x: x[:, :8:2]), X, "function __getitem__", "take all of it"),
    "no neuron": (lambda: nn.Sequential(nn.Linear(8, 8)), X, "the model", "convert a spiking network"),
    "not a sample": (lambda: dense(), torch.rand(2, 9), "the model", "does not run on the sample"),
    "membrane of a neuron that fires": (
        lambda: Net(lambda net, x: net.out(net.fc(x))[1], out=leaky(output=True)),
        X,
        "out (Leaky)",
        "reset_mechanism='none'",
    ),
    "two layers returned": (
        lambda: Net(lambda net, x: (net.lif(net.fc(x)), net.out(net.fc(x))), out=leaky()),
        X,
        "the model",
        "of one layer",
    ),
    "membrane as a current": (
        lambda: Net(lambda net, x: net.lif(net.own(net.fc(x))[1]), own=snn.Leaky(beta=0.5)),
        X,
        "own (Leaky)",
        "read its spikes",
    ),
    "neuron of another kind": (lambda: dense(snn.Lapicque(beta=0.5)), X, "1 (Lapicque)", "take one of Leaky"),
    "derived neuron": (lambda: dense(Derived(beta=0.5, init_hidden=True)), X, "1 (Derived)", "take the original"),
    "unlike decays": (lambda: dense(end=snn.Leaky(beta=torch.rand(8))), X, "1 (Leaky): beta differs", "one value"),
    "unlike thresholds in a channel": (
        lambda: nn.Sequential(nn.Conv2d(1, 1, 3), leaky(threshold=torch.rand(1, 6, 6))),
        IMAGES,
        "1 (Leaky): threshold",
        "for each channel",
    ),
    "threshold below 0": (
        lambda: dense(end=leaky(threshold=torch.linspace(-1, 1, 8))),
        X,
        "1 (Leaky): threshold",
        "above 0",
    ),
    "late reset to zero": (
        lambda: dense(end=snn.RLeaky(beta=0.5, linear_features=8, reset_mechanism="zero")),
        X,
        "1 (RLeaky)",
        "reset_delay=False",
    ),
    "RSynaptic that resets to zero": (
        lambda: dense(end=snn.RSynaptic(alpha=0.5, beta=0.5, linear_features=8, reset_mechanism="zero")),
        X,
        "1 (RSynaptic)",
        "'subtract'",
    ),
    "axes in another order": (
        lambda: Net(lambda net, x: net.lif(net.conv(x.permute(0, 3, 1, 2))), conv=nn.Conv2d(1, 1, 3)),
        torch.rand(2, 8, 8, 1),
        "conv (Conv2d)",
        "(N, C, H, W)",
    ),
    "in place": (lambda: Net(in_place), X, "function add_", "make a new one"),
    "spikes of now and before": (
        lambda: Net(now_and_before, first=snn.Leaky(beta=0.5)),
        X,
        "first: reads",
        "a layer of its own",
    ),
    "layer after a maximum over time": (
        lambda: Net(lambda net, x: net.out(torch.stack([net.lif(net.fc(x))]).amax(0)), out=nn.Linear(8, 8)),
        X,
        "out (Linear)",
        "every timestep",
    ),
    "layer after a sum over time": (
        lambda: Net(lambda net, x: net.out(torch.stack([net.lif(net.fc(x))]).sum(0)), out=nn.Linear(8, 8)),
        X,
        "out (Linear)",
        "every timestep",
    ),
    "only the first timesteps": (
        lambda: Net(lambda net, x: torch.stack([net.lif(net.fc(x)) for _ in range(3)][:2])),
        X,
        "the model returns 2 of its 3 timesteps",
        "all of them",
    ),
    "output of a timestep in between": (
        lambda: Net(lambda net, x: [net.lif(net.fc(x)) for _ in range(3)][1]),
        X,
        "the model returns the previous spikes of lif",
        "of one layer",
    ),
}


def in_place(net, x):
    current = net.fc(x)
    view = current.detach()
    current += 1
    return net.lif(view)


@pytest.mark.parametrize("name", CASES)
def test_what_is_refused_names_the_layer_and_the_way_out(name):
    make, sample, label, way_out = CASES[name]
    with pytest.raises(UserError, match=re.escape(way_out)) as caught:
        read_modules(make(), sample)
    message = str(caught.value)
    assert label in message
    assert "\n" not in message
    assert len(message) < 500
