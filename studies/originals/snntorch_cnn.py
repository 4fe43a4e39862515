"""The convolutional network of snnTorch's tutorials, 12c5-p2-64c5-p2-10, for byte images.

It differs from the tutorial in that a pooling is behind neurons and not in front of them, so that it pools spikes, and
that images are not normalized: the current of a pixel is its byte / 255, the same in every timestep.
"""

from pathlib import Path

import snntorch as snn
import snntorch.functional as sf
import torch
from snntorch import surrogate
from torch import Tensor, nn

from studies.originals import training
from studies.originals.training import Original, Recipe


class Net(nn.Module):
    """The network; ``num_steps`` is T."""

    def __init__(self, num_steps: int, beta: float) -> None:
        super().__init__()
        self.num_steps = num_steps
        spike_grad = surrogate.atan()
        self.conv1 = nn.Conv2d(1, 12, 5)
        self.lif1 = snn.Leaky(beta=beta, spike_grad=spike_grad)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(12, 64, 5)
        self.lif2 = snn.Leaky(beta=beta, spike_grad=spike_grad)
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(64 * 4 * 4, 10)
        self.lif3 = snn.Leaky(beta=beta, spike_grad=spike_grad)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membranes of the last neurons, each (T, B, 10)."""
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        mem3 = self.lif3.init_leaky()
        spk_rec, mem_rec = [], []
        for _ in range(self.num_steps):
            cur1 = self.conv1(x)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.conv2(self.pool1(spk1))
            spk2, mem2 = self.lif2(cur2, mem2)
            cur3 = self.fc1(self.flatten(self.pool2(spk2)))
            spk3, mem3 = self.lif3(cur3, mem3)
            spk_rec.append(spk3)
            mem_rec.append(mem3)
        return torch.stack(spk_rec), torch.stack(mem_rec)


def spike_counts(network: nn.Module, images: Tensor) -> Tensor:
    """The spikes of every class, (B, 10)."""
    spikes, _ = network(images)
    return spikes.sum(0)


def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the spike counts."""
    spikes, _ = network(images)
    return sf.ce_count_loss()(spikes, labels)


ORIGINAL = Original(
    framework="snntorch",
    options={"num_steps": 6, "beta": 0.95},
    build=Net,
    scores=spike_counts,
    loss=loss,
    recipe=Recipe(epochs=5, batch=64, learning_rate=3e-3),
)


def load(path: Path) -> nn.Module:
    """The trained network in a file, in evaluation mode; raises UserError."""
    return training.load(ORIGINAL, path)
