"""Networks of snnTorch and SpikingJelly, as people write them, to be converted."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

STEPS = 6
BATCH = 24


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network.

    Attributes:
        make: makes the module.
        shape: of the sample.
        called: how often the caller calls it; None for a network that has its own timesteps.
        strength, lift: factor of its weights, and of their absolute values, so that its neurons fire.
        exact: whether its thresholds are multiples of a power of two, and nothing rounds half to even.
    """

    name: str
    framework: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    called: int | None = None
    strength: float = 2.0
    lift: float = 0.25
    exact: bool = True

    def module(self) -> nn.Module:
        torch.manual_seed(len(self.name) + 1)
        module = self.make().double()
        with torch.no_grad():
            one: Any
            statistic: Any
            for one in module.modules():
                if type(one).__module__.startswith("snntorch") and hasattr(one, "spike_grad"):
                    one.spike_grad = whole_spikes  # its own are float32
                if isinstance(one, nn.Linear | nn.Conv1d | nn.Conv2d):
                    one.weight += one.weight.abs() * self.lift
                    one.weight *= self.strength
                if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d):
                    for statistic in (one.running_mean, one.bias):
                        statistic.normal_(0.0, 0.3)
                    for statistic in (one.running_var, one.weight):
                        statistic.uniform_(0.5, 2.0)
        return module.eval()

    def sample(self) -> Tensor:
        return torch.rand(self.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def whole_spikes(membrane: Tensor) -> Tensor:
    return (membrane > 0).to(membrane.dtype)


MODELS: list[Model] = []


def model(framework: str, *shape: int, called: int | None = None, **options: Any):
    """Adds what a function makes to the models."""

    def add(make):
        name = make.__name__
        MODELS.append(Model(name=name, framework=framework, make=make, shape=shape, called=called, **options))
        return make

    return add


class Forward(nn.Module):
    """A module with children and a forward function."""

    def __init__(self, forward, **children):
        super().__init__()
        self.function = forward
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x):
        return self.function(self, x)


def snn():
    return import_module("snntorch")


def sj(name):
    return import_module(f"spikingjelly.activation_based.{name}")


@model("snntorch", BATCH, 10)
def tutorial_dense():
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)

    layers = {"fc1": nn.Linear(10, 40), "lif1": snn().Leaky(beta=0.75, threshold=0.4)}
    return Forward(forward, **layers, fc2=nn.Linear(40, 10), lif2=snn().Leaky(beta=0.5))


@model("snntorch", BATCH, 1, 14, 14)
def tutorial_convolutional():
    def forward(self, x):
        mem1, mem2, mem3 = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem()
        spikes = []
        for _ in range(STEPS):
            cur1 = functional.max_pool2d(self.conv1(x), 2)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.conv2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            pooled = functional.max_pool2d(spk2, 2)
            cur3 = self.fc1(pooled.view(x.size(0), -1))
            spk3, mem3 = self.lif3(cur3, mem3)
            spikes.append(spk3)
        return torch.stack(spikes)

    leaky = snn().Leaky
    return Forward(
        forward,
        conv1=nn.Conv2d(1, 4, 3, padding=1),
        lif1=leaky(beta=0.5, threshold=0.3),
        conv2=nn.Conv2d(4, 6, 3, padding="same"),
        lif2=leaky(beta=0.5, threshold=0.5, reset_mechanism="zero"),
        fc1=nn.Linear(54, 10),
        lif3=leaky(beta=0.5),
    )


@model("snntorch", STEPS, BATCH, 8)
def time_first():
    def forward(self, x):
        syn, mem = self.lif1.init_synaptic()
        mem2 = self.lif2.init_leaky()
        spikes = []
        for step in range(x.shape[0]):
            spk, syn, mem = self.lif1(self.fc1(x[step]), syn, mem)
            spk2, mem2 = self.lif2(self.fc2(spk), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)

    lif1 = snn().Synaptic(alpha=0.5, beta=0.75, threshold=1.0)
    return Forward(forward, fc1=nn.Linear(8, 30), lif1=lif1, fc2=nn.Linear(30, 5), lif2=snn().Leaky(beta=0.5))


@model("snntorch", BATCH, STEPS, 2, 6, 6)
def time_second():
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        total = torch.zeros(x.shape[0], 5, dtype=x.dtype)
        for step in range(x.size(1)):
            spk1, mem1 = self.lif1(self.pool(self.conv(x[:, step])), mem1)
            spk2, mem2 = self.lif2(self.fc(torch.flatten(spk1, 1)), mem2)
            total += spk2
        return total / x.size(1)

    return Forward(
        forward,
        conv=nn.Conv2d(2, 6, (3, 4), stride=(1, 2), padding=(1, 2), dilation=(2, 1), groups=2),
        pool=nn.AvgPool2d(2),
        lif1=snn().Leaky(beta=1.0, threshold=0.5),
        fc=nn.Linear(24, 5),
        lif2=snn().Leaky(beta=0.5, threshold=0.6),
    )


@model("snntorch", BATCH, 1, 8, 8, called=STEPS)
def hidden_states():
    leaky = snn().Leaky
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        leaky(beta=0.5, init_hidden=True, threshold=0.5),
        nn.MaxPool2d(2),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(36, 10),
        leaky(beta=0.75, init_hidden=True, output=True, threshold=torch.tensor(0.5), learn_beta=True),
    )


@model("snntorch", BATCH, 10, strength=1.5)
def recurrent_dense():
    def forward(self, x):
        spk1, mem1 = self.lif1.init_rleaky()
        spk2, mem2 = self.lif2.init_rleaky()
        spikes = []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x), spk1, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), spk2, mem2)
            spikes.append(spk2)
        return torch.stack(spikes)

    return Forward(
        forward,
        fc1=nn.Linear(10, 30),
        lif1=snn().RLeaky(beta=0.5, linear_features=30, threshold=0.6),
        fc2=nn.Linear(30, 8),
        lif2=snn().RLeaky(
            beta=0.75, all_to_all=False, V=torch.rand(8) - 0.5, reset_mechanism="zero", reset_delay=False
        ),
    )


@model("snntorch", BATCH, 2, 6, 6, called=STEPS)
def recurrent_convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        snn().RLeaky(beta=0.5, conv2d_channels=3, kernel_size=3, init_hidden=True, threshold=0.5),
        nn.Conv2d(3, 4, 3),
        snn().RSynaptic(alpha=0.5, beta=0.5, conv2d_channels=4, kernel_size=(1, 3), init_hidden=True),
        nn.Conv2d(4, 2, 3),
        snn().RSynaptic(alpha=0.5, beta=0.5, all_to_all=False, V=0.25, init_hidden=True, output=True),
    )


@model("snntorch", STEPS, BATCH, 8, lift=0.5)
def explicit_recurrence():
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spk1 = torch.zeros(x.shape[1], 20, dtype=x.dtype)
        spk2 = torch.zeros(x.shape[1], 5, dtype=x.dtype)
        spikes = []
        for x_t in x:
            spk1, mem1 = self.lif1(self.fc1(x_t) + self.own(spk1) + self.back(spk2), mem1)
            spk2, mem2 = self.lif2(0.5 * self.fc2(spk1) + spk2, mem2)
            spikes.append(spk2)
        return torch.stack(spikes)

    return Forward(
        forward,
        fc1=nn.Linear(8, 20),
        own=nn.Linear(20, 20),
        back=nn.Linear(5, 20, bias=False),
        lif1=snn().Leaky(beta=0.5),
        fc2=nn.Linear(20, 5),
        lif2=snn().Leaky(beta=0.5, threshold=0.25),
    )


@model("snntorch", BATCH, 8, lift=0.5)
def layers_one_timestep_behind():
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spk1 = torch.zeros(x.shape[0], 20, dtype=x.dtype)
        spikes = []
        for _ in range(STEPS):
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spikes.append(spk2)
        return spikes

    layers = {"fc1": nn.Linear(8, 20), "lif1": snn().Leaky(beta=0.5), "fc2": nn.Linear(20, 15)}
    return Forward(forward, **layers, lif2=snn().Leaky(beta=0.75, threshold=0.75))


@model("snntorch", BATCH, 3, 8, 8)
def shared_and_skipped():
    def forward(self, x):
        mem1, mem2, mem3 = (lif.init_leaky() for lif in (self.lif1, self.lif2, self.lif3))
        rest = torch.tensor([0.5, 0.25, 0.125], dtype=x.dtype).view(1, 3, 1, 1)
        x = (x - rest) / 0.5
        spikes = []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.conv(x), mem1)
            spk2, mem2 = self.lif2(self.conv(spk1), mem2)
            spk2 = spk2 + spk1
            pooled = spk2.mean(dim=(2, 3))
            spk3, mem3 = self.lif3(self.fc(pooled), mem3)
            spikes += [spk3]
        return sum(spikes)

    leaky = snn().Leaky
    return Forward(
        forward,
        conv=nn.Conv2d(3, 3, 3, padding=1),
        lif1=leaky(beta=0.5),
        lif2=leaky(beta=0.5, threshold=torch.tensor([0.3, 0.6, 0.9])[:, None, None]),
        fc=nn.Linear(3, 6),
        lif3=leaky(beta=0.5, threshold=torch.linspace(0.2, 0.9, 6), learn_threshold=True),
    )


@model("snntorch", BATCH, 12)
def membrane_output():
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        record = torch.zeros(STEPS, x.shape[0], 3, dtype=x.dtype)
        for step in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            _, mem2 = self.lif2(self.fc2(spk1), mem=mem2)
            record[step] = mem2
        return record.max(0)[0]

    lif2 = snn().Leaky(beta=0.75, reset_mechanism="none")
    return Forward(forward, fc1=nn.Linear(12, 20), lif1=snn().Leaky(beta=0.5), fc2=nn.Linear(20, 3), lif2=lif2)


@model("snntorch", BATCH, 4, 16)
def one_axis():
    def forward(self, x):
        mem1, mem2, mem3 = (lif.init_leaky() for lif in (self.lif1, self.lif2, self.lif3))
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.norm(self.conv1(x)), mem1)
            spk2, mem2 = self.lif2(self.pool(self.conv2(spk1)), mem2)
            spk3, mem3 = self.lif3(self.fc(self.last(spk2).flatten(start_dim=1)), mem3)
        return spk3

    return Forward(
        forward,
        conv1=nn.Conv1d(4, 6, 4, padding="same", dilation=3),
        norm=nn.BatchNorm1d(6),
        lif1=snn().Leaky(beta=0.5),
        conv2=nn.Conv1d(6, 4, 3, stride=2, padding=1, groups=2, bias=False),
        pool=nn.AvgPool1d(2),
        lif2=snn().Leaky(beta=0.5, threshold=0.25),
        last=nn.AdaptiveMaxPool1d(2),
        fc=nn.Linear(8, 4),
        lif3=snn().Leaky(beta=0.5, threshold=0.5),
    )


def convolutional_layers(step_mode):
    layer, neuron = sj("layer"), sj("neuron")
    net = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1, bias=False),
        layer.BatchNorm2d(4),
        neuron.IFNode(v_threshold=0.5),
        layer.MaxPool2d(2),
        layer.Conv2d(4, 6, 3, padding=1, bias=False),
        layer.BatchNorm2d(6),
        neuron.LIFNode(tau=2.0, v_threshold=0.25),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Dropout(0.5),
        layer.Linear(24, 20, bias=False),
        neuron.LIFNode(tau=4.0, decay_input=False, v_reset=None),
        layer.Linear(20, 10),
        neuron.ParametricLIFNode(init_tau=2.0, v_threshold=0.25),
        layer.VotingLayer(2),
    )
    sj("functional").set_step_mode(net, step_mode)
    return net


@model("spikingjelly", BATCH, 1, 8, 8, lift=0.0)
def direct_encoding():
    return Forward(
        lambda self, x: self.net(x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)).mean(0), net=convolutional_layers("m")
    )


@model("spikingjelly", BATCH, 1, 8, 8, lift=0.0)
def encoder_outside_of_the_loop():
    def forward(self, x):
        current = self.bn(self.conv(x))
        rates = 0
        for _ in range(STEPS):
            rates += self.fc(self.net(current))
        return rates / STEPS

    layer, neuron = sj("layer"), sj("neuron")
    net = nn.Sequential(neuron.IFNode(v_reset=-0.5), layer.AvgPool2d(2), layer.Flatten())
    fc = nn.Sequential(layer.Linear(64, 10), neuron.IFNode(v_threshold=0.5))
    return Forward(forward, conv=nn.Conv2d(1, 4, 3, padding=1), bn=nn.BatchNorm2d(4), net=net, fc=fc)


@model("spikingjelly", STEPS, BATCH, 1, 8, 8, lift=0.0)
def sequence():
    return convolutional_layers("m")


@model("spikingjelly", BATCH, 1, 8, 8, called=STEPS, lift=0.0)
def single_steps():
    return convolutional_layers("s")


@model("spikingjelly", BATCH, STEPS, 2, 8, 8, lift=0.0, exact=False)
def containers():
    layer, neuron, helpers = sj("layer"), sj("neuron"), sj("functional")

    def forward(self, x):
        x = x.transpose(0, 1)
        x = self.first(x)
        x = helpers.seq_to_ann_forward(x, [self.conv, self.bn])
        x = self.second(x)
        steps, batch = x.shape[:2]
        x = functional.adaptive_avg_pool2d(x.flatten(0, 1), 2).view(steps, batch, -1)
        return self.fc(self.last(self.hidden(x))).mean(0)

    return Forward(
        forward,
        first=nn.Sequential(
            layer.SeqToANNContainer(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)),
            neuron.ILIFNode(
                tau=2.0, v_threshold=0.3, surrogate_function=sj("surrogate").MultiLevelSpikeCount(3), step_mode="m"
            ),
        ),
        conv=nn.Conv2d(4, 4, 3, padding=1),
        bn=nn.BatchNorm2d(4),
        second=layer.MultiStepContainer(neuron.LIFNode(tau=2.0, v_threshold=0.5), nn.MaxPool2d(2)),
        hidden=layer.StepModeContainer(True, "m", nn.Linear(16, 12), neuron.LIFNode(tau=2.0, v_threshold=0.2)),
        last=layer.StepModeContainer(False, "m", nn.Linear(12, 10)),
        fc=nn.Sequential(neuron.IFNode(step_mode="m", v_threshold=0.5), layer.Linear(10, 3, step_mode="m")),
    )


class Block(nn.Module):
    """A residual block in which spikes are added."""

    def __init__(self, channels, stride=1):
        super().__init__()
        layer, neuron = sj("layer"), sj("neuron")

        def half(inputs, step):
            convolution = layer.Conv2d(inputs, channels, 3, padding=1, stride=step, bias=False)
            return nn.Sequential(convolution, layer.BatchNorm2d(channels), neuron.IFNode(v_threshold=0.5))

        self.conv1, self.conv2 = half(4, stride), half(channels, 1)
        self.down = half(4, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        out = self.conv2(self.conv1(x))
        out += self.down(x)
        return out


@model("spikingjelly", BATCH, 2, 8, 8, lift=0.0)
def residual():
    layer, neuron, helpers = sj("layer"), sj("neuron"), sj("functional")

    def forward(self, x):
        x = torch.stack([x] * STEPS)
        x = self.blocks(self.stem(x))
        return self.fc(torch.flatten(self.pool(x), 2).mean(0))

    net = Forward(
        forward,
        stem=nn.Sequential(layer.Conv2d(2, 4, 3, padding=1), layer.BatchNorm2d(4), neuron.IFNode()),
        blocks=nn.Sequential(Block(4), Block(6, 2)),
        pool=layer.AdaptiveAvgPool2d((1, 1)),
        fc=layer.Linear(6, 3),
    )
    helpers.set_step_mode(net, "m")
    return net


@model("spikingjelly", STEPS, BATCH, 12)
def silent_output():
    layer, neuron = sj("layer"), sj("neuron")
    return nn.Sequential(
        layer.Linear(12, 20, step_mode="m"),
        neuron.LIFNode(step_mode="m", v_threshold=0.25),
        layer.Linear(20, 5, step_mode="m"),
        neuron.NonSpikingLIFNode(tau=4.0, decode="last_mem"),
    )


@model("spikingjelly", STEPS, BATCH, 12)
def element_wise_recurrence():
    layer, neuron = sj("layer"), sj("neuron")
    return nn.Sequential(
        layer.Linear(12, 20),
        layer.ElementWiseRecurrentContainer(neuron.IFNode(v_reset=None), lambda own, x: own + x, step_mode="m"),
        layer.LinearRecurrentContainer(
            nn.Sequential(nn.Linear(20, 9), neuron.LIFNode(v_threshold=0.5)), 20, 9, step_mode="m"
        ),
    )


@model("snntorch", BATCH, 1, 12, 12)
def pooled_spikes():
    def forward(self, x):
        mem1, mem2, mem3 = (lif.init_leaky() for lif in (self.lif1, self.lif2, self.lif3))
        spikes = []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.conv1(x), mem1)
            spk2, mem2 = self.lif2(self.conv2(functional.max_pool2d(spk1, 2)), mem2)
            spk3, mem3 = self.lif3(self.fc(self.pool(spk2).flatten(1)), mem3)
            spikes.append(spk3)
        return torch.stack(spikes), mem3

    leaky = snn().Leaky
    return Forward(
        forward,
        conv1=nn.Conv2d(1, 4, 3),
        lif1=leaky(beta=0.75),
        conv2=nn.Conv2d(4, 6, 3, padding=1),
        lif2=leaky(beta=0.5, threshold=0.5),
        pool=nn.MaxPool2d(2),
        fc=nn.Linear(24, 10),
        lif3=leaky(beta=0.75),
    )


@model("snntorch", BATCH, 2, 12, 12)
def averaged_currents():
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.pool(self.bn(self.conv(x))), mem1)
            spk2, mem2 = self.lif2(self.fc(spk1.flatten(1)), mem2)
            spikes.append(spk2)
        return torch.stack(spikes).sum(0)

    leaky = snn().Leaky
    return Forward(
        forward,
        conv=nn.Conv2d(2, 4, 3, padding=2, dilation=2, bias=False),
        bn=nn.BatchNorm2d(4),
        pool=nn.AvgPool2d(2),
        lif1=leaky(beta=0.5, reset_mechanism="zero"),
        fc=nn.Linear(144, 10),
        lif2=leaky(beta=0.5, reset_mechanism="zero", threshold=0.5),
    )


@model("snntorch", STEPS, BATCH, 10)
def two_currents():
    synaptic = snn().Synaptic

    def forward(self, x):
        syn1, mem1 = self.lif1.init_synaptic()
        syn2, mem2 = self.lif2.init_synaptic()
        spikes = []
        for step in range(STEPS):
            spk1, syn1, mem1 = self.lif1(self.fc1(x[step]), syn1, mem1)
            spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
            spikes.append(spk2)
        return torch.stack(spikes)

    return Forward(
        forward,
        fc1=nn.Linear(10, 24),
        lif1=synaptic(alpha=0.5, beta=0.75),
        fc2=nn.Linear(24, 8, bias=False),
        lif2=synaptic(alpha=0.75, beta=0.5, threshold=0.5),
    )


@model("spikingjelly", BATCH, 3, 8, 8, lift=0.0)
def added_currents():
    layer, neuron, helpers = sj("layer"), sj("neuron"), sj("functional")

    def forward(self, x):
        x = self.stem(x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1))
        x = self.neuron1(self.conv1(x) + x)
        x = self.neuron2(self.conv2(x) + self.down(x))
        return self.head(x).mean(0)

    net = Forward(
        forward,
        stem=nn.Sequential(layer.Conv2d(3, 4, 3, padding=1), layer.BatchNorm2d(4), neuron.IFNode()),
        conv1=nn.Sequential(layer.Conv2d(4, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4)),
        neuron1=neuron.IFNode(),
        conv2=nn.Sequential(layer.Conv2d(4, 6, 3, padding=1, stride=2), layer.BatchNorm2d(6)),
        down=nn.Sequential(layer.Conv2d(4, 6, 1, stride=2, bias=False), layer.BatchNorm2d(6)),
        neuron2=neuron.LIFNode(tau=2.0, v_threshold=0.5),
        head=nn.Sequential(layer.AdaptiveAvgPool2d((1, 1)), layer.Flatten(), layer.Linear(6, 5)),
    )
    helpers.set_step_mode(net, "m")
    return net


@model("spikingjelly", STEPS, BATCH, 4, 8, 8)
def separable():
    layer, neuron, helpers = sj("layer"), sj("neuron"), sj("functional")
    net = nn.Sequential(
        layer.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        layer.BatchNorm2d(4),
        neuron.LIFNode(tau=4.0, decay_input=False, v_reset=None),
        layer.Conv2d(4, 8, 1),
        neuron.LIFNode(tau=2.0, v_threshold=0.5),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(128, 10),
        neuron.IFNode(v_reset=None),
    )
    helpers.set_step_mode(net, "m")
    return net


@model("spikingjelly", STEPS, BATCH, 12, strength=3.0)
def normalised_dense():
    layer, neuron, helpers = sj("layer"), sj("neuron"), sj("functional")
    net = nn.Sequential(
        layer.Linear(12, 32, bias=False),
        layer.BatchNorm1d(32),
        neuron.LIFNode(tau=2.0, v_reset=None),
        layer.Dropout(0.2),
        layer.Linear(32, 16, bias=False),
        layer.BatchNorm1d(16),
        neuron.LIFNode(tau=4.0, v_threshold=0.5, v_reset=None),
        layer.Linear(16, 5),
        neuron.LIFNode(tau=2.0, decay_input=False),
    )
    helpers.set_step_mode(net, "m")
    return net


@model("snntorch", BATCH, 2, 9, 9)
def thresholds_by_channel():
    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.conv(x), mem1)
            spk2, mem2 = self.lif2(self.fc(spk1.flatten(1)), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)

    by_channel = torch.tensor([0.25, 0.5, 1.0, 2.0])[:, None, None]
    return Forward(
        forward,
        conv=nn.Conv2d(2, 4, 3, stride=2, padding=1),
        lif1=snn().Leaky(beta=0.5, threshold=by_channel),
        fc=nn.Linear(100, 8),
        lif2=snn().Leaky(beta=0.75, threshold=torch.tensor([0.5, 1.0] * 4), learn_threshold=True),
    )


@model("spikingjelly", BATCH, STEPS, 3, 20, strength=3.0, lift=0.0)
def waveforms():
    layer, neuron, helpers = sj("layer"), sj("neuron"), sj("functional")
    net = nn.Sequential(
        layer.Conv1d(3, 8, 5, padding=2, bias=False),
        layer.BatchNorm1d(8),
        neuron.LIFNode(tau=2.0, v_threshold=0.5, v_reset=None),
        layer.MaxPool1d(2),
        layer.Conv1d(8, 12, 3, padding=2, dilation=2),
        neuron.IFNode(v_reset=None),
        layer.AvgPool1d(2),
        layer.Flatten(),
        layer.Linear(60, 6),
        neuron.ParametricLIFNode(init_tau=2.0, v_threshold=0.125),
    )
    helpers.set_step_mode(net, "m")
    return Forward(lambda self, x: self.net(x.transpose(0, 1)).sum(0), net=net)


@model("snntorch", BATCH, 2, 8, 8, called=STEPS, strength=3.0)
def separable_stages():
    leaky = snn().Leaky

    def stage(inputs, outputs, stride):
        return nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            leaky(beta=0.5, init_hidden=True, reset_mechanism="zero", threshold=0.5),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            leaky(beta=0.75, init_hidden=True),
        )

    head = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 6), leaky(beta=0.75, init_hidden=True))
    return nn.Sequential(stage(2, 6, 1), stage(6, 8, 2), nn.Identity(), head)


@model("spikingjelly", BATCH, 2, 16, 16, lift=0.0)
def deep_convolutional():
    layer, neuron, helpers = sj("layer"), sj("neuron"), sj("functional")

    def block(inputs, outputs):
        return [
            layer.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            layer.BatchNorm2d(outputs),
            neuron.IFNode(v_threshold=0.5, v_reset=None),
        ]

    net = nn.Sequential(
        *(*block(2, 4), *block(4, 4), layer.MaxPool2d(2, 2)),
        *(*block(4, 6), *block(6, 6), layer.MaxPool2d(2, 2)),
        *(layer.Flatten(), layer.Linear(96, 16), neuron.IFNode(v_reset=None), layer.Linear(16, 10)),
        neuron.IFNode(v_reset=None),
    )
    helpers.set_step_mode(net, "m")
    return Forward(lambda self, x: self.net(x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)).mean(0), net=net)
